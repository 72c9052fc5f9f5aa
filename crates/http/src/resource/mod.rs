//! A resource or a view as HTTP serves it: its shapes, queries and actions, made from the declarations alone.

mod declared;
mod definition;
mod endpoint;

pub(crate) use declared::declared;
pub(crate) use definition::{Change, QueryField, Representation, Resource, ValueKind};
pub(crate) use endpoint::Endpoint;
