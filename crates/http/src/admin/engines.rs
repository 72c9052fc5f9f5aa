//! Which engine an admin request means, and the parameters that its routes share.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use driver::Engine;
use pabal_core::Input;
use serde_json::json;

use crate::problem::Problem;
use crate::request::Params;
use crate::respond;
use crate::server::Server;

/// Entries of a list where the query does not say.
const DEFAULT_LIMIT: u64 = 100;
/// Entries of a list, at most.
const MAX_LIMIT: u64 = 1000;

/// The engine of the named system, or the only one; where services run alone, the one of the named service.
pub(super) fn engine_named<'a>(
    server: &'a Server,
    system: Option<&str>,
    service: Option<&str>,
) -> Result<&'a Arc<Engine>, Problem> {
    let mut left: Vec<&Arc<Engine>> = server.engines.iter().collect();
    if let Some(name) = system {
        left.retain(|engine| engine.model().system.name == name);
        if left.is_empty() {
            return Err(Problem::field("system", "enum", format!("there is no system `{name}`")));
        }
    }
    if let Some(name) = service {
        left.retain(|engine| engine.model().system.services.iter().any(|service| service.name == name));
        if left.is_empty() {
            return Err(Problem::field("service", "enum", format!("there is no service `{name}`")));
        }
    }
    match left.as_slice() {
        [only] => Ok(only),
        [first, rest @ ..] if rest.iter().all(|engine| engine.model().system.name == first.model().system.name) => {
            Err(Problem::field("service", "missing", "is required where several services run alone"))
        }
        _ => Err(Problem::field("system", "missing", "is required where several systems run")),
    }
}

/// The first engine that declares it, among those of `?system=`.
pub(super) fn engine_declaring<'a>(
    server: &'a Server,
    params: &Params,
    declares: impl Fn(&&'a Arc<Engine>) -> bool,
) -> Option<&'a Arc<Engine>> {
    let named = |engine: &&Arc<Engine>| params.get("system").is_none_or(|name| name == engine.model().system.name);
    server.engines.iter().filter(named).find(declares)
}

/// `?limit=`, within bounds.
pub(super) fn limit(params: &Params) -> Result<usize, Problem> {
    let limit = params.number("limit")?.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    usize::try_from(limit).map_err(|error| Problem::fault(&error))
}

/// Sends the engine an input, and answers 202.
pub(super) fn accept(engine: &Engine, input: Input) -> Result<Response<Body>, Problem> {
    engine.tell(input)?;
    Ok(respond::json(StatusCode::ACCEPTED, &json!({"accepted": true})))
}
