//! Services that fail and recover, without effect on others.

use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::Response;
use axum::routing::get;
use gateway::{BreakerOptions, ForwardOptions, Forwarding, GatewayOptions};

use crate::support::{FakeService, Gate, MS, quick, remote, status, unattended};

fn breaker() -> BreakerOptions {
    BreakerOptions { consecutive: 3, open: 900 * MS, longest_open: 900 * MS, ..BreakerOptions::default() }
}

#[tokio::test]
async fn a_breaker_opens_and_recovers() {
    let fake = FakeService::start(|number, _| async move { status(if number < 4 { 502 } else { 200 }) }).await;
    let options = ForwardOptions { attempts: 1, breaker: breaker(), ..unattended() };
    let gate = Gate::start(&[remote("message", &[&fake])], options).await;
    for _ in 0..3 {
        assert_eq!(gate.get("/messages").await.status, 502);
    }
    assert_eq!(gate.upstream("message", 0).1, "OPEN");
    let refused = gate.get("/messages").await;
    assert_eq!((refused.status, refused.header("retry-after"), fake.count()), (503, "1", 3));
    let problem = refused.json();
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert_eq!(
        (&problem["type"], &problem["service"], &problem["system"]),
        (&"/problems/service-unavailable".into(), &"message".into(), &"rcs".into())
    );
    assert_eq!(problem["message"], problem["detail"]);
    assert_eq!(problem["requestId"], refused.header("x-request-id"));
    // The first probe fails; the second succeeds and closes the breaker.
    tokio::time::sleep(950 * MS).await;
    assert_eq!((gate.get("/messages").await.status, fake.count()), (502, 4));
    assert_eq!((gate.get("/messages").await.status, fake.count()), (503, 4));
    tokio::time::sleep(950 * MS).await;
    assert_eq!((gate.get("/messages").await.status, gate.upstream("message", 0).1.as_str()), (200, "CLOSED"));
}

#[tokio::test]
async fn a_dead_replica_gets_no_requests_until_it_is_up_again() {
    let mut one = FakeService::named("one").await;
    let other = FakeService::named("other").await;
    let gate = Gate::start(&[remote("message", &[&one, &other])], quick()).await;
    for _ in 0..20 {
        gate.get("/messages").await;
    }
    assert!(one.count() >= 8 && other.count() >= 8, "{} {}", one.count(), other.count());
    one.die().await;
    for _ in 0..20 {
        assert_eq!(gate.get("/messages").await.text, "other");
    }
    gate.until(|gate| gate.upstream("message", 0).0 == "DOWN").await;
    assert_eq!(gate.forwarding.health()["rcs/message"]["status"], "UP");
    one.revive().await;
    gate.until(|gate| gate.upstream("message", 0).0 == "UP").await;
    let before = one.count();
    for _ in 0..20 {
        assert_eq!(gate.get("/messages").await.status, 200);
    }
    assert!(one.count() >= before + 8);
}

#[tokio::test]
async fn a_replica_that_is_not_ready_gets_no_requests_while_another_is() {
    let (one, other) = (FakeService::named("one").await, FakeService::named("other").await);
    let gate = Gate::start(&[remote("message", &[&one, &other])], quick()).await;
    one.ready.store(503, Ordering::Relaxed);
    gate.until(|gate| gate.upstream("message", 0).0 == "DOWN").await;
    let before = one.count();
    for _ in 0..10 {
        assert_eq!(gate.get("/messages").await.text, "other");
    }
    assert_eq!(one.count(), before);
    // Where no replica is ready, requests go to one that is not.
    other.ready.store(503, Ordering::Relaxed);
    gate.until(|gate| gate.upstream("message", 1).0 == "DOWN").await;
    assert_eq!(gate.get("/messages").await.status, 200);
    assert_eq!(gate.forwarding.health()["rcs/message"]["status"], "DOWN");
}

