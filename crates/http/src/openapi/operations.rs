//! Health, metrics, documents and the admin API.

use serde_json::{Map, Value, json};

use super::paths::{request_body, responses};
use crate::dead_letters::letter_schema;

/// Adds their paths.
pub(super) fn add(paths: &mut Map<String, Value>, metrics: bool, admin: bool) {
    let mut put = |path: &str, item: Value| paths.insert(path.to_owned(), item);
    for (path, sentence) in [
        ("/livez", "Whether it can still make progress."),
        ("/readyz", "Whether it should get requests."),
        ("/startupz", "Whether it has started."),
        ("/actuator/health", "All of it, as existing probes read it."),
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
    put("/docs", get("operations", "/docs", "These documents, for people.", &[], &file("text/html", "A page.")));
    let mut described = file("text/html", "What has happened, and what to do.");
    described["200"]["content"]["application/json"] = json!({"schema": {"type": "object"}});
    put("/problems", get("operations", "/problems", "Every problem that the machine answers.", &[], &described));
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
    let mut log = object("Records in order; as `text/event-stream` those to come.");
    log["200"]["content"]["text/event-stream"] = json!({"schema": {"type": "string"}});
    put("/admin/events", get("admin", "/admin/events", "The log of events.", &events, &responses(log, &[400])));
    let subscriptions = responses(object("Each system with its followers."), &[400]);
    put("/admin/followers", get("admin", "/admin/followers", "Who follows the log, and how far.", &[], &subscriptions));
    let parameters = [("system", text()), ("parked", json!({"type": "boolean"})), ("limit", whole())];
    let letters = responses(object("Dead letters, oldest first."), &[400]);
    put("/admin/dead-letters", get("admin", "/admin/dead-letters", "What could not be handled.", &parameters, &letters));
    put("/admin/dead-letters/redrive", letter("redrive", "Tries a key again now.", false));
    put("/admin/dead-letters/discard", letter("discard", "Gives up the event at the head of a key.", true));
    let mut rebuild = command("view", "rebuild", "Builds a view anew beside the one that serves; `number` is its own.");
    rebuild["post"]["responses"]["409"] = json!({"$ref": "#/components/responses/P409"});
    put("/admin/views/{view}/rebuild", rebuild);
    put("/admin/services/{service}/pause", command("service", "pause", "Stops handling of events; its log waits for it."));
    put("/admin/services/{service}/resume", command("service", "resume", "Starts handling of events again."));
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

/// A probe's 503 is its verdict and no problem.
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
        json!({"202": {"description": "It will be done.", "content": {"application/json": {"schema": {"type": "object"}}}}}),
        problems,
    )
}

fn letter(name: &str, sentence: &str, discard: bool) -> Value {
    let problems: Vec<u16> = [400, 404, 413, 415].into_iter().chain(discard.then_some(409)).collect();
    json!({"post": {"operationId": format!("admin-dead-letters-{name}"), "tags": ["admin"], "summary": sentence,
        "requestBody": request_body(&letter_schema(discard), true), "responses": accepted(&problems)}})
}

fn command(subject: &str, name: &str, sentence: &str) -> Value {
    json!({"post": {"operationId": format!("admin-{name}"), "tags": ["admin"], "summary": sentence,
        "parameters": [
            {"name": subject, "in": "path", "required": true, "schema": {"type": "string"}},
            {"name": "system", "in": "query", "required": false, "schema": {"type": "string"}},
        ],
        "responses": accepted(&[400, 404])}})
}
