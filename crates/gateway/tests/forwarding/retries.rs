//! What is retried and what is not, counted at the service.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Response;
use gateway::ForwardOptions;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::support::{FakeService, Gate, MS, quick, remote, status, unattended};

const LONG: usize = 100_000;

#[tokio::test]
async fn reads_and_changes_with_a_key_are_retried_after_a_gateway_error() {
    for failing in [502, 503, 504] {
        for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] {
            let fake = FakeService::start(move |number, _| async move { status(if number < 2 { failing } else { 200 }) }).await;
            let gate = Gate::start(&[remote("message", &[&fake])], quick()).await;
            let answer = gate.send(method, "/messages/7", &[], Body::empty()).await;
            assert_eq!((answer.status, fake.count()), (200, 3), "{method} {failing}");
            let keys: BTreeSet<String> = fake.seen().iter().map(|seen| seen.header("idempotency-key").to_owned()).collect();
            assert_eq!(keys.len(), 1, "one key for all attempts: {keys:?}");
            let made = keys.iter().all(|key| key.starts_with("pabal-made-") && key.len() == "pabal-made-".len() + 32);
            assert_eq!(made, !matches!(method, "GET" | "HEAD" | "OPTIONS"), "{method} {keys:?}");
        }
    }
}

#[tokio::test]
async fn every_request_has_a_key_of_its_own_and_the_clients_key_is_kept() {
    let fake = FakeService::statuses(&[201]).await;
    let gate = Gate::start(&[remote("message", &[&fake])], quick()).await;
    for _ in 0..2 {
        gate.send("POST", "/messages", &[("x-request-id", "same")], "{}").await;
    }
    gate.send("POST", "/messages", &[("idempotency-key", "mine")], "{}").await;
    let keys: Vec<String> = fake.seen().iter().map(|seen| seen.header("idempotency-key").to_owned()).collect();
    assert!(keys[0] != keys[1] && keys[2] == "mine", "{keys:?}");
}

#[tokio::test]
async fn a_request_that_could_take_effect_twice_is_sent_once() {
    let fake = FakeService::statuses(&[503]).await;
    let gate = Gate::start(&[remote("message", &[&fake])], quick()).await;
    // Too long to be buffered, so it gets no key.
    let long = gate.send("POST", "/messages", &[], vec![b'x'; LONG]).await;
    assert_eq!((long.status, fake.count()), (503, 1));
    assert_eq!(fake.seen()[0].header("idempotency-key"), "");
    // An action by `PUT`: services support no keys there.
    gate.send("PUT", "/messages/7/act", &[], "{}").await;
    assert_eq!(fake.count(), 2);
    // A conditional change would fail because of its own first attempt.
    gate.send("PUT", "/messages/7", &[("if-match", "\"1\"")], "{}").await;
    assert_eq!(fake.count(), 3);
    // The admin API supports no keys.
    gate.post("/admin/services/message/pause", "").await;
    assert_eq!((fake.count(), fake.seen()[3].header("idempotency-key")), (4, ""));
    let options = ForwardOptions { keys_heeded_everywhere: true, ..quick() };
    let heeding = FakeService::statuses(&[503]).await;
    let gate = Gate::start(&[remote("message", &[&heeding])], options).await;
    gate.send("PUT", "/messages/7/act", &[("if-match", "\"1\"")], "{}").await;
    assert_eq!(heeding.count(), 3);
    let fake = FakeService::statuses(&[503]).await;
    // No keys are added, and the client sends none.
    let keyless = Gate::start(&[remote("message", &[&fake])], ForwardOptions { add_idempotency_keys: false, ..quick() }).await;
    keyless.post("/messages", "{}").await;
    assert_eq!(fake.count(), 1);
    keyless.send("POST", "/messages", &[("idempotency-key", "mine")], "{}").await;
    assert_eq!(fake.count(), 4, "the client's own key allows retries");
}

#[tokio::test]
async fn other_responses_are_passed_through() {
    let fake = FakeService::statuses(&[500, 400, 404, 409, 429, 501]).await;
    let gate = Gate::start(&[remote("message", &[&fake])], quick()).await;
    for expected in [500, 400, 404, 409, 429, 501] {
        assert_eq!(gate.get("/messages").await.status, expected);
    }
    assert_eq!(fake.count(), 6);
    let distrustful = FakeService::statuses(&[500, 200]).await;
    let gate = Gate::start(&[remote("message", &[&distrustful])], ForwardOptions { distrust_500: true, ..quick() }).await;
    assert_eq!((gate.get("/messages").await.status, distrustful.count()), (200, 2));
}

#[tokio::test]
async fn any_request_is_attempted_at_another_replica_after_a_refused_connection() {
    let mut dead = FakeService::named("dead").await;
    let alive = FakeService::named("alive").await;
    let gate = Gate::start(&[remote("message", &[&dead, &alive])], unattended()).await;
    dead.die().await;
    for (method, length) in [("GET", 0), ("POST", 10), ("POST", LONG), ("PUT", LONG)] {
        for _ in 0..2 {
            let answer = gate.send(method, "/messages/7", &[], vec![b'x'; length]).await;
            assert_eq!((answer.status, answer.text.as_str()), (200, "alive"), "{method} {length}");
            assert_eq!(alive.seen().last().unwrap().body.len(), length, "the body arrives whole");
        }
    }
}