#[tokio::test]
async fn a_slow_service_times_out() {
    let fake = FakeService::start(|_, _| async {
        tokio::time::sleep(10_000 * MS).await;
        status(200)
    })
    .await;
    let options = ForwardOptions { per_try: 150 * MS, overall: 500 * MS, ..quick() };
    let gate = Gate::start(&[remote("message", &[&fake])], options).await;
    let started = Instant::now();
    let late = gate.get("/messages").await;
    assert_eq!((late.status, late.json()["type"].as_str()), (504, Some("/problems/gateway-timeout")));
    assert!((440 * MS..3000 * MS).contains(&started.elapsed()), "{:?}", started.elapsed());
    assert_eq!(fake.count(), 3);
    // The only attempt of a request has all the time there is.
    let started = Instant::now();
    let late = gate.send("POST", "/messages", &[], vec![b'x'; 100_000]).await;
    assert_eq!((late.status, fake.count()), (504, 4));
    assert!((450 * MS..3000 * MS).contains(&started.elapsed()), "{:?}", started.elapsed());
    assert!(late.json()["detail"].as_str().unwrap().contains("`message` of rcs"));
}

#[tokio::test]
async fn a_dead_service_does_not_slow_down_others() {
    let mut dead = FakeService::named("dead").await;
    let hanging = FakeService::start(|_, _| async {
        tokio::time::sleep(10_000 * MS).await;
        status(200)
    })
    .await;
    let alive = FakeService::named("alive").await;
    let remotes = [remote("message", &[&dead]), remote("device", &[&hanging]), remote("validator", &[&alive])];
    let gate = Gate::start(&remotes, ForwardOptions { max_in_flight: 20, ..quick() }).await;
    dead.die().await;
    let gate = std::sync::Arc::new(gate);
    for target in ["/messages", "/devices"].iter().cycle().take(100) {
        let gate = gate.clone();
        tokio::spawn(async move { gate.get(target).await });
    }
    tokio::time::sleep(50 * MS).await;
    let mut times = Vec::new();
    for _ in 0..50 {
        let started = Instant::now();
        assert_eq!(gate.get("/validators").await.text, "alive");
        times.push(started.elapsed());
    }
    times.sort_unstable();
    // The other two take seconds.
    assert!(times[25] < 200 * MS && times[49] < 1500 * MS, "{times:?}");
    assert_eq!(gate.get("/messages").await.status, 503);
}

#[tokio::test]
async fn an_error_of_a_proxy_in_between_becomes_a_problem() {
    let mesh =
        FakeService::start(|_, _| async { Response::builder().status(503).body(Body::from("no healthy upstream")).unwrap() })
            .await;
    let gate = Gate::start(&[remote("message", &[&mesh])], quick()).await;
    let answer = gate.get("/messages").await;
    assert_eq!((answer.status, answer.json()["type"].as_str()), (503, Some("/problems/service-unavailable")));
}

/// Probes as `http_api::router` answers them.
fn probes() -> Router {
    let up = || async { ([("content-type", "application/json")], r#"{"status":"UP","components":{"rcs":{"status":"UP"}}}"#) };
    Router::new().route("/readyz", get(up)).route("/actuator/health", get(up))
}

#[tokio::test]
async fn the_gateway_is_ready_once_its_upstreams_are_checked_and_up_whatever_their_state() {
    let mut fake = FakeService::named("message").await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut service = remote("message", &[&fake]);
    service.addresses.push(format!("http://{}", silent.local_addr().unwrap()));
    let forwarding = Forwarding::try_new(&[rcs::system()], &[service], quick()).unwrap();
    let gate = Gate::around(forwarding, probes(), GatewayOptions::default()).await;
    let early = gate.get("/readyz").await;
    assert_eq!((early.status, early.json()["status"].as_str()), (503, Some("DOWN")));
    assert!(early.text.contains("rcs/message"), "{}", early.text);
    gate.until(|gate| gate.forwarding.is_ready()).await;
    assert_eq!(gate.get("/readyz").await.status, 200);
    fake.die().await;
    gate.until(|gate| gate.upstream("message", 0).0 == "DOWN").await;
    assert_eq!(gate.get("/readyz").await.status, 200);
    let health = gate.get("/actuator/health").await;
    let shown = health.json();
    assert_eq!((health.status, &shown["status"]), (200, &"UP".into()));
    assert_eq!(
        (&shown["components"]["rcs"]["status"], &shown["components"]["rcs/message"]["status"]),
        (&"UP".into(), &"DOWN".into())
    );
    let upstreams = &shown["components"]["rcs/message"]["details"]["upstreams"];
    assert_eq!((upstreams.as_array().unwrap().len(), &upstreams[0]["address"]), (2, &fake.address.to_string().into()));
}
