//! The server is killed and restarted under load: no acknowledged commit is lost, and every unknown outcome is resolved.
//!
//! It kills the server that `scripts/infra` has started, so it runs only where `PABAL_TEST_INFRA` names that script.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it expects")]

mod support;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ports::{CommitError, Record};
use support::Schema;
use support::worker::{Worker, change, drained, patiently};

fn infra(verb: &str) {
    let script = std::env::var("PABAL_TEST_INFRA").expect("set");
    let done = Command::new(script).args([verb, "postgres"]).status().expect("it runs");
    assert!(done.success(), "{verb}");
}

/// Commits batches of three of its own rows until it is stopped; returns the expected versions.
fn write(worker: &mut Worker, writer: u64, done: &AtomicBool, unknown: &AtomicU64) -> BTreeMap<String, u64> {
    let mut versions: BTreeMap<String, u64> = BTreeMap::new();
    let mut number = 0;
    while !done.load(Ordering::SeqCst) {
        number += 1;
        let keys: Vec<String> =
            (0..3).map(|position| format!("w{}", 1000 * writer + (number * 7 + position * 13) % 50)).collect();
        let rows: Vec<_> = keys.iter().map(|key| (key.as_str(), versions.get(key).copied().unwrap_or_default())).collect();
        let before = worker.next;
        match worker.settled(&change(&rows)) {
            Ok(applied) => {
                // Only acknowledged commits count: a failed one may turn out to be applied.
                if applied {
                    let after: Vec<_> = rows.iter().map(|(key, version)| ((*key).to_owned(), version + 1)).collect();
                    versions.extend(after);
                } else {
                    unknown.fetch_add(u64::from(worker.next == before), Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            // Down for longer than its lease: it is fenced.
            Err(CommitError::Fenced) => {
                patiently(|| {
                    use ports::Store as _;
                    worker.store.recover()
                });
                worker.next = 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    versions
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let schema = Schema::new();
    let options = schema.options();
    let mut workers: Vec<_> = (0..4).map(|_| Worker::join(&options)).collect();
    let mut relay = Worker::join(&options);
    let (done, failed) = (AtomicBool::new(false), AtomicU64::new(0));
    let (versions, relayed) = std::thread::scope(|scope| {
        let writing: Vec<_> = workers
            .iter_mut()
            .zip(0..)
            .map(|(worker, writer)| {
                let (done, failed) = (&done, &failed);
                scope.spawn(move || write(worker, writer, done, failed))
            })
            .collect();
        let relaying = scope.spawn(|| {
            let mut all: Vec<(u64, Record)> = Vec::new();
            while !done.load(Ordering::SeqCst) {
                all.extend(drained(&mut relay.outbox));
                std::thread::sleep(Duration::from_millis(20));
            }
            all
        });
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(1_500));
            infra("kill");
            std::thread::sleep(Duration::from_millis(500));
            infra("start");
        }
        std::thread::sleep(Duration::from_secs(2));
        done.store(true, Ordering::SeqCst);
        let versions: BTreeMap<String, u64> = writing.into_iter().flat_map(|writing| writing.join().unwrap()).collect();
        (versions, relaying.join().unwrap())
    });
    let mut relayed = relayed;
    relayed.extend(drained(&mut relay.outbox));
    let mut eye = Worker::join(&options);
    for (key, version) in &versions {
        assert_eq!(eye.version(key), *version, "{key}");
    }
    let commits: u64 = versions.values().sum::<u64>() / 3;
    println!("{commits} commits, {} attempts that failed", failed.load(Ordering::SeqCst));
    // Each event once, in order per key; each number once, also if marking one failed.
    let mut told: BTreeMap<u64, String> = BTreeMap::new();
    for (number, record) in &relayed {
        let before = told.insert(*number, record.id.clone());
        assert!(before.is_none_or(|before| before == record.id), "number {number} was given twice");
    }
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for id in told.values() {
        let (key, version) = id.rsplit_once('/').unwrap();
        let last = seen.entry(key).or_default();
        assert_eq!(version.parse::<u64>().unwrap(), *last + 1, "{id}");
        *last += 1;
    }
    let expected: BTreeMap<&str, u64> = versions.iter().map(|(key, version)| (key.as_str(), *version)).collect();
    assert_eq!(seen, expected);
}
