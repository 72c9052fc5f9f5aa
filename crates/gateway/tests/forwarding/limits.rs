//! Limits on concurrent requests, and the reuse of connections.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::body::Body;
use axum::http::Response;
use futures_util::stream;
use gateway::ForwardOptions;

use crate::support::{FakeService, Gate, MS, quick, remote, status};

async fn slow(ms: u32) -> FakeService {
    FakeService::start(move |_, _| async move {
        tokio::time::sleep(ms * MS).await;
        status(200)
    })
    .await
}

async fn at_once(gate: &Arc<Gate>, count: usize) -> Vec<(u16, String)> {
    let asked = (0..count).map(|_| {
        let gate = gate.clone();
        tokio::spawn(async move {
            let answer = gate.get("/messages").await;
            (answer.status, answer.header("retry-after").to_owned())
        })
    });
    let asked: Vec<_> = asked.collect();
    let mut answers = Vec::new();
    for answer in asked {
        answers.push(answer.await.unwrap());
    }
    answers
}

#[tokio::test]
async fn a_service_occupies_no_more_of_the_gateway_than_its_share() {
    let fake = slow(200).await;
    let gate = Arc::new(Gate::start(&[remote("message", &[&fake])], ForwardOptions { max_in_flight: 5, ..quick() }).await);
    let answers = at_once(&gate, 20).await;
    let full: Vec<_> = answers.iter().filter(|answer| answer.0 == 503).collect();
    assert_eq!((full.len(), fake.count()), (15, 5));
    assert!(full.iter().all(|answer| answer.1 == "1"));
    assert_eq!(gate.get("/messages").await.status, 200, "its places are free again");
}

#[tokio::test]
async fn a_request_counts_as_in_flight_until_its_response_has_ended() {
    let fake = FakeService::start(|_, _| async {
        Response::new(Body::from_stream(stream::pending::<Result<String, std::io::Error>>()))
    })
    .await;
    let gate = Gate::start(&[remote("message", &[&fake])], ForwardOptions { max_in_flight: 1, ..quick() }).await;
    let open = gate.begin("GET", "/messages", &[], Body::empty()).await;
    let full = gate.get("/messages").await;
    assert_eq!(
        (full.status, full.json()["type"].as_str(), full.json()["service"].as_str()),
        (503, Some("/problems/overloaded"), Some("message"))
    );
    // A client that disconnects frees it.
    drop(open);
    tokio::time::sleep(100 * MS).await;
    assert_eq!(gate.begin("GET", "/messages", &[], Body::empty()).await.status(), 200);
}

#[tokio::test]
async fn connections_are_limited_and_reused() {
    let fake = slow(20).await;
    let gate = Arc::new(Gate::start(&[remote("message", &[&fake])], ForwardOptions { max_connections: 4, ..quick() }).await);
    let started = Instant::now();
    assert!(at_once(&gate, 40).await.iter().all(|answer| answer.0 == 200));
    assert!(started.elapsed() >= 200 * MS, "ten rounds of four");
    let opened = fake.connections.load(Ordering::Relaxed);
    // Health checks have one, and some were opened while others became idle; far fewer than forty.
    assert!(opened <= 12, "{opened}");
    for _ in 0..50 {
        gate.get("/messages").await;
    }
    assert!(fake.connections.load(Ordering::Relaxed) <= opened + 1);
}

#[tokio::test]
async fn a_request_without_a_free_connection_in_time_is_overloaded() {
    let fake = slow(3000).await;
    let options = ForwardOptions { max_connections: 1, per_try: 200 * MS, overall: 1000 * MS, attempts: 1, ..quick() };
    let gate = Arc::new(Gate::start(&[remote("message", &[&fake])], options).await);
    let first = tokio::spawn({
        let gate = gate.clone();
        // Streamed, so it has the time of all attempts.
        async move { gate.send("POST", "/messages", &[], vec![b'x'; 100_000]).await.status }
    });
    gate.until(|_| fake.connections.load(Ordering::Relaxed) > 1).await;
    let other = gate.get("/messages").await;
    assert_eq!(other.status, 503, "{other:?}");
    assert_eq!(other.json()["type"], "/problems/overloaded");
    assert_eq!(first.await.unwrap(), 504);
}
