#![doc = include_str!("../README.md")]

mod access;
mod auth;
mod cors;
mod forward;
mod guard;
mod landing;
mod mask;
mod options;
mod rate;
mod serve;

pub use auth::{Anonymous, Authenticate, Authenticating, Identity};
pub use cors::Origins;
pub use forward::{BreakerOptions, ForwardError, ForwardOptions, Forwarding, HealthOptions, Remote};
pub use guard::{Peer, guarded};
pub use landing::{Shown, landing};
pub use options::{GatewayOptions, Rate};
pub use serve::{Door, GatewayError, serve};
