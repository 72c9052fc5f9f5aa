//! Commands over HTTP: requests and their responses.

#![allow(clippy::unwrap_used)] // a failing helper fails the test

mod common;

use axum::body::Body;
use axum::http::Request;
use common::Client;
use http_api::RequestLog;
use serde_json::json;
use tower::ServiceExt;

#[tokio::test]
async fn a_note_is_created_read_changed_and_closed() {
    let client = Client::one();
    let made = client.post("/notes", r#"{"title": "milk", "colour": "", "id": 0, "other": null}"#).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.header("location"), "http://here:8088/notes/1");
    let shown = json!({"id": 1, "title": "milk", "colour": "red", "closed": false, "_links": {
        "self": {"href": "http://here:8088/notes/1"}, "close": {"href": "http://here:8088/notes/1/close"}}});
    assert_eq!(made.json(), shown);

    let read = client.get("/notes/1").await;
    assert_eq!((read.status.as_u16(), read.json()), (200, shown));
    let changed = client.call("PUT", "/notes/1", &[], &read.text.replace("milk", "bread")).await;
    assert_eq!((changed.status.as_u16(), changed.json()["title"].clone()), (200, json!("bread")));
    let merged = client.call("PATCH", "/notes/1", &[], r#"{"colour": "blue"}"#).await;
    assert_eq!(merged.json()["title"], "bread", "{}", merged.text);
    assert_eq!(merged.json()["colour"], "blue");

    let gone = client.call("DELETE", "/notes/1", &[], "").await;
    assert_eq!((gone.status.as_u16(), gone.text.as_str()), (204, ""));
    let closed = client.get("/notes/1/").await.json();
    assert_eq!(closed["_links"], json!({"self": {"href": "http://here:8088/notes/1"}}));
    assert_eq!(client.call("DELETE", "/notes/1", &[], "").await.status, 204);
}

#[tokio::test]
async fn links_of_a_prefixed_path_are_prefixed() {
    let client = Client::one();
    let made = client.post("/desk1/notes/", r#"{"title": "milk"}"#).await;
    assert_eq!(made.header("location"), "http://here:8088/desk1/notes/1");
    assert_eq!(made.json()["_links"]["close"]["href"], "http://here:8088/desk1/notes/1/close");
}

#[tokio::test]
async fn creating_an_existing_entity_returns_it() {
    let client = Client::one();
    assert_eq!(client.post("/notes", r#"{"name": "n", "title": "milk"}"#).await.status, 201);
    let again = client.post("/notes", r#"{"name": "n", "title": "milk"}"#).await;
    assert_eq!((again.status.as_u16(), again.json()["id"].clone()), (200, json!(1)));
}

#[tokio::test]
async fn every_invalid_field_is_named() {
    let client = Client::one();
    let rejected = client.post("/notes", r#"{"colour": "green", "name": 7}"#).await;
    assert_eq!(rejected.status, 400);
    assert_eq!(rejected.header("content-type"), "application/problem+json");
    let problem = rejected.json();
    let fields: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["name", "title", "colour"]);
    assert_eq!(problem["message"], problem["detail"]);
    assert_eq!(problem["type"], "/problems/malformed");
}

#[tokio::test]
async fn forms_are_accepted() {
    let client = Client::one();
    let form = ["content-type: application/x-www-form-urlencoded"];
    let made = client.call("POST", "/notes", &form, "title=a+b&colour=blue").await;
    assert_eq!((made.status.as_u16(), made.json()["title"].clone()), (201, json!("a b")));
    assert_eq!(client.call("POST", "/notes", &["content-type: text/xml"], "<a/>").await.status, 415);
}

#[tokio::test]
async fn an_action_needs_no_body_and_is_accepted_only_while_allowed() {
    let client = Client::one();
    client.post("/notes", r#"{"title": "milk"}"#).await;
    assert_eq!(client.call("PUT", "/notes/1/close", &[], "").await.json()["closed"], true);
    let again = client.call("PATCH", "/notes/1/close", &[], "").await;
    assert_eq!((again.status.as_u16(), again.json()["type"].clone()), (409, json!("/problems/not-allowed-now")));
    let rejected = client.call("PUT", "/notes/1", &[], r#"{"title": "bread"}"#).await;
    assert_eq!((rejected.status.as_u16(), rejected.json()["type"].clone()), (422, json!("/problems/already-closed")));
}

#[tokio::test]
async fn an_idempotency_key_replays_the_first_response() {
    let client = Client::one();
    let key = ["idempotency-key: k-1"];
    let first = client.call("POST", "/notes", &key, r#"{"title": "milk", "colour": "red"}"#).await;
    let again = client.call("POST", "/desk1/notes", &key, r#"{"colour": "red", "title": "milk"}"#).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.json()["id"], 1);
    let other = client.call("POST", "/notes", &key, r#"{"title": "bread"}"#).await;
    assert_eq!((other.status.as_u16(), other.json()["type"].clone()), (422, json!("/problems/idempotency-key-reused")));
    let close = client.call("POST", "/notes/1/close", &["idempotency-key: c"], "").await;
    let repeated = client.call("POST", "/notes/1/close", &["idempotency-key: c"], "").await;
    assert_eq!((close.status.as_u16(), repeated.status.as_u16()), (200, 200));
}

#[tokio::test]
async fn a_stale_change_is_rejected() {
    let client = Client::one();
    let made = client.post("/notes", r#"{"title": "milk"}"#).await;
    let tag = format!("if-match: {}", made.header("etag"));
    assert_eq!(client.call("PUT", "/notes/1", &[&tag], r#"{"title": "bread"}"#).await.status, 200);
    for method in ["PUT", "PATCH"] {
        assert_eq!(client.call(method, "/notes/1", &[&tag], r#"{"title": "eggs"}"#).await.status, 412);
    }
    assert_eq!(client.call("DELETE", "/notes/1", &[&tag], "").await.status, 412);
}

#[tokio::test]
async fn malformed_requests_are_rejected_and_a_panic_is_an_internal_error() {
    let client = Client::one();
    assert_eq!(client.post("/notes", "{\"title\":").await.status, 400);
    assert_eq!(client.call("POST", "/notes", &["content-type: application/json"], "[]").await.status, 400);
    let long = format!(r#"{{"title": "{}"}}"#, "x".repeat(2 << 20));
    assert_eq!(client.post("/notes", &long).await.status, 413);
    let fault = client.post("/notes", r#"{"title": "panic"}"#).await;
    assert_eq!(fault.status, 500);
    assert!(!fault.text.contains("the note said so"));
    assert_eq!(client.post("/notes", r#"{"title": "milk"}"#).await.status, 201);
}

#[tokio::test]
async fn the_cause_is_recorded_on_events() {
    let client = Client::one();
    let headers =
        ["x-request-id: r-7", "x-pabal-user: kim", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"];
    let made = client.call("POST", "/notes", &headers, r#"{"title": "milk"}"#).await;
    assert_eq!(made.header("x-request-id"), "r-7");
    let events = client.get("/admin/events?request=r-7").await.json();
    let event = &events["_embedded"]["events"][0];
    assert_eq!(
        (&event["type"], &event["data"]["title"], &event["cause"]["actor"]),
        (&json!("Written"), &json!("milk"), &json!("kim"))
    );
}

#[tokio::test]
async fn the_request_log_of_a_change_has_route_and_key_and_that_of_a_read_has_no_key() {
    let client = Client::one();
    let trail = async |method: &str, target: &str, body: &'static str| {
        let request = Request::builder().method(method).uri(target).header("content-type", "application/json");
        let response = client.0.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let trail = response.extensions().get::<RequestLog>().unwrap();
        (trail.route().map(ToString::to_string), trail.service(), trail.key().map(str::to_owned))
    };
    let (route, entity) = (Some("/desk1/notes".to_owned()), Some("/desk1/notes/{id}".to_owned()));
    let key = Some("milk-1".to_owned());
    let created = trail("POST", "/notes", r#"{"name": "milk-1", "title": "milk"}"#).await;
    assert_eq!(created, (route, Some("desk"), key.clone()));
    assert_eq!(trail("DELETE", "/notes/1", "").await, (entity.clone(), Some("desk"), key.clone()));
    // A rejected change has its key, too.
    assert_eq!(trail("PUT", "/notes/1", r#"{"title": "bread"}"#).await, (entity.clone(), Some("desk"), key));
    assert_eq!(trail("GET", "/notes/1", "").await, (entity, Some("desk"), None));
    assert_eq!(trail("GET", "/nowhere", "").await, (None, None, None));
}
