#![doc = include_str!("../README.md")]

pub mod aggregate;
pub mod context;
pub mod effect;
pub mod erased;
pub mod event;
pub mod events;
pub mod external;
pub mod field;
pub mod kit;
pub mod policy;
pub mod rejection;
pub mod resource;
pub mod schema;
pub mod service;
pub mod settings;
pub mod view;

pub use aggregate::{Aggregate, Decision};
pub use context::{Context, Question};
pub use effect::{DelayedReply, Effect, EffectCall, NoEffect, Outcome, Reaction, RetrySafety};
pub use event::{Event, EventMetadata};
pub use events::Events;
pub use external::{External, ExternalDef, Translated};
pub use field::IndexValue;
pub use policy::CommandFor;
pub use rejection::{FieldError, Kind, Rejected, Rejection};
pub use resource::{New, resource};
pub use service::{Domain, Service, System};
pub use settings::{NoSettings, Settings};
pub use view::{Row, view};

/// An instant in UTC; the only time the business knows, and always handed to it.
pub use jiff::Timestamp;
