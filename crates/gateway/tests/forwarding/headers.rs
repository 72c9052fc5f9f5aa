//! Headers that are forwarded, removed, and set by the gateway.

use axum::Router;
use axum::body::Body;
use axum::http::Response;
use gateway::{ForwardOptions, Forwarding, GatewayOptions, Origins};

use crate::support::{FakeService, Gate, quick, remote};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn the_clients_headers_are_forwarded_and_those_of_proxies_are_the_gateways() {
    let fake = FakeService::named("message").await;
    let gate = Gate::start(&[remote("message", &[&fake])], quick()).await;
    let headers = [
        ("host", "shop:8088"),
        ("connection", "keep-alive, x-private"),
        ("x-private", "1"),
        ("te", "trailers"),
        ("upgrade", "websocket"),
        ("expect", "100-continue"),
        ("proxy-authorization", "secret"),
        ("forwarded", "for=6.6.6.6;host=evil"),
        ("x-forwarded-host", "evil"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-prefix", "/evil"),
        ("authorization", "Bearer t"),
        ("if-match", "\"1\""),
        ("x-pabal-user", "kim"),
        ("x-request-id", "r-1"),
        ("traceparent", TRACE),
        ("tracestate", "a=b"),
    ];
    let answer = gate.send("POST", "/messages", &headers, "{}").await;
    assert_eq!(answer.header("x-request-id"), "r-1");
    let seen = &fake.seen()[0];
    for stays in
        ["x-private", "te", "upgrade", "expect", "proxy-authorization", "x-forwarded-prefix", "x-forwarded-port", "keep-alive"]
    {
        assert_eq!(seen.header(stays), "", "{stays}");
    }
    for (name, value) in [
        ("host", fake.address.to_string().as_str()),
        ("x-forwarded-host", "shop:8088"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-for", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1;host=\"shop:8088\";proto=http"),
        ("authorization", "Bearer t"),
        ("if-match", "\"1\""),
        ("x-pabal-user", "kim"),
        ("x-request-id", "r-1"),
        ("traceparent", TRACE),
        ("tracestate", "a=b"),
        ("content-length", "2"),
    ] {
        assert_eq!(seen.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn missing_ids_are_generated_once_for_all_attempts() {
    let fake = FakeService::statuses(&[502, 502, 200]).await;
    let gate = Gate::start(&[remote("message", &[&fake])], quick()).await;
    let answer = gate.get("/messages").await;
    let seen = fake.seen();
    assert_eq!(seen.len(), 3);
    for name in ["x-request-id", "traceparent"] {
        assert!(seen.iter().all(|one| !one.header(name).is_empty() && one.header(name) == seen[0].header(name)));
    }
    assert_eq!((answer.header("x-request-id"), seen[0].header("x-pabal-user")), (seen[0].header("x-request-id"), ""));
}

#[tokio::test]
async fn a_proxy_in_front_is_trusted_where_that_is_configured() {
    let fake = FakeService::named("message").await;
    let options = ForwardOptions { trust_forwarded: true, ..quick() };
    let gate = Gate::start(&[remote("message", &[&fake])], options).await;
    let proxied = [
        ("x-forwarded-host", "shop.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "444"),
        ("x-forwarded-for", "1.1.1.1"),
    ];
    gate.send("GET", "/messages", &proxied, Body::empty()).await;
    let seen = &fake.seen()[0];
    let names = ["x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-for"];
    assert_eq!(names.map(|name| seen.header(name)), ["shop.example", "https", "444", "1.1.1.1, 127.0.0.1"]);
}

#[tokio::test]
async fn the_services_headers_come_back_except_those_of_its_connection_and_cors() {
    let fake = FakeService::start(|_, _| async {
        let answer = Response::builder().status(201);
        let answer =
            answer.header("location", "http://shop/messages/1").header("etag", "\"1\"").header("idempotency-replayed", "true");
        let answer = answer.header("connection", "x-inner").header("x-inner", "1").header("access-control-allow-origin", "*");
        answer.header("set-cookie", "a=1").header("set-cookie", "b=2").body(Body::from("{}")).unwrap()
    })
    .await;
    let forwarding = Forwarding::try_new(&[rcs::system()], &[remote("message", &[&fake])], quick()).unwrap();
    let options = GatewayOptions { origins: Origins::Listed(["http://page".to_owned()].into()), ..GatewayOptions::default() };
    let gate = Gate::around(forwarding, Router::new(), options).await;
    let answer = gate.send("POST", "/messages", &[("origin", "http://other")], "{}").await;
    assert_eq!(answer.status, 201);
    let names = ["location", "etag", "idempotency-replayed", "x-inner", "access-control-allow-origin"];
    assert_eq!(names.map(|name| answer.header(name)), ["http://shop/messages/1", "\"1\"", "true", "", ""]);
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
    let ours = gate.send("POST", "/messages", &[("origin", "http://page")], "{}").await;
    assert_eq!(ours.header("access-control-allow-origin"), "http://page");
    // The gateway answers preflights itself.
    let before = fake.count();
    let preflight = [("origin", "http://page"), ("access-control-request-method", "PUT")];
    assert_eq!((gate.send("OPTIONS", "/messages", &preflight, Body::empty()).await.status, fake.count()), (204, before));
}

#[tokio::test]
async fn a_response_to_head_has_the_length_and_no_body() {
    let fake =
        FakeService::start(|_, _| async { Response::builder().header("content-length", "12345").body(Body::empty()).unwrap() })
            .await;
    let gate = Gate::start(&[remote("message", &[&fake])], quick()).await;
    let answer = gate.send("HEAD", "/messages", &[], Body::empty()).await;
    assert_eq!((answer.status, answer.header("content-length"), answer.text.as_str()), (200, "12345", ""));
}
