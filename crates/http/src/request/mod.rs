//! What a request brings: its query, its conditions, its idempotency key, and its body in the shape that is declared.

mod body;
mod conditional;
mod fit;
mod idempotency;
mod query;
mod shape;

pub(crate) use body::{MEDIA_TYPES, read_body};
pub(crate) use conditional::{etag, expected_version, has_current_version};
pub(crate) use idempotency::idempotency;
pub use idempotency::{IDEMPOTENCY_KEY, generated_idempotency_key};
pub(crate) use query::Params;
pub use shape::Shape;
