//! Health, metrics, documents and the admin API.

use serde_json::{Map, Value, json};

use super::paths::{request_body, responses};
use crate::admin::{DeadLetterAction, dead_letter_request_schema};

/// Adds their paths.
pub(super) fn add(paths: &mut Map<String, Value>, metrics: bool, admin: bool) {
    let mut put = |path: &str, item: Value| paths.insert(path.to_owned(), item);
    for (path, sentence) in [
        ("/livez", "Liveness: whether the writers make progress."),
        ("/readyz", "Readiness: whether it should receive requests."),
        ("/startupz", "Whether every writer has started."),
        ("/actuator/health", "Health with details, as existing probes expect it."),
        ("/actuator/health/liveness", "The same as `/livez`."),
        ("/actuator/health/readiness", "The same as `/readyz`."),
    ] {
        put(path, get("operations", path, sentence, &[], &health()));
    }
    let file = |media: &str, sentence: &str| {
        responses(json!({"200": {"description": sentence, "content": {media: {"schema": {"type": ["object", "string"]}}}}}), &[])
    };
    put("/openapi.json", get("operations", "/openapi.json", "This document.", &[], &file("application/json", "The document.")));
    put("/asyncapi.json", get("operations", "/asyncapi.json", "The events.", &[], &file("application/json", "The document.")));
    put("/docs", get("operations", "/docs", "These documents as a page.", &[], &file("text/html", "A page.")));
    let mut described = file("text/html", "An explanation, and what to do.");
    described["200"]["content"]["application/json"] = json!({"schema": {"type": "object"}});
    put("/problems", get("operations", "/problems", "The problem types of the platform.", &[], &described));
    described["404"] = json!({"$ref": "#/components/responses/P404"});
    let mut one = get("operations", "/problems/slug", "What the `type` of a problem leads to.", &[], &described);
    one["get"]["parameters"] = json!([{"name": "slug", "in": "path", "required": true,
        "schema": {"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": 64}}]);
    put("/problems/{slug}", one);
    if metrics {
        put("/metrics", get("operations", "/metrics", "A Prometheus scrape.", &[], &file("text/plain", "The metrics.")));
    }
    if admin {
        add_admin(put);
    }
}

fn add_admin(mut put: impl FnMut(&str, Value) -> Option<Value>) {
    let whole = || json!({"type": "integer", "minimum": 0});
    let text = || json!({"type": "string"});
    let instant = || json!({"type": "string", "format": "date-time"});
    let events = [
        ("system", text()),
        ("type", text()),
        ("key", text()),
        ("request", text()),
        ("from", instant()),
        ("to", instant()),
        ("after", whole()),
        ("limit", whole()),
    ];
    let object = |sentence: &str| json!({"200": {"description": sentence, "content": {"application/json": {"schema": {"type": "object"}}}}});
    let mut log = object("Records in order; as `text/event-stream` new records as they are committed.");
    log["200"]["content"]["text/event-stream"] = json!({"schema": {"type": "string"}});
    put("/admin/events", get("admin", "/admin/events", "The log of events.", &events, &responses(log, &[400])));
    let subscriptions = responses(object("Each system with its subscriptions."), &[400]);
    let sentence = "Subscriptions with their positions.";
    put("/admin/subscriptions", get("admin", "/admin/subscriptions", sentence, &[], &subscriptions));
    let parameters = [("system", text()), ("parked", json!({"type": "boolean"})), ("limit", whole())];
    let letters = responses(object("Dead letters, oldest first."), &[400]);
    put(
        "/admin/dead-letters",
        get("admin", "/admin/dead-letters", "Events, timers and answers that could not be handled.", &parameters, &letters),
    );
    put("/admin/dead-letters/redrive", letter("redrive", "Retries a key now.", DeadLetterAction::Redrive));
    put("/admin/dead-letters/discard", letter("discard", "Discards the first dead letter of a key.", DeadLetterAction::Discard));
    let mut rebuild = command("view", "rebuild", "Rebuilds a view beside the one that serves; `number` identifies the rebuild.");
    rebuild["post"]["responses"]["409"] = json!({"$ref": "#/components/responses/P409"});
    put("/admin/views/{view}/rebuild", rebuild);
    put("/admin/services/{service}/pause", command("service", "pause", "Pauses the handling of events; its position stays."));
    put("/admin/services/{service}/resume", command("service", "resume", "Resumes the handling of events."));
}

fn get(tag: &str, path: &str, sentence: &str, parameters: &[(&str, Value)], responses: &Value) -> Value {
    let parameters =
        parameters.iter().map(|(name, schema)| json!({"name": name, "in": "query", "required": false, "schema": schema}));
    json!({"get": {
        "operationId": path.trim_start_matches('/').replace(['/', '.'], "-"),
        "tags": [tag],
        "summary": sentence,
        "parameters": parameters.collect::<Vec<_>>(),
        "responses": responses,
    }})
}

/// A probe's 503 is its verdict, not a problem.
fn health() -> Value {
    let verdict = |sentence: &str| {
        json!({"description": sentence, "content": {"application/json": {"schema": {"type": "object",
        "required": ["status"], "properties": {"status": {"enum": ["UP", "DOWN"]},
            "reasons": {"type": "array", "items": {"type": "string"}}}}}}})
    };
    let mut answers = responses(json!({"200": verdict("Yes.")}), &[]);
    answers["503"] = verdict("No, and why.");
    answers
}

fn accepted(problems: &[u16]) -> Value {
    responses(
        json!({"202": {"description": "Accepted; it is carried out next.", "content": {"application/json": {"schema": {"type": "object"}}}}}),
        problems,
    )
}

fn letter(name: &str, sentence: &str, action: DeadLetterAction) -> Value {
    let problems: Vec<u16> =
        [400, 404, 413, 415].into_iter().chain((action == DeadLetterAction::Discard).then_some(409)).collect();
    json!({"post": {"operationId": format!("admin-dead-letters-{name}"), "tags": ["admin"], "summary": sentence,
        "requestBody": request_body(&dead_letter_request_schema(action), true), "responses": accepted(&problems)}})
}

fn command(subject: &str, name: &str, sentence: &str) -> Value {
    json!({"post": {"operationId": format!("admin-{name}"), "tags": ["admin"], "summary": sentence,
        "parameters": [
            {"name": subject, "in": "path", "required": true, "schema": {"type": "string"}},
            {"name": "system", "in": "query", "required": false, "schema": {"type": "string"}},
        ],
        "responses": accepted(&[400, 404])}})
}
