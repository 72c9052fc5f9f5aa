//! What could not be handled: the list of it, and what a person decides about each.

use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use driver::Engine;
use pabal_core::Input;
use ports::{ParkedRow, ParkedWork};
use serde_json::{Value, json};

use crate::admin::{engine_named, limit, shown, tell, time};
use crate::context::RequestContext;
use crate::ops::answer as json_answer;
use crate::problem::Problem;
use crate::query::Params;
use crate::shape::Shape;
use crate::site::Site;
use crate::{body, problem_types};

/// What redrive and discard are told, as JSON Schema; the documents show it, requests are checked against it.
pub(crate) fn letter_schema(discard: bool) -> Value {
    let mut schema = json!({
        "type": "object",
        "properties": {
            "system": {"type": "string", "description": "Which system; needed where several run."},
            "follower": {"type": "string", "minLength": 1, "description": "Who could not handle it."},
            "key": {"type": "string", "minLength": 1, "description": "The order key."}
        },
        "required": ["follower", "key"]
    });
    if discard {
        schema["properties"]["place"] =
            json!({"type": "integer", "format": "uint64", "minimum": 0, "description": "The place of the event that was seen."});
        schema["properties"]["reason"] = json!({"type": "string", "description": "Why it is given up; it is logged."});
        schema["required"] = json!(["follower", "key", "place"]);
    }
    schema
}

/// `GET /admin/dead-letters`: dead ones, with `?parked=true` also those that wait.
pub(crate) async fn list(site: &Site, params: &Params) -> Result<Response<Body>, Problem> {
    let (dead_only, limit) = (!params.flag("parked")?, limit(params)?);
    let engines = match (params.get("system"), params.get("service")) {
        (None, None) => site.engines.clone(),
        (system, service) => vec![engine_named(site, system, service)?.clone()],
    };
    let read = tokio::task::spawn_blocking(move || {
        let mut letters = Vec::new();
        for engine in engines {
            let rows = engine.reader().all_parked(dead_only, limit)?;
            letters.extend(rows.iter().map(|row| shown_letter(engine.model().system.name, row)));
        }
        Ok::<_, Problem>(letters)
    });
    let letters = read.await.map_err(|error| Problem::fault(&error))??;
    Ok(json_answer(StatusCode::OK, &json!({"_embedded": {"deadLetters": letters}})))
}

fn shown_letter(system: &str, row: &ParkedRow) -> Value {
    json!({
        "system": system,
        "follower": row.subscription,
        "key": row.key,
        "place": row.position,
        "attempts": row.attempts,
        "dead": row.dead,
        "cause": row.cause,
        "since": time(row.since_ms),
        "nextTry": (!row.dead).then(|| time(row.next_try_ms)),
        "event": shown_work(&row.work),
    })
}

fn shown_work(work: &ParkedWork) -> Value {
    match work {
        ParkedWork::Event(record) => shown(record),
        ParkedWork::Timer(timer) => json!({
            "timer": timer.name,
            "table": timer.table,
            "key": timer.key,
            "due": time(timer.due_ms),
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

/// `POST /admin/dead-letters/redrive` and `…/discard`: the first event that is parked for a key is tried again, or given up.
pub(crate) async fn decide(
    site: &Site,
    parts: &Parts,
    body: Body,
    context: &RequestContext,
    discard: bool,
) -> Result<Response<Body>, Problem> {
    let letter = body::read(&parts.headers, body, site.options.body_limit_bytes).await?;
    let letter = Shape::of(&letter_schema(discard)).fit(letter).map_err(Problem::fields)?;
    let engine = engine_of(site, &letter)?;
    let text = |name: &str| letter.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (subscription, key) = (text("follower"), text("key"));
    let place = letter.get("place").and_then(Value::as_u64).filter(|_| discard);
    check(engine, &subscription, &key, place).await?;
    tracing::info!(
        subscription,
        place,
        discard,
        reason = text("reason"),
        actor = context.actor,
        request = context.request_id,
        "a dead letter is redriven or discarded"
    );
    tell(
        engine,
        match place {
            Some(place) => Input::Discard { subscription, key, position: place },
            None => Input::Redrive { subscription, key },
        },
    )
}

/// Whose it is: the system says it, and the follower's name the service, where services stand alone.
fn engine_of<'a>(site: &'a Site, letter: &Value) -> Result<&'a Arc<Engine>, Problem> {
    let system = letter.get("system").and_then(Value::as_str);
    let subscription = letter.get("follower").and_then(Value::as_str);
    match engine_named(site, system, None) {
        Err(unclear) => {
            let service = subscription.and_then(|subscription| subscription.split('.').nth(1));
            service.map_or(Err(unclear), |service| engine_named(site, system, Some(service)))
        }
        found => found,
    }
}

/// So many parked events are looked through; whether something is parked behind them, only the writer knows.
const LOOKED_THROUGH: usize = 100_000;

/// Whether there is something to decide about. The writer asks itself again when it is its turn; this is for the caller,
/// who would not hear of it from there.
async fn check(engine: &Arc<Engine>, subscription: &str, key: &str, place: Option<u64>) -> Result<(), Problem> {
    if engine.model().subscriptions.iter().all(|known| known.name != subscription) {
        return Err(Problem::absent(format!("there is no follower `{subscription}`")));
    }
    let reader = engine.reader().clone();
    let read = tokio::task::spawn_blocking(move || reader.all_parked(false, LOOKED_THROUGH));
    let parked = read.await.map_err(|error| Problem::fault(&error))??;
    let places = parked.iter().filter(|row| row.subscription == subscription && row.key == key).map(|row| row.position);
    match (places.min(), place) {
        (None, _) if parked.len() < LOOKED_THROUGH => {
            Err(Problem::absent(format!("nothing of `{subscription}` is parked under this key")))
        }
        (Some(first), Some(place)) if first != place => {
            let detail = format!("first stands the event at {first}, not the one at {place}");
            Err(Problem::of(problem_types::NOT_THE_FIRST, detail).with("place", json!(first)))
        }
        _ => Ok(()),
    }
}
