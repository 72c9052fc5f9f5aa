//! Shutdown by a signal: accepted requests are answered, answered ones are kept, and the process ends in time.
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

mod binary;

use std::path::Path;
use std::time::{Duration, Instant};

use binary::chance::Chance;
use binary::sums::{Shared, agree, client, happened_once};
use binary::{Running, message, pabal};
use reqwest::Method;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

async fn signalled_under_load(signal: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, mut chance) = (Shared::default(), Chance::new(3));
    let running = Running::start(dir.path());
    let mut clients = JoinSet::new();
    for one in 0..8 {
        let mine = Chance::new(chance.next());
        clients.spawn(client(
            running.client.clone(),
            running.url.clone(),
            ledger.clone(),
            mine,
            format!("client-{one}"),
            u64::MAX,
        ));
    }
    while ledger.lock().unwrap().accepted.len() < 200 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let signalled = Instant::now();
    running.signal(signal);
    assert_eq!(running.ended(), 0);
    assert!(signalled.elapsed() < Duration::from_secs(5), "{:?}", signalled.elapsed());
    clients.join_all().await;
    let running = Running::start(dir.path());
    running.settled().await;
    let ledger = ledger.lock().unwrap().clone();
    agree(&running, &ledger).await;
    let there = running.get("/messages").await["page"]["totalElements"].as_u64().unwrap();
    assert_eq!(running.terminate(), 0);
    happened_once(dir.path(), usize::try_from(there).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_loses_no_answered_request() {
    signalled_under_load("TERM").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigint_loses_no_answered_request() {
    signalled_under_load("INT").await;
}

fn with(dir: &Path, settings: &[(&str, &str)]) -> Running {
    let mut command = pabal(dir, &["run", "--port", "0"]);
    Running::of(command.envs(settings.iter().copied()).take())
}

/// A command as a value, behind the builder's `&mut`.
trait Take {
    fn take(&mut self) -> std::process::Command;
}

impl Take for std::process::Command {
    fn take(&mut self) -> std::process::Command {
        std::mem::replace(self, std::process::Command::new("true"))
    }
}

#[tokio::test]
async fn an_unfinished_request_does_not_prevent_the_shutdown() {
    let dir = tempfile::tempdir().unwrap();
    let running = with(dir.path(), &[("PABAL_GATEWAY__GRACE_PERIOD_MS", "300")]);
    let mut slow = TcpStream::connect(running.url.trim_start_matches("http://")).await.unwrap();
    slow.write_all(b"POST /messages HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        .await
        .unwrap();
    assert_eq!(running.post("/messages", &message("msg-1")).await.status, 201);
    let signalled = Instant::now();
    assert_eq!(running.terminate(), 0);
    assert!(signalled.elapsed() < Duration::from_secs(4), "{:?}", signalled.elapsed());
}

#[tokio::test]
async fn it_is_unready_at_once_and_answers_while_it_drains() {
    let dir = tempfile::tempdir().unwrap();
    let running = with(dir.path(), &[("PABAL_GATEWAY__DRAIN_MS", "1500")]);
    assert_eq!(running.get("/readyz").await["status"], "UP");
    running.signal("TERM");
    let down = running.until("/readyz", |answer| answer["status"] == "DOWN").await;
    assert_eq!(down["reasons"].as_array().unwrap().len(), 1, "{down}");
    assert_eq!(running.post("/messages", &message("msg-1")).await.status, 201);
    assert_eq!(running.get("/livez").await["status"], "UP");
    assert_eq!(binary::answered(running.request(Method::GET, "/readyz")).await.unwrap().status, 503);
    assert_eq!(running.ended(), 0);
    let running = Running::start(dir.path());
    assert_eq!(running.get("/messages").await["page"]["totalElements"], 1);
}