#[tokio::test]
async fn a_request_on_a_broken_connection_is_retried_only_where_that_has_no_further_effect() {
    // Accepts requests and closes the connection.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut read = vec![0; 1 << 20];
                let _ = stream.read(&mut read).await;
                tokio::time::sleep(20 * MS).await;
            });
        }
    });
    let alive = FakeService::named("alive").await;
    let mut service = remote("message", &[&alive]);
    service.addresses.insert(0, address);
    let gate = Gate::start(&[service], unattended()).await;
    for _ in 0..4 {
        assert_eq!(gate.get("/messages").await.text, "alive");
        assert_eq!(gate.post("/messages", "{}").await.text, "alive");
    }
    // The broken replica is down, hence the last resort; without the other it is the only one.
    let mut alone = remote("message", &[]);
    alone.addresses = gate.forwarding.health()["rcs/message"]["details"]["upstreams"]
        .as_array()
        .unwrap()
        .iter()
        .take(1)
        .map(|upstream| format!("http://{}", upstream["address"].as_str().unwrap()))
        .collect();
    let gate = Gate::start(&[alone], unattended()).await;
    let broken = gate.send("POST", "/messages", &[], vec![b'x'; LONG]).await;
    assert_eq!((broken.status, broken.json()["type"].as_str()), (502, Some("/problems/bad-gateway")));
    assert!(broken.json()["detail"].as_str().unwrap().contains("may still take effect"));
}

#[tokio::test]
async fn the_services_retry_after_is_respected() {
    let fake = FakeService::start(|number, _| async move {
        let answer = Response::builder().status(if number == 0 { 503 } else { 200 });
        answer.header("retry-after", if number == 0 { "1" } else { "9" }).body(Body::from("{}")).unwrap()
    })
    .await;
    let gate = Gate::start(&[remote("message", &[&fake])], ForwardOptions { overall: 4000 * MS, ..quick() }).await;
    let started = Instant::now();
    assert_eq!((gate.get("/messages").await.status, fake.count()), (200, 2));
    assert!(started.elapsed() >= Duration::from_secs(1));
    // Longer than the time left: its own response is passed through at once.
    let words = r#"{"detail":"full","message":"full"}"#;
    let full = FakeService::start(move |_, _| async move {
        let answer = Response::builder().status(503).header("retry-after", "60");
        answer.header("content-type", "application/problem+json").body(Body::from(words)).unwrap()
    })
    .await;
    let gate = Gate::start(&[remote("message", &[&full])], quick()).await;
    let started = Instant::now();
    let answer = gate.get("/messages").await;
    assert_eq!((answer.status, answer.header("retry-after"), answer.text.as_str(), full.count()), (503, "60", words, 1));
    assert!(started.elapsed() < 3000 * MS);
    // A response of its own does not count for the circuit breaker.
    for _ in 0..9 {
        gate.get("/messages").await;
    }
    assert_eq!((full.count(), gate.upstream("message", 0).1.as_str()), (10, "CLOSED"));
}

#[tokio::test]
async fn a_first_attempt_that_is_still_in_flight_is_waited_for() {
    let fake = FakeService::start(|number, _| async move {
        match number {
            0 => {
                tokio::time::sleep(9000 * MS).await;
                status(201)
            }
            1 => Response::builder().status(409).header("retry-after", "1").body(Body::empty()).unwrap(),
            _ => status(201),
        }
    })
    .await;
    let options = ForwardOptions { per_try: 800 * MS, ..quick() };
    let gate = Gate::start(&[remote("message", &[&fake])], options).await;
    assert_eq!((gate.post("/messages", "{}").await.status, fake.count()), (201, 3));
    // A retry by the client itself is answered as it is.
    let busy = FakeService::start(|_, _| async {
        Response::builder().status(409).header("retry-after", "1").body(Body::empty()).unwrap()
    });
    let busy = busy.await;
    let gate = Gate::start(&[remote("message", &[&busy])], quick()).await;
    let answer = gate.send("POST", "/messages", &[("idempotency-key", "mine")], "{}").await;
    assert_eq!((answer.status, busy.count()), (409, 1));
}

#[tokio::test]
async fn concurrent_retries_are_limited() {
    let fake = FakeService::statuses(&[502]).await;
    let gate = Gate::start(&[remote("message", &[&fake])], ForwardOptions { max_retrying: 0, ..quick() }).await;
    assert_eq!((gate.get("/messages").await.status, fake.count()), (502, 1));
    // An attempt at another replica after a refused connection is no retry.
    let (mut dead, alive) = (FakeService::named("dead").await, FakeService::named("alive").await);
    let gate = Gate::start(&[remote("message", &[&dead, &alive])], ForwardOptions { max_retrying: 0, ..unattended() }).await;
    dead.die().await;
    for _ in 0..8 {
        assert_eq!(gate.get("/messages").await.text, "alive");
    }
}
