//! Probes: liveness, readiness, start-up, and the details of all engines.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use driver::Engine;
use pabal_core::Status;
use serde_json::{Map, Value, json};

use crate::respond;
use crate::server::Server;

/// Systems whose writer is stuck. A neighbour that is down is none of them.
pub(super) fn stuck(server: &Server) -> Vec<String> {
    let is_stuck = |engine: &&Arc<Engine>| {
        let heartbeat_ms = engine.status().heartbeat_ms;
        // Before its first heartbeat a writer is starting, which the start-up probe reports.
        heartbeat_ms > 0 && engine.now().as_millisecond() - heartbeat_ms > server.options.stuck_after_ms
    };
    let stuck = server.engines.iter().filter(is_stuck);
    stuck.map(|engine| format!("{}: the writer's last heartbeat is too old", engine.name())).collect()
}

/// Why this process should not receive requests.
pub(super) fn unready(server: &Server) -> Vec<String> {
    let mut reasons: Vec<String> = server.engines.iter().filter_map(|engine| unhealthy(engine, &engine.status())).collect();
    if !server.options.ready.load(Ordering::Relaxed) {
        reasons.push("the process is stopping or not ready yet".to_owned());
    }
    reasons
}

/// Systems that have not started.
pub(super) fn starting(server: &Server) -> Vec<String> {
    let starting = server.engines.iter().filter(|engine| engine.status().heartbeat_ms == 0);
    starting.map(|engine| format!("{}: starting", engine.name())).collect()
}

fn unhealthy(engine: &Engine, status: &Status) -> Option<String> {
    let why = status.cause.as_deref().unwrap_or("starting");
    (!status.healthy).then(|| format!("{}: {why}", engine.name()))
}

/// 200 without reasons, else 503 with them.
pub(super) fn verdict(reasons: &[String]) -> Response<Body> {
    let up = reasons.is_empty();
    respond::json(status_code(up), &json!({"status": word(up), "reasons": reasons}))
}

/// Every engine with its details, as the probes of Spring Boot expect it.
pub(super) fn details(server: &Server) -> Response<Body> {
    let component = |engine: &Arc<Engine>| {
        let status = engine.status();
        let mut details = json!({"lastSeq": status.last_seq, "deadKeys": status.dead_keys, "cause": status.cause});
        if let Some(Value::Object(more)) = server.options.details.as_ref().and_then(|more| more(engine.name())) {
            more.into_iter().for_each(|(name, value)| details[name] = value);
        }
        (engine.name().to_owned(), json!({"status": word(status.healthy), "details": details}))
    };
    let components: Map<String, Value> = server.engines.iter().map(component).collect();
    let up = unready(server).is_empty() && stuck(server).is_empty();
    respond::json(status_code(up), &json!({"status": word(up), "components": components}))
}

fn status_code(up: bool) -> StatusCode {
    if up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn word(up: bool) -> &'static str {
    if up { "UP" } else { "DOWN" }
}
