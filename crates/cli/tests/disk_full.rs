//! A full disk under load: writes are rejected with a reason and Retry-After, reads go on, and nothing is lost.
//!
//! The limit on the size of a file stands for the disk: like a full disk it fails a write in the middle of the work, and
//! it needs no privilege.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

mod binary;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use binary::chance::Chance;
use binary::sums::{Ledger, Shared, agree, client, happened_once};
use binary::{Answer, Running, answered, message};
use reqwest::Method;
use tokio::task::JoinSet;

/// Rejections after which the disk counts as full.
const ENOUGH: usize = 30;

/// An instance none of whose files can grow beyond so many kilobytes.
fn limited(dir: &Path, kilobytes: u32) -> Running {
    // Blocks of 512 bytes, as the standard says. A process that ignores the signal gets an error instead.
    let script = format!("trap '' XFSZ; ulimit -S -f {}; exec \"$0\" \"$@\"", 2 * kilobytes);
    let mut command = Command::new("sh");
    command.current_dir(dir).env_remove("RUST_LOG").args(["-c", &script, env!("CARGO_BIN_EXE_pabal"), "run", "--port", "0"]);
    Running::of(command)
}

/// Load until the disk is full, and until every kind of request was answered on a full disk.
async fn fill(running: &Running, seed: u64) -> Ledger {
    let (ledger, mut chance) = (Shared::default(), Chance::new(seed));
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
    while ledger.lock().unwrap().refused.len() < ENOUGH {
        assert!(clients.try_join_next().is_none(), "a client has ended: {:?}", running.log().last());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let known = ledger.lock().unwrap().clone();
    says_so(running, &known).await;
    // Requests in flight may be answered after their clients are gone: of those only the sending is known.
    clients.shutdown().await;
    ledger.lock().unwrap().clone()
}

async fn ask(running: &Running, method: Method, path: &str) -> Answer {
    answered(running.request(method, path)).await.unwrap()
}

/// On a full disk readiness fails with a reason, and reads go on.
async fn says_so(running: &Running, ledger: &Ledger) {
    let ready = running.until("/readyz", |answer| answer["status"] == "DOWN").await;
    assert!(!ready["reasons"][0].as_str().unwrap().is_empty(), "{ready}");
    assert_eq!(ask(running, Method::GET, "/livez").await.status, 200, "starting anew would not help");
    let (id, row) = ledger.accepted.iter().next_back().unwrap();
    let answer = ask(running, Method::GET, &format!("/messages/{row}")).await;
    assert_eq!((answer.status, &answer.body["messageId"]), (200, &id.as_str().into()));
    assert_eq!(ask(running, Method::GET, "/myMessages?sort=id,desc").await.status, 200);
}

async fn everything_is_there(dir: &Path, running: &Running, ledger: &Ledger) {
    running.settled().await;
    agree(running, ledger).await;
    assert_eq!(running.post("/messages", &message("afterwards")).await.status, 201);
    running.settled().await;
    let there = running.get("/messages").await["page"]["totalElements"].as_u64().unwrap();
    happened_once(dir, usize::try_from(there).unwrap());
}

async fn full_at(kilobytes: u32) {
    let dir = tempfile::tempdir().unwrap();
    let running = limited(dir.path(), kilobytes);
    let ledger = fill(&running, u64::from(kilobytes)).await;
    assert_eq!(running.terminate(), 0, "also a full disk lets it end in order");
    let running = Running::start(dir.path());
    everything_is_there(dir.path(), &running, &ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_room_for_the_log_of_changes_loses_nothing_that_was_answered() {
    full_at(1_500).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_room_for_the_file_itself_loses_nothing_that_was_answered() {
    full_at(6_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_the_disk_is_full_it_has_lost_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let running = limited(dir.path(), 1_500);
    let ledger = fill(&running, 9).await;
    running.kill();
    let running = Running::start(dir.path());
    everything_is_there(dir.path(), &running, &ledger).await;
}

#[cfg_attr(not(target_os = "linux"), ignore = "only Linux has prlimit, which raises a limit of a running process")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_soon_as_there_is_room_it_goes_on_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let running = limited(dir.path(), 1_500);
    let ledger = fill(&running, 10).await;
    let raised = Command::new("prlimit").args(["--pid", &running.pid().to_string(), "--fsize=unlimited:"]).status().unwrap();
    assert!(raised.success());
    running.until("/readyz", |answer| answer["status"] == "UP").await;
    everything_is_there(dir.path(), &running, &ledger).await;
}
