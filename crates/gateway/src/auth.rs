//! The seam for authentication: who asks is found out here, once, and everything behind believes it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::http::request::Parts;
use http_api::Problem;

/// Finds out who asks.
pub trait Authenticate: Send + Sync {
    /// The identity behind a request, or the problem that it is refused with.
    fn authenticate<'a>(&'a self, request: &'a Parts) -> Authenticating<'a>;
}

/// An identity to come.
pub type Authenticating<'a> = Pin<Box<dyn Future<Output = Result<Identity, Problem>> + Send + 'a>>;

/// Who asks. It is put into the request's extensions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The actor that commands carry; `None` leaves it to `X-Pabal-User`.
    pub actor: Option<Arc<str>>,
    /// What the actor may be.
    pub roles: Vec<Arc<str>>,
}

/// Demo mode: everybody is who they say they are, and may do all. Nothing for a door that others can reach.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anonymous;

impl Authenticate for Anonymous {
    fn authenticate<'a>(&'a self, _: &'a Parts) -> Authenticating<'a> {
        Box::pin(std::future::ready(Ok(Identity::default())))
    }
}
