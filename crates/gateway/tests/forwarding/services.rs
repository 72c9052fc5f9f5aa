//! The real services behind the gateway: clients get the same responses as from the services.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use driver::{Engine, EngineOptions};
use driver::{SystemClock, Uuids};
use gateway::{ForwardOptions, GatewayOptions, Listener, Remote, serve};
use http_api::{HttpOptions, router, router_for_service};
use in_memory::MemoryStore;
use pabal_core::Limits;
use ports::Model;
use tokio::net::TcpListener;

use crate::support::{Gate, MS, quick};

const MESSAGE: &str = r#"{"messageId":"msg-1","userContact":"01012341234","mno":"kt","sendTime":"2024-09-23","chatbotId":"0801234567","description":"test"}"#;

fn engine() -> Arc<Engine> {
    let model = Model::new(rcs::system()).unwrap();
    let store = MemoryStore::new(&model);
    let options = EngineOptions {
        model,
        reader: Arc::new(store.clone()),
        store: Box::new(store),
        clock: Arc::new(SystemClock),
        ids: Arc::new(Uuids),
        zone: jiff::tz::TimeZone::UTC,
        limits: Limits::default(),
        channels: BTreeMap::new(),
        broker: None,
        group: None,
        join_later: false,
    };
    Engine::start(options).unwrap()
}

/// Each service of one engine on its own port, and a gateway that runs none of them.
async fn cluster() -> Gate {
    let engine = engine();
    let behind = HttpOptions { trust_forwarded: true, ..HttpOptions::default() };
    let mut remotes = Vec::new();
    for service in ["message", "validator", "device", "dashboard"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = router_for_service(engine.clone(), service, behind.clone());
        tokio::spawn(serve(vec![Listener { socket: listener, router }], GatewayOptions::default(), std::future::pending()));
        remotes.push(Remote { system: "rcs".into(), service: service.into(), addresses: vec![address] });
    }
    let options = ForwardOptions { per_try: Duration::from_secs(3), overall: Duration::from_secs(9), ..quick() };
    Gate::with(&remotes, options, router(Vec::new(), HttpOptions::default())).await
}

#[tokio::test]
async fn a_message_goes_through_the_gateway_and_its_links_lead_back_to_it() {
    let gate = cluster().await;
    let host = gate.address.to_string();
    let json = [("content-type", "application/json")];
    let created = gate.send("POST", "/messages", &json, MESSAGE).await;
    assert_eq!(created.status, 201, "{created:?}");
    let link = format!("http://{host}/messages/1");
    assert_eq!((created.header("location"), &created.json()["_links"]["self"]["href"]), (link.as_str(), &link.as_str().into()));
    let prefixed = gate.send("GET", "/rcs/messages", &[("host", "shop.example")], Body::empty()).await.json();
    assert_eq!(prefixed["_embedded"]["messages"][0]["_links"]["self"]["href"], "http://shop.example/rcs/messages/1");
    // Until the saga is over: the message's version is its last one then.
    for round in 0.. {
        let rows = gate.get("/myMessages").await.json();
        if rows["_embedded"]["myMessages"][0]["result"] == "validate failed" {
            break;
        }
        assert!(round < 500, "{rows}");
        tokio::time::sleep(10 * MS).await;
    }
    // Conditional requests, rejections and absent entities are answered as by the service.
    let current = gate.get("/messages/1").await;
    let known = gate.send("GET", "/messages/1", &[("if-none-match", current.header("etag"))], Body::empty()).await;
    assert_eq!((current.status, known.status), (200, 304));
    let malformed = gate.send("POST", "/messages", &json, "{").await;
    assert_eq!((malformed.status, malformed.json()["instance"].as_str()), (400, Some("/messages")));
    assert_eq!(gate.get("/messages/77").await.status, 404);
    let denied = gate.send("POST", "/devices", &json, "{}").await;
    assert_eq!((denied.status, denied.header("allow")), (405, "GET, HEAD, OPTIONS"));
    let options = gate.send("OPTIONS", "/messages", &[], Body::empty()).await;
    assert_eq!((options.status, options.header("allow")), (204, "GET, HEAD, POST, OPTIONS"));
    assert!(
        gate.send("GET", "/myMessages", &[("accept", "text/csv")], Body::empty()).await.header("content-type").contains("csv")
    );
    let head = gate.send("HEAD", "/messages/1", &[], Body::empty()).await;
    assert!(head.status == 200 && head.text.is_empty() && !head.header("content-length").is_empty());
    assert_eq!(gate.get("/actuator/health").await.json()["components"]["rcs/device"]["status"], "UP");
    assert_eq!((gate.get("/readyz").await.status, gate.get("/docs").await.status), (200, 200));
}

#[tokio::test]
async fn a_retry_with_the_same_key_is_replayed_through_the_gateway() {
    let gate = cluster().await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "mine")];
    let first = gate.send("POST", "/messages", &headers, MESSAGE).await;
    let again = gate.send("POST", "/rcs/messages", &headers, MESSAGE).await;
    assert_eq!((first.status, again.status, again.header("idempotency-replayed")), (201, 201, "true"));
}

#[tokio::test]
async fn a_request_rejected_by_its_head_alone_gets_the_services_response() {
    let gate = cluster().await;
    let json = [("content-type", "application/json")];
    for _ in 0..20 {
        let too_large = gate.send("POST", "/messages", &json, vec![b' '; 3 << 20]).await;
        assert_eq!((too_large.status, too_large.json()["type"].as_str()), (413, Some("/problems/too-large")));
        assert_eq!(gate.send("PUT", "/devices/1", &json, vec![b' '; 3 << 20]).await.status, 405);
        assert_eq!(gate.send("PUT", "/messages/77", &json, vec![b' '; 3 << 20]).await.status, 404);
    }
    assert_eq!(gate.upstream("message", 0).1, "CLOSED");
    // An accepted body arrives without delay.
    let started = std::time::Instant::now();
    let taken = gate.send("POST", "/messages", &json, format!("{MESSAGE}{}", " ".repeat(500_000))).await;
    assert!(taken.status == 201 && started.elapsed() < 990 * MS, "{taken:?}");
}
