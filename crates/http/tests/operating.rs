//! Health, documents and the admin API.

#![allow(clippy::unwrap_used)] // a failing helper fails the test

mod common;

use std::sync::Arc;

use common::{BATCH_ITEMS, Client, engine, engine_with, notes};
use driver::SystemClock;
use http_api::{HttpOptions, asyncapi, openapi, router};
use http_body_util::BodyExt;
use ports::Model;
use serde_json::{Value, json};
use tower::ServiceExt;

#[tokio::test]
async fn probes_are_up_and_a_stopping_process_is_not_ready() {
    let options = HttpOptions { stuck_after_ms: i64::MAX, ..HttpOptions::default() };
    let client = Client(router(vec![engine(notes("desk1"))], options.clone()));
    // The first heartbeat is published shortly after the start; until then the start-up probe is down.
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
async fn metrics_are_served_only_where_a_renderer_is_set() {
    assert_eq!(Client::one().get("/metrics").await.status, 404);
    let options = HttpOptions { metrics: Some(std::sync::Arc::new(|| "up 1\n".into())), ..HttpOptions::default() };
    assert_eq!(Client(router(vec![engine(notes("desk1"))], options)).get("/metrics").await.text, "up 1\n");
}

#[tokio::test]
async fn the_log_is_read_in_order_and_filtered() {
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
async fn subscriptions_and_dead_letters_are_listed() {
    let client = Client::one();
    assert_eq!(client.get("/admin/subscriptions").await.json()["systems"][0]["system"], "desk1");
    assert_eq!(client.get("/admin/dead-letters").await.json(), json!({"_embedded": {"deadLetters": []}}));
    let faulty = client.post("/admin/dead-letters/discard", r#"{"subscription": "f"}"#).await.json();
    assert_eq!(faulty["errors"].as_array().unwrap().len(), 2);
}

/// The first event that is parked, of any subscription.
async fn parked(client: &Client) -> Value {
    for _ in 0..200 {
        let letter = client.get("/admin/dead-letters?parked=true").await.json()["_embedded"]["deadLetters"][0].take();
        if letter.is_object() {
            return letter;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("nothing was parked");
}

#[tokio::test]
async fn redriving_or_discarding_what_is_not_parked_is_rejected() {
    let client = Client::one();
    client.post("/notes", r#"{"name": "n", "title": "torn"}"#).await;
    let letter = parked(&client).await;
    assert_eq!((&letter["subscription"], &letter["key"]), (&json!("desk1.wall.lines"), &json!("n")));
    let position = letter["position"].as_u64().unwrap();
    let decide = async |action: &str, subscription: &str, key: &str, position: u64| {
        let body = json!({"subscription": subscription, "key": key, "position": position}).to_string();
        client.post(&format!("/admin/dead-letters/{action}"), &body).await
    };
    for action in ["redrive", "discard"] {
        assert_eq!(decide(action, "desk1.wall.unknown", "n", position).await.status, 404);
        let absent = decide(action, "desk1.wall.lines", "other", position).await;
        assert_eq!((absent.status.as_u16(), absent.json()["type"].clone()), (404, json!("/problems/absent")));
    }
    let not_first = decide("discard", "desk1.wall.lines", "n", position + 1).await;
    assert_eq!((not_first.status.as_u16(), not_first.json()["type"].clone()), (409, json!("/problems/not-the-first")));
    assert_eq!(not_first.json()["position"], position);
    assert_eq!(decide("redrive", "desk1.wall.lines", "n", position + 1).await.status, 202);
    assert_eq!(decide("discard", "desk1.wall.lines", "n", position).await.status, 202);
    for _ in 0..200 {
        if decide("discard", "desk1.wall.lines", "n", position).await.status == 404 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the dead letter was never discarded");
}

#[tokio::test]
async fn a_rebuild_has_a_number_and_there_is_one_at_a_time() {
    let client =
        Client(router(vec![engine_with(notes("desk1"), Arc::new(SystemClock), |reader| reader)], HttpOptions::default()));
    assert_eq!(client.post("/admin/views/other/rebuild", "").await.status, 404);
    assert_eq!(client.get("/admin/views/lines/rebuild").await.header("allow"), "POST, OPTIONS");
    // Several batches, so that the status shows the rebuild before it ends.
    for _ in 0..3 * BATCH_ITEMS {
        client.post("/notes", r#"{"title": "long"}"#).await;
    }
    let begun = client.post("/admin/views/lines/rebuild", "").await;
    assert_eq!((begun.status.as_u16(), begun.json()["number"].clone()), (202, json!(1)), "{}", begun.text);
    let second = client.post("/admin/views/lines/rebuild", "").await;
    let problem = second.json();
    assert_eq!((&problem["type"], &problem["view"]), (&json!("/problems/rebuild-running"), &json!("lines")), "{problem}");
    assert_eq!(second.status, 409);
    for _ in 0..300 {
        let status = client.get("/admin/subscriptions").await.json()["systems"][0]["status"].take();
        if status["rebuilt"]["number"] == 1 {
            assert_eq!((&status["rebuilt"]["view"], &status["rebuild"]), (&json!("lines"), &json!(null)));
            assert_eq!(status["rebuilt"]["position"], status["lastSeq"]);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the view was never rebuilt");
}

#[tokio::test]
async fn every_problem_leads_to_a_page_that_explains_it() {
    let client = Client::one();
    let problem = client.get("/notes/9").await.json();
    let kind = problem["type"].as_str().unwrap();
    let page = client.call("GET", kind, &["accept: text/html,*/*;q=0.8"], "").await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.text.contains("<h1>Absent</h1>") && page.text.contains("What to do"), "{}", page.text);
    assert_eq!(client.get(kind).await.json()["status"], 404);
    let all = client.get("/problems").await.json();
    assert_eq!(all["problems"].as_array().unwrap().len(), http_api::problem_types::ALL.len());
    for one in all["problems"].as_array().unwrap() {
        assert_eq!(client.get(one["type"].as_str().unwrap()).await.json(), *one);
    }
}

#[tokio::test]
async fn a_rule_of_a_service_has_a_page_and_a_malformed_slug_has_none() {
    let client = Client::one();
    let rule = client.get("/problems/already-closed").await.json();
    assert_eq!((&rule["title"], &rule["status"]), (&json!("Already closed"), &json!(null)));
    for odd in ["/problems/%3Cb%3E", "/problems/A", "/problems/a/b"] {
        assert_eq!(client.get(odd).await.status, 404, "{odd}");
    }
}

/// Collects every `$ref` of a document that leads nowhere.
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
fn the_document_lists_every_path_in_both_forms_and_every_response() {
    let document = openapi(&[Model::new(notes("desk1")).unwrap()], "1.0");
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
fn a_shared_name_is_documented_as_ambiguous() {
    let models = [Model::new(notes("desk1")).unwrap(), Model::new(notes("desk2")).unwrap()];
    let document = openapi(&models, "1.0");
    assert!(document["paths"]["/notes"]["get"]["responses"]["300"].is_object());
    assert!(document["paths"]["/notes/{id}"].is_null());
    assert!(document["paths"]["/desk2/notes/{id}"].is_object());
}

#[test]
fn events_are_documented_with_senders_and_receivers() {
    let document = asyncapi(&[Model::new(notes("desk1")).unwrap()], "1.0");
    let message = &document["channels"]["notes-topic"]["messages"]["Written"];
    assert_eq!(message["summary"], "The note has a text.");
    assert!(message["payload"]["properties"]["title"].is_object(), "{message}");
    assert_eq!(document["operations"]["desk1.desk.send"]["action"], "send");
    assert_eq!(document["operations"]["desk1.wall.lines.receive"]["messages"].as_array().unwrap().len(), 2);
    let mut found = Vec::new();
    dangling(&document, &document, &mut found);
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test]
async fn new_records_are_streamed_as_they_are_committed() {
    let client = Client::one();
    client.post("/notes", r#"{"title": "before"}"#).await;
    let stream = |headers: &[(&str, &str)]| {
        let mut request = axum::http::Request::builder().uri("/admin/events").header("accept", "text/event-stream");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        client.0.clone().oneshot(request.body(axum::body::Body::empty()).unwrap())
    };
    let mut live = stream(&[]).await.unwrap().into_body();
    let mut resumed = stream(&[("last-event-id", "0")]).await.unwrap().into_body();
    client.post("/notes", r#"{"title": "after"}"#).await;
    let received = frame(&mut live).await;
    assert!(received.contains("after") && received.contains("event: Written") && received.contains("id: 2"), "{received}");
    assert!(frame(&mut resumed).await.contains("before"));
}

async fn frame(body: &mut axum::body::Body) -> String {
    let frame = body.frame().await.unwrap().unwrap();
    String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
}
