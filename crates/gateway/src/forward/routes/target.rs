//! The targets of requests.

use std::sync::Arc;

use http_api::routing::{PathForm, Route};

/// Where a service runs: behind a pool of upstreams, or, without one, in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ServiceLocation {
    pub system: &'static str,
    pub service: &'static str,
    pub pool: Option<usize>,
}

/// A resource or view, and the pool of its service.
pub(crate) struct PooledRoute {
    pub route: Route,
    pub pool: Option<usize>,
}

impl AsRef<Route> for PooledRoute {
    fn as_ref(&self) -> &Route {
        &self.route
    }
}

/// What a path addresses at a service, as far as retries depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A collection, an entity, a search: repeating a change has no further effect.
    Resource,
    /// An action of an entity, which may have an effect each time.
    Action,
    /// The admin API, which knows no idempotency keys.
    Admin,
}

/// The target of a request.
pub(crate) enum RouteTarget<'a> {
    /// The router of this process.
    Local,
    /// The service behind a pool.
    Pool { pool: usize, template: Arc<str>, endpoint: Endpoint },
    /// None, since several systems declare the resource.
    Ambiguous(&'a [Arc<PooledRoute>]),
    /// None, since these systems have a service or view that the admin route names.
    AmbiguousSystem(String),
}

impl PooledRoute {
    /// The target of a path below this route.
    pub fn target(&self, form: PathForm<'_>) -> RouteTarget<'static> {
        let Some(pool) = self.pool else { return RouteTarget::Local };
        let endpoint = match form {
            PathForm::Action(..) | PathForm::Deeper => Endpoint::Action,
            _ => Endpoint::Resource,
        };
        RouteTarget::Pool { pool, template: self.route.templates.of(form).clone(), endpoint }
    }
}
