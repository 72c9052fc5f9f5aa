//! The documents: OpenAPI, AsyncAPI, and the page that shows both.

mod asyncapi;
mod openapi;

pub use asyncapi::asyncapi;
pub(crate) use asyncapi::of_server as asyncapi_of;
pub(crate) use openapi::of_server as openapi_of;
pub use openapi::openapi;

/// The page at `/docs`. It loads nothing from elsewhere, so it works offline.
pub(crate) const PAGE: &str = include_str!("docs.html");
