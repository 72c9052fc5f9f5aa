//! Killed at any moment, again and again: nothing that was answered is lost, nothing takes effect twice.
//!
//! `KILLS=100` kills more often, `SEED=7` at other moments.
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

mod binary;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use binary::chance::Chance;
use binary::sums::{Ledger, Shared, agree, client, happened_once};
use binary::{Running, Starting, pabal};
use tokio::task::JoinSet;

const CLIENTS: u64 = 6;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().unwrap())
}

/// The moment of a kill: after so many answers, and so much later, that it falls into the work and not between.
struct Moment {
    answers: u64,
    later: Duration,
}

impl Moment {
    fn of(chance: &mut Chance) -> Self {
        Self { answers: 1 + chance.below(120), later: Duration::from_micros(chance.below(4_000)) }
    }
}

fn answers(ledger: &Shared) -> u64 {
    ledger.lock().unwrap().accepted.len() as u64
}

/// One life of the process, under load, and its end.
async fn one_life(dir: &Path, ledger: &Shared, chance: &mut Chance, life: u64) {
    if chance.percent(20) {
        // Not even started.
        let starting = Starting::of(pabal(dir, &["run", "--port", "0"]));
        tokio::time::sleep(Duration::from_millis(chance.below(60))).await;
        return starting.kill();
    }
    let running = Running::start(dir);
    let mut clients = JoinSet::new();
    for one in 0..CLIENTS {
        let name = format!("life-{life}-client-{one}");
        let mine = Chance::new(chance.next());
        clients.spawn(client(running.client.clone(), running.url.clone(), ledger.clone(), mine, name, u64::MAX));
    }
    let (moment, before) = (Moment::of(chance), answers(ledger));
    while answers(ledger) < before + moment.answers {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    tokio::time::sleep(moment.later).await;
    if chance.percent(30) {
        running.signal("STOP");
        tokio::time::sleep(Duration::from_millis(chance.below(50))).await;
        if chance.percent(50) {
            running.signal("CONT");
            tokio::time::sleep(Duration::from_millis(chance.below(30))).await;
        }
    }
    running.kill();
    clients.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_answered_is_lost_and_nothing_happens_twice() {
    let (kills, seed) = (number("KILLS", 12), number("SEED", 1));
    let dir = tempfile::tempdir().unwrap();
    let (ledger, mut chance) = (Shared::default(), Chance::new(seed));
    for life in 0..kills {
        one_life(dir.path(), &ledger, &mut chance, life).await;
    }
    let running = Running::start(dir.path());
    running.settled().await;
    let ledger: Ledger = ledger.lock().unwrap().clone();
    agree(&running, &ledger).await;
    let there = running.get("/messages").await["page"]["totalElements"].as_u64().unwrap();
    println!(
        "{kills} kills, seed {seed}: {} sent, {} answered, {} of {} cancels answered, {there} there",
        ledger.sent.len(),
        ledger.accepted.len(),
        ledger.canceled.len(),
        ledger.canceling.len(),
    );
    assert_eq!(running.terminate(), 0);
    happened_once(dir.path(), usize::try_from(there).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_held_up_goes_on_where_it_was() {
    static NAMES: AtomicU64 = AtomicU64::new(0);
    let dir = tempfile::tempdir().unwrap();
    let (ledger, mut chance) = (Shared::default(), Chance::new(2));
    let running = Running::start(dir.path());
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let name = format!("client-{}", NAMES.fetch_add(1, Ordering::Relaxed));
        let mine = Chance::new(chance.next());
        clients.spawn(client(running.client.clone(), running.url.clone(), ledger.clone(), mine, name, 40));
    }
    while !clients.is_empty() {
        running.signal("STOP");
        tokio::time::sleep(Duration::from_millis(chance.below(40))).await;
        running.signal("CONT");
        let _ = tokio::time::timeout(Duration::from_millis(chance.below(40)), clients.join_next()).await;
    }
    running.settled().await;
    let ledger = ledger.lock().unwrap().clone();
    assert_eq!(ledger.accepted.len(), ledger.sent.len(), "a request was refused");
    agree(&running, &ledger).await;
    assert_eq!(running.terminate(), 0);
    happened_once(dir.path(), ledger.sent.len());
}
