//! Authentication: the actor of a request is established here, once, and trusted by everything behind the gateway.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::http::request::Parts;
use http_api::Problem;

/// Establishes the identity behind a request.
pub trait Authenticate: Send + Sync {
    /// The identity, or the problem that the request is rejected with.
    fn authenticate<'a>(&'a self, request: &'a Parts) -> Authenticating<'a>;
}

/// A pending authentication.
pub type Authenticating<'a> = Pin<Box<dyn Future<Output = Result<Identity, Problem>> + Send + 'a>>;

/// An identity, in the request's extensions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The actor that commands carry; `None` leaves it to `X-Pabal-User`.
    pub actor: Option<Arc<str>>,
    /// The roles of the actor.
    pub roles: Vec<Arc<str>>,
}

/// Demo mode: every client is who `X-Pabal-User` says, with all permissions. Not for listeners that other machines can reach.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anonymous;

impl Authenticate for Anonymous {
    fn authenticate<'a>(&'a self, _: &'a Parts) -> Authenticating<'a> {
        Box::pin(std::future::ready(Ok(Identity::default())))
    }
}
