//! Forwarding: requests for services that run in other processes go there, all others to the router of this process.

mod jitter;
mod options;
mod probes;
mod request;
mod routes;
mod upstream;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use http_api::{Origin, Problem, RequestContext, RequestLog, record_request};
use kernel::System;
use serde_json::Value;
use tokio::task::JoinSet;

pub use options::{BreakerOptions, ForwardError, ForwardOptions, HealthOptions, Remote};

use routes::{PooledRoute, RouteTarget, Routes};
use upstream::{Pools, start_checks};

/// Forwards requests to the upstreams of services.
#[derive(Clone)]
pub struct Forwarding(Arc<Forwarder>);

struct Forwarder {
    options: ForwardOptions,
    routes: Routes,
    pools: Pools,
    /// Health checks end when the last clone is dropped.
    _checks: JoinSet<()>,
}

impl Forwarding {
    /// For these systems: `remotes` are their services that run elsewhere, all others run in this process. Starts the health
    /// checks of upstreams, so it must be called within a tokio runtime.
    pub fn try_new(systems: &[System], remotes: &[Remote], options: ForwardOptions) -> Result<Self, ForwardError> {
        options.check()?;
        let pools = Pools::try_new(systems, remotes, &options)?;
        let routes = Routes::new(systems, &options, |system, service| pools.index_of(system, service));
        let checks = start_checks(&pools, &options.health);
        Ok(Self(Arc::new(Forwarder { options, routes, pools, _checks: checks })))
    }

    /// A router that forwards, with `local` for everything else: documents, health, the front, and the services that run in
    /// this process. Health and readiness of `local` include the upstreams.
    pub fn around(&self, local: Router) -> Router {
        Router::new().fallback(answer).with_state(Front { forwarder: self.0.clone(), local })
    }

    /// Whether every upstream has been checked once: before that it is unknown where requests can go.
    pub fn is_ready(&self) -> bool {
        self.0.pools.unchecked().is_empty()
    }

    /// The health of the services, by `system/service`, as in `/actuator/health`.
    pub fn health(&self) -> Value {
        Value::Object(self.0.pools.health())
    }
}

#[derive(Clone)]
struct Front {
    forwarder: Arc<Forwarder>,
    local: Router,
}

async fn answer(State(front): State<Front>, request: Request) -> Response<Body> {
    let Front { forwarder, local } = front;
    let (pool, template, endpoint) = match forwarder.routes.find(request.uri(), request.headers()) {
        RouteTarget::Pool { pool, template, endpoint } => (forwarder.pools.get(pool), template, endpoint),
        RouteTarget::Local => return probes::answer(&forwarder.pools, local, request).await,
        RouteTarget::Ambiguous(candidates) => return reject(&request, forwarder.ambiguous(&request, candidates)),
        RouteTarget::AmbiguousSystem(systems) => {
            let detail = format!("several systems have it; `system` must be one of {systems}");
            return reject(&request, Problem::field("system", "missing", detail));
        }
    };
    let started = Instant::now();
    let context = RequestContext::from_request(request.headers(), request.extensions());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let forwarded = request::forward(&forwarder.options, pool, endpoint, request, &context).await;
    let mut response = forwarded.unwrap_or_else(|problem| problem.respond(&context, &path));
    record_request(&method, Some(&template), response.status(), started.elapsed());
    context.stamp(response.headers_mut());
    let log = RequestLog::default();
    log.record_route(template, pool.service);
    response.extensions_mut().insert(log);
    response
}

fn reject(request: &Request, problem: Problem) -> Response<Body> {
    let context = RequestContext::from_request(request.headers(), request.extensions());
    problem.respond(&context, request.uri().path())
}

impl Forwarder {
    fn ambiguous(&self, request: &Request, candidates: &[Arc<PooledRoute>]) -> Problem {
        let options = &self.options;
        let origin = Origin::new(request.uri(), request.headers(), &options.public_url, options.trust_forwarded);
        Problem::ambiguous(&origin, candidates.iter().map(|candidate| &candidate.route))
    }
}
