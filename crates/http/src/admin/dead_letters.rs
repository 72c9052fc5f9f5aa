//! Work that could not be handled: its list, and the decision of an operator about each key.

use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use driver::Engine;
use pabal_core::Input;
use ports::{ParkedRow, ParkedWork};
use serde_json::{Value, json};

use super::engines::{accept, engine_named, limit};
use super::record::{record_json, rfc3339};
use crate::context::RequestContext;
use crate::problem::{Problem, types};
use crate::request::{Params, Shape, read_body};
use crate::respond;
use crate::server::Server;

/// What is done with the first parked work of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// It is tried again now.
    Redrive,
    /// It is removed, and the key goes on with what is behind it.
    Discard,
}

/// The body of redrive and discard as JSON Schema; the documents contain it, requests are validated against it.
pub(crate) fn request_schema(action: Action) -> Value {
    let mut schema = json!({
        "type": "object",
        "properties": {
            "system": {"type": "string", "description": "The system; required where several run."},
            "subscription": {"type": "string", "minLength": 1, "description": "The subscription that could not handle it."},
            "key": {"type": "string", "minLength": 1, "description": "The ordering key."}
        },
        "required": ["subscription", "key"]
    });
    if action == Action::Discard {
        schema["properties"]["position"] =
            json!({"type": "integer", "format": "uint64", "minimum": 0, "description": "The position of the dead letter."});
        schema["properties"]["reason"] = json!({"type": "string", "description": "Why it is discarded; it is logged."});
        schema["required"] = json!(["subscription", "key", "position"]);
    }
    schema
}

/// `GET /admin/dead-letters`: dead letters, with `?parked=true` also work that is retried.
pub(super) async fn list(server: &Server, params: &Params) -> Result<Response<Body>, Problem> {
    let (dead_only, limit) = (!params.flag("parked")?, limit(params)?);
    let engines = match (params.get("system"), params.get("service")) {
        (None, None) => server.engines.clone(),
        (system, service) => vec![engine_named(server, system, service)?.clone()],
    };
    let read = tokio::task::spawn_blocking(move || {
        let mut letters = Vec::new();
        for engine in engines {
            let rows = engine.reader().all_parked(dead_only, limit)?;
            letters.extend(rows.iter().map(|row| letter_json(engine.model().system.name, row)));
        }
        Ok::<_, Problem>(letters)
    });
    let letters = read.await.map_err(|error| Problem::fault(&error))??;
    Ok(respond::json(StatusCode::OK, &json!({"_embedded": {"deadLetters": letters}})))
}

fn letter_json(system: &str, row: &ParkedRow) -> Value {
    json!({
        "system": system,
        "subscription": row.subscription,
        "key": row.key,
        "position": row.position,
        "attempts": row.attempts,
        "dead": row.dead,
        "cause": row.cause,
        "since": rfc3339(row.since_ms),
        "nextTry": (!row.dead).then(|| rfc3339(row.next_try_ms)),
        "event": work_json(&row.work),
    })
}

fn work_json(work: &ParkedWork) -> Value {
    match work {
        ParkedWork::Event(record) => record_json(record),
        ParkedWork::Timer(timer) => json!({
            "timer": timer.name,
            "table": timer.table,
            "key": timer.key,
            "due": rfc3339(timer.due_ms),
            "cause": timer.cause,
        }),
        ParkedWork::Answer(answer) => json!({
            "effect": answer.id,
            "table": answer.table,
            "key": answer.key,
            "port": answer.port,
            "cause": answer.cause,
        }),
    }
}

/// `POST /admin/dead-letters/redrive` and `…/discard`.
pub(super) async fn apply(
    action: Action,
    server: &Server,
    parts: &Parts,
    body: Body,
    context: &RequestContext,
) -> Result<Response<Body>, Problem> {
    let letter = read_body(&parts.headers, body, server.options.body_limit_bytes).await?;
    let letter = Shape::from_schema(&request_schema(action)).fit(letter).map_err(Problem::fields)?;
    let engine = engine_of(server, &letter)?;
    let text = |name: &str| letter.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (subscription, key) = (text("subscription"), text("key"));
    let position = letter.get("position").and_then(Value::as_u64).filter(|_| action == Action::Discard);
    check(engine, &subscription, &key, position).await?;
    tracing::info!(
        subscription,
        position,
        action = ?action,
        reason = text("reason"),
        actor = context.actor,
        request = context.request_id,
        "a dead letter is redriven or discarded"
    );
    accept(
        engine,
        match position {
            Some(position) => Input::Discard { subscription, key, position },
            None => Input::Redrive { subscription, key },
        },
    )
}

/// The engine of the named system, or, where services run alone, of the service in the subscription's name.
fn engine_of<'a>(server: &'a Server, letter: &Value) -> Result<&'a Arc<Engine>, Problem> {
    let system = letter.get("system").and_then(Value::as_str);
    let subscription = letter.get("subscription").and_then(Value::as_str);
    match engine_named(server, system, None) {
        Err(ambiguous) => {
            let service = subscription.and_then(|subscription| subscription.split('.').nth(1));
            service.map_or(Err(ambiguous), |service| engine_named(server, system, Some(service)))
        }
        found => found,
    }
}

/// How many parked rows are searched; whether there is one beyond them, only the writer knows.
const MAX_SEARCHED: usize = 100_000;

/// Whether there is something to decide about. The writer checks again, but its result does not reach the caller.
async fn check(engine: &Arc<Engine>, subscription: &str, key: &str, position: Option<u64>) -> Result<(), Problem> {
    if engine.model().subscriptions.iter().all(|known| known.name != subscription) {
        return Err(Problem::absent(format!("there is no subscription `{subscription}`")));
    }
    let reader = engine.reader().clone();
    let read = tokio::task::spawn_blocking(move || reader.all_parked(false, MAX_SEARCHED));
    let parked = read.await.map_err(|error| Problem::fault(&error))??;
    let positions = parked.iter().filter(|row| row.subscription == subscription && row.key == key).map(|row| row.position);
    match (positions.min(), position) {
        (None, _) if parked.len() < MAX_SEARCHED => {
            Err(Problem::absent(format!("nothing of `{subscription}` is parked under this key")))
        }
        (Some(first), Some(position)) if first != position => {
            let detail = format!("the first position of this key is {first}, not {position}");
            Err(Problem::of_type(types::NOT_THE_FIRST, detail).with("position", json!(first)))
        }
        _ => Ok(()),
    }
}
