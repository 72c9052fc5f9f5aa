//! How much there may be at once, and what is used again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::body::Body;
use axum::http::Response;
use futures_util::stream;
use gateway::ForwardOptions;

use crate::support::{Fake, Gate, MS, quick, remote, status};

async fn slow(ms: u32) -> Fake {
    Fake::start(move |_, _| async move {
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
async fn a_service_takes_no_more_of_the_door_than_its_share() {
    let fake = slow(200).await;
    let gate = Arc::new(Gate::open(&[remote("message", &[&fake])], ForwardOptions { max_in_flight: 5, ..quick() }).await);
    let answers = at_once(&gate, 20).await;
    let full: Vec<_> = answers.iter().filter(|answer| answer.0 == 503).collect();
    assert_eq!((full.len(), fake.count()), (15, 5));
    assert!(full.iter().all(|answer| answer.1 == "1"));
    assert_eq!(gate.get("/messages").await.status, 200, "its places are free again");
}

#[tokio::test]
async fn a_place_is_taken_until_the_answer_has_ended() {
    let fake =
        Fake::start(|_, _| async { Response::new(Body::from_stream(stream::pending::<Result<String, std::io::Error>>())) }).await;
    let gate = Gate::open(&[remote("message", &[&fake])], ForwardOptions { max_in_flight: 1, ..quick() }).await;
    let open = gate.begin("GET", "/messages", &[], Body::empty()).await;
    let full = gate.get("/messages").await;
    assert_eq!(
        (full.status, full.json()["type"].as_str(), full.json()["service"].as_str()),
        (503, Some("/problems/overloaded"), Some("message"))
    );
    // A client that goes away gives it back.
    drop(open);
    tokio::time::sleep(100 * MS).await;
    assert_eq!(gate.begin("GET", "/messages", &[], Body::empty()).await.status(), 200);
}

#[tokio::test]
async fn connections_are_bounded_and_used_again() {
    let fake = slow(20).await;
    let gate = Arc::new(Gate::open(&[remote("message", &[&fake])], ForwardOptions { max_connections: 4, ..quick() }).await);
    let started = Instant::now();
    assert!(at_once(&gate, 40).await.iter().all(|answer| answer.0 == 200));
    assert!(started.elapsed() >= 200 * MS, "ten rounds of four");
    let opened = fake.connections.load(Ordering::Relaxed);
    // Health checks have one, and some were opened while others became free; far from forty.
    assert!(opened <= 12, "{opened}");
    for _ in 0..50 {
        gate.get("/messages").await;
    }
    assert!(fake.connections.load(Ordering::Relaxed) <= opened + 1);
}

#[tokio::test]
async fn whoever_finds_no_connection_in_time_is_told_so() {
    let fake = slow(3000).await;
    let options = ForwardOptions { max_connections: 1, per_try: 2000 * MS, overall: 300 * MS, attempts: 1, ..quick() };
    let gate = Arc::new(Gate::open(&[remote("message", &[&fake])], options).await);
    let first = tokio::spawn({
        let gate = gate.clone();
        async move { gate.get("/messages").await.status }
    });
    tokio::time::sleep(20 * MS).await;
    let other = gate.post("/messages", "{}").await;
    // The first one gave its connection back when its time was over, at about the same moment.
    assert!(matches!(other.status, 503 | 504), "{other:?}");
    assert_eq!(first.await.unwrap(), 504);
}
