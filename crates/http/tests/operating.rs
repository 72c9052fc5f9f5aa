//! Health, documents and the admin API.

#![allow(clippy::unwrap_used)] // a failing helper fails the test

mod common;

use common::{Client, engine, notes};
use http_api::{HttpOptions, asyncapi, openapi, router};
use http_body_util::BodyExt;
use runtime::Model;
use serde_json::{Value, json};
use tower::ServiceExt;

#[tokio::test]
async fn probes_answer_and_stopping_is_not_ready() {
    let options = HttpOptions { stuck_after_ms: i64::MAX, ..HttpOptions::default() };
    let client = Client(router(vec![engine(notes("desk1"))], options.clone()));
    // The first pulse is published a moment after the first answer; until then a start-up probe waits, as it should.
    for _ in 0..200 {
        if client.get("/startupz").await.status == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    for probe in ["/livez", "/readyz", "/startupz", "/actuator/health", "/actuator/health/liveness"] {
        let verdict = client.get(probe).await;
        assert_eq!((verdict.status.as_u16(), verdict.json()["status"].clone()), (200, json!("UP")), "{probe}: {}", verdict.text);
    }
    options.ready.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(client.get("/readyz").await.status, 503);
    assert_eq!(client.get("/livez").await.status, 200);
    assert_eq!(client.post("/livez", "").await.header("allow"), "GET, HEAD, OPTIONS");
}

#[tokio::test]
async fn metrics_are_there_only_where_somebody_renders_them() {
    assert_eq!(Client::one().get("/metrics").await.status, 404);
    let options = HttpOptions { metrics: Some(std::sync::Arc::new(|| "up 1\n".into())), ..HttpOptions::default() };
    assert_eq!(Client(router(vec![engine(notes("desk1"))], options)).get("/metrics").await.text, "up 1\n");
}

#[tokio::test]
async fn the_log_is_read_in_order_and_in_part() {
    let client = Client::one();
    for title in ["a", "b", "c"] {
        client.post("/notes", &json!({"title": title, "name": title}).to_string()).await;
    }
    let events = client.get("/admin/events?type=Written&limit=2").await.json();
    let titles: Vec<_> =
        events["_embedded"]["events"].as_array().unwrap().iter().map(|event| event["data"]["title"].clone()).collect();
    assert_eq!(titles, [json!("a"), json!("b")]);
    let next = client.get(events["_links"]["next"]["href"].as_str().unwrap()).await.json();
    assert_eq!(next["_embedded"]["events"][0]["key"], "c");
    assert_eq!(client.get("/admin/events?key=b").await.json()["_embedded"]["events"].as_array().unwrap().len(), 1);
    assert_eq!(client.get("/admin/events?after=x").await.status, 400);
    assert_eq!(client.get("/admin/events?system=other").await.status, 400);
}

#[tokio::test]
async fn followers_dead_letters_and_rebuilds_are_at_hand() {
    let client = Client::one();
    assert_eq!(client.get("/admin/followers").await.json()["systems"][0]["system"], "desk1");
    assert_eq!(client.get("/admin/dead-letters").await.json(), json!({"_embedded": {"deadLetters": []}}));
    assert_eq!(client.post("/admin/views/lines/rebuild", "").await.status, 202);
    assert_eq!(client.post("/admin/views/other/rebuild", "").await.status, 404);
    assert_eq!(client.get("/admin/views/lines/rebuild").await.header("allow"), "POST, OPTIONS");
    assert_eq!(client.post("/admin/dead-letters/redrive", r#"{"follower": "f", "key": "k"}"#).await.status, 202);
    let faulty = client.post("/admin/dead-letters/discard", r#"{"follower": "f"}"#).await.json();
    assert_eq!(faulty["errors"].as_array().unwrap().len(), 2);
}

/// Follows every `$ref` of a document.
fn dangling(document: &Value, at: &Value, found: &mut Vec<String>) {
    match at {
        Value::Object(map) => {
            if let Some(target) = map.get("$ref").and_then(Value::as_str)
                && document.pointer(&target[1..]).is_none()
            {
                found.push(target.to_owned());
            }
            map.values().for_each(|value| dangling(document, value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| dangling(document, value, found)),
        _ => {}
    }
}

#[test]
fn the_document_names_every_path_in_both_forms_and_every_answer() {
    let document = openapi(&[Model::of(notes("desk1")).unwrap()], "1.0");
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    let forms = ["", "/{id}", "/totals", "/search", "/search/findByTitle", "/{id}/close"];
    for (base, form) in ["/notes", "/desk1/notes"].iter().flat_map(|base| forms.map(|form| (base, form))) {
        assert!(paths.contains(&&format!("{base}{form}")), "{base}{form}");
    }
    let create: Vec<&String> = document["paths"]["/notes"]["post"]["responses"].as_object().unwrap().keys().collect();
    let statuses = ["201", "200", "204", "400", "402", "403", "404", "409", "413", "415", "422", "429", "431", "500", "503"];
    assert_eq!(create, statuses);
    let mut found = Vec::new();
    dangling(&document, &document, &mut found);
    assert!(found.is_empty(), "{found:?}");
    let ids = document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let mut ids: Vec<&str> = ids.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

#[test]
fn a_name_that_systems_share_is_documented_as_such() {
    let models = [Model::of(notes("desk1")).unwrap(), Model::of(notes("desk2")).unwrap()];
    let document = openapi(&models, "1.0");
    assert!(document["paths"]["/notes"]["get"]["responses"]["300"].is_object());
    assert!(document["paths"]["/notes/{id}"].is_null());
    assert!(document["paths"]["/desk2/notes/{id}"].is_object());
}

#[test]
fn the_events_are_documented_with_who_sends_and_who_follows() {
    let document = asyncapi(&[Model::of(notes("desk1")).unwrap()], "1.0");
    let message = &document["channels"]["notes-topic"]["messages"]["Written"];
    assert_eq!(message["summary"], "It says something now.");
    assert!(message["payload"]["properties"]["title"].is_object(), "{message}");
    assert_eq!(document["operations"]["desk1.desk.send"]["action"], "send");
    assert_eq!(document["operations"]["desk1.wall.lines.receive"]["messages"].as_array().unwrap().len(), 2);
    let mut found = Vec::new();
    dangling(&document, &document, &mut found);
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test]
async fn the_log_is_followed_as_it_grows() {
    let client = Client::one();
    client.post("/notes", r#"{"title": "before"}"#).await;
    let follow = |headers: &[(&str, &str)]| {
        let mut request = axum::http::Request::builder().uri("/admin/events").header("accept", "text/event-stream");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        client.0.clone().oneshot(request.body(axum::body::Body::empty()).unwrap())
    };
    let mut live = follow(&[]).await.unwrap().into_body();
    let mut resumed = follow(&[("last-event-id", "0")]).await.unwrap().into_body();
    client.post("/notes", r#"{"title": "after"}"#).await;
    let heard = frame(&mut live).await;
    assert!(heard.contains("after") && heard.contains("event: Written") && heard.contains("id: 2"), "{heard}");
    assert!(frame(&mut resumed).await.contains("before"));
}

async fn frame(body: &mut axum::body::Body) -> String {
    let frame = body.frame().await.unwrap().unwrap();
    String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
}
