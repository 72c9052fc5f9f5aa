//! What of a header goes on, what stays, and what is put there.

use axum::Router;
use axum::body::Body;
use axum::http::Response;
use gateway::{ForwardOptions, Forwarding, GatewayOptions, Origins};

use crate::support::{Fake, Gate, quick, remote};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn what_goes_on_is_the_clients_and_what_vouches_is_ours() {
    let fake = Fake::named("message").await;
    let gate = Gate::open(&[remote("message", &[&fake])], quick()).await;
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
async fn what_a_client_does_not_say_is_made_once_for_all_tries() {
    let fake = Fake::statuses(&[502, 502, 200]).await;
    let gate = Gate::open(&[remote("message", &[&fake])], quick()).await;
    let answer = gate.get("/messages").await;
    let seen = fake.seen();
    assert_eq!(seen.len(), 3);
    for name in ["x-request-id", "traceparent"] {
        assert!(seen.iter().all(|one| !one.header(name).is_empty() && one.header(name) == seen[0].header(name)));
    }
    assert_eq!((answer.header("x-request-id"), seen[0].header("x-pabal-user")), (seen[0].header("x-request-id"), ""));
}

#[tokio::test]
async fn a_proxy_in_front_is_believed_where_that_is_said() {
    let fake = Fake::named("message").await;
    let options = ForwardOptions { trust_forwarded: true, ..quick() };
    let gate = Gate::open(&[remote("message", &[&fake])], options).await;
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
async fn what_comes_back_is_the_services_but_for_its_connection_and_cors() {
    let fake = Fake::start(|_, _| async {
        let answer = Response::builder().status(201);
        let answer =
            answer.header("location", "http://shop/messages/1").header("etag", "\"1\"").header("idempotency-replayed", "true");
        let answer = answer.header("connection", "x-inner").header("x-inner", "1").header("access-control-allow-origin", "*");
        answer.header("set-cookie", "a=1").header("set-cookie", "b=2").body(Body::from("{}")).unwrap()
    })
    .await;
    let forwarding = Forwarding::of(&[rcs::system()], &[remote("message", &[&fake])], quick()).unwrap();
    let options = GatewayOptions { origins: Origins::Listed(["http://page".to_owned()].into()), ..GatewayOptions::default() };
    let gate = Gate::around(forwarding, Router::new(), options).await;
    let answer = gate.send("POST", "/messages", &[("origin", "http://other")], "{}").await;
    assert_eq!(answer.status, 201);
    let names = ["location", "etag", "idempotency-replayed", "x-inner", "access-control-allow-origin"];
    assert_eq!(names.map(|name| answer.header(name)), ["http://shop/messages/1", "\"1\"", "true", "", ""]);
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
    let ours = gate.send("POST", "/messages", &[("origin", "http://page")], "{}").await;
    assert_eq!(ours.header("access-control-allow-origin"), "http://page");
    // A preflight is the door's own business.
    let before = fake.count();
    let preflight = [("origin", "http://page"), ("access-control-request-method", "PUT")];
    assert_eq!((gate.send("OPTIONS", "/messages", &preflight, Body::empty()).await.status, fake.count()), (204, before));
}

#[tokio::test]
async fn a_head_has_the_length_and_no_body() {
    let fake =
        Fake::start(|_, _| async { Response::builder().header("content-length", "12345").body(Body::empty()).unwrap() }).await;
    let gate = Gate::open(&[remote("message", &[&fake])], quick()).await;
    let answer = gate.send("HEAD", "/messages", &[], Body::empty()).await;
    assert_eq!((answer.status, answer.header("content-length"), answer.text.as_str()), (200, "12345", ""));
}
