#![doc = include_str!("../README.md")]

mod access_log;
mod admission;
mod forward;
mod landing;
mod options;
mod peer;
mod serve;

pub use admission::guarded;
pub use forward::{BreakerOptions, ForwardError, ForwardOptions, Forwarding, HealthOptions, Remote};
pub use landing::{LandingSystem, landing};
pub use options::{Anonymous, Authenticate, Authenticating, GatewayOptions, Identity, Origins, Rate};
pub use peer::Peer;
pub use serve::{GatewayError, Listener, serve};
