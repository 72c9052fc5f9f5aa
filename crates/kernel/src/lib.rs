#![doc = include_str!("../README.md")]

pub mod aggregate;
pub mod context;
pub mod effect;
pub mod erased;
pub mod event;
pub mod field;
pub mod foreign;
pub mod kit;
pub mod policy;
pub mod refusal;
pub mod resource;
pub mod schema;
pub mod service;
pub mod view;

pub use aggregate::{Aggregate, Decision};
pub use context::{At, Question};
pub use effect::{Effect, FarCall, Later, NoEffect, Outcome, Reaction, Repeat};
pub use event::{Event, Seen};
pub use field::IndexValue;
pub use foreign::{Foreign, ForeignDef, Translated};
pub use policy::To;
pub use refusal::{FieldError, Kind, Refusal, Refused};
pub use resource::{New, resource};
pub use service::{Domain, Service, System};
pub use view::{Row, view};

/// An instant in UTC; the only time the business knows, and always handed to it.
pub use jiff::Timestamp;
