//! Forwarding: what belongs to a service that runs in other processes goes there, everything else to this one.

mod admin;
mod breaker;
mod declared;
mod headers;
mod health;
mod held;
mod load;
mod measure;
mod options;
mod pool;
mod probes;
mod problems;
mod send;
mod upstream;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, HeaderValue, Response};
use http_api::{Origin, Problem, RequestContext, problem_types};
use kernel::System;
use serde_json::{Value, json};
use tokio::task::JoinSet;

pub use options::{BreakerOptions, ForwardError, ForwardOptions, HealthOptions, Remote};

use crate::guard::Peer;
use declared::{Declared, Goal, Spot, Thing};
use headers::Vouched;
use load::Load;
use pool::Pool;
use send::Sending;

/// Knows where each service runs, and how it is.
#[derive(Clone)]
pub struct Forwarding(Arc<Shared>);

struct Shared {
    options: ForwardOptions,
    declared: Declared,
    pools: Vec<Pool>,
    /// Ends with the last hand on it.
    _checks: JoinSet<()>,
}

/// Where a request was forwarded to, in the answer's extensions: the route's template and the service.
#[derive(Debug, Clone)]
pub(crate) struct Forwarded {
    pub route: Arc<str>,
    pub service: &'static str,
}

impl Forwarding {
    /// For systems as they are declared: `remotes` are their services that run elsewhere, all others run in this process.
    /// Begins to look after the upstreams, so it wants to be called within a tokio runtime.
    pub fn of(systems: &[System], remotes: &[Remote], options: ForwardOptions) -> Result<Self, ForwardError> {
        options.check()?;
        let mut pools: Vec<Pool> = Vec::new();
        for remote in remotes {
            let system = systems.iter().find(|system| system.name == remote.system);
            let found = system.and_then(|system| {
                let service = system.services.iter().find(|service| service.name == remote.service)?;
                Some((system.name, service.name))
            });
            let (system, service) =
                found.ok_or_else(|| ForwardError::Unknown { system: remote.system.clone(), service: remote.service.clone() })?;
            if pools.iter().any(|pool| pool.system == system && pool.service == service) {
                return Err(ForwardError::Twice { system: system.to_owned(), service: service.to_owned() });
            }
            pools.push(Pool::of(system, service, remote, &options)?);
        }
        let pool_of =
            |system: &str, service: &str| pools.iter().position(|pool| pool.system == system && pool.service == service);
        let declared = Declared::of(systems, pool_of);
        let checks = health::look_after(&pools, &options.health);
        Ok(Self(Arc::new(Shared { options, declared, pools, _checks: checks })))
    }

    /// The router that forwards, with `local` for everything else: documents, health, the front, and the services that run
    /// in this process. Health and readiness of `local` tell of the upstreams, too.
    pub fn around(&self, local: Router) -> Router {
        Router::new().fallback(answer).with_state(Front { shared: self.0.clone(), local })
    }

    /// Whether every upstream was asked for its health at least once: before that nobody knows whom to send requests to.
    pub fn is_ready(&self) -> bool {
        self.0.unknown().is_empty()
    }

    /// How the services are, by `system/service`, as `/actuator/health` shows them.
    pub fn health(&self) -> Value {
        Value::Object(self.0.components())
    }
}

#[derive(Clone)]
struct Front {
    shared: Arc<Shared>,
    local: Router,
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

async fn answer(State(front): State<Front>, request: Request) -> Response<Body> {
    let shared = front.shared;
    let goal = shared.declared.find(request.uri(), request.headers(), &shared.options);
    let (pool, route, spot) = match goal {
        Goal::There { pool, route, spot } => (&shared.pools[pool], route, spot),
        Goal::Here => return probes::told(&shared, front.local, request).await,
        Goal::Several(things) => return refuse(&request, shared.several(&request, things)),
        Goal::Unclear(systems) => {
            let detail = format!("several systems have it; it must be one of {systems}");
            return refuse(&request, Problem::field("system", "missing", detail));
        }
    };
    let started = Instant::now();
    let context = RequestContext::of(request.headers(), request.extensions());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let forwarded = shared.forward(pool, spot, request, &context).await;
    let mut response = forwarded.unwrap_or_else(|problem| problem.respond(&context, &path));
    measure::request(&method, route.clone(), response.status(), started.elapsed());
    if let Ok(id) = HeaderValue::from_str(&context.request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response.extensions_mut().insert(Forwarded { route, service: pool.service });
    response
}

fn refuse(request: &Request, problem: Problem) -> Response<Body> {
    let context = RequestContext::of(request.headers(), request.extensions());
    problem.respond(&context, request.uri().path())
}

impl Shared {
    async fn forward(
        &self,
        pool: &Pool,
        spot: Spot,
        request: Request,
        context: &RequestContext,
    ) -> Result<Response<Body>, Problem> {
        let options = &self.options;
        let until = Instant::now() + options.overall;
        let (mut parts, body) = request.into_parts();
        let vouched = Vouched::from(Origin::of(&parts.uri, &parts.headers, &options.public_url, options.trust_forwarded));
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
        headers::onward(&mut parts.headers, &vouched, peer, options.trust_forwarded, context);
        // Before it takes a place among those in flight: a client may be slow, and that is not the service's doing.
        let taking = tokio::time::timeout_at(until.into(), Load::take(body, options.keep_bytes));
        let load = taking.await.unwrap_or(Err(load::Fault::Incomplete)).map_err(problems::bad_body)?;
        let target = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let (method, headers) = (parts.method, parts.headers);
        Sending { options, pool, method, target, headers, load, spot, until }.send().await
    }

    /// 300 with the doors that lead to one of them each.
    fn several(&self, request: &Request, things: &[Thing]) -> Problem {
        let url = Origin::of(request.uri(), request.headers(), &self.options.public_url, self.options.trust_forwarded).url();
        let door = |thing: &Thing| {
            let system = thing.place.system;
            json!({"system": system, "href": format!("{url}/{system}/{}", thing.name)})
        };
        let doors: Vec<Value> = things.iter().map(door).collect();
        let detail = "several systems have a resource of this name: take one of the doors, or name the system in X-Pabal-System";
        Problem::of(problem_types::MULTIPLE_CHOICES, detail).with("doors", json!(doors))
    }

    /// Services of which an upstream was never asked yet.
    fn unknown(&self) -> Vec<String> {
        let unknown = |pool: &&Pool| pool.upstreams.iter().any(|upstream| upstream.health() == upstream::Health::Unknown);
        self.pools.iter().filter(unknown).map(|pool| format!("{}/{}", pool.system, pool.service)).collect()
    }

    fn components(&self) -> serde_json::Map<String, Value> {
        let component = |pool: &Pool| (format!("{}/{}", pool.system, pool.service), health::component(pool));
        self.pools.iter().map(component).collect()
    }
}
