//! Commits with an unknown outcome, and how it is resolved.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it expects")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ports::{CommitError, Store};
use support::Schema;
use support::proxy::Proxy;
use support::worker::{Worker, change, drained};

/// A worker behind a proxy; its statements are prepared already.
fn behind(proxy: &Proxy, schema: &Schema) -> Worker {
    let options = store_postgres::PostgresOptions::new(&proxy.url).unwrap().in_schema(&schema.name);
    let mut worker = Worker::join(&options);
    worker.commit(&change(&[("k0", 0), ("k1", 0)]));
    worker.commit(&change(&[("k0", 1)]));
    worker
}

fn is_unknown(result: &Result<(), CommitError>) -> bool {
    matches!(result, Err(CommitError::Unknown(_)))
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_commit_whose_answer_is_lost_is_found_applied() {
    let schema = Schema::new();
    let proxy = Proxy::before(&schema.url);
    let mut worker = behind(&proxy, &schema);
    let wire = proxy.last("writer");
    wire.hold_down.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| worker.attempt(&change(&[("k1", 1)])));
        std::thread::sleep(Duration::from_millis(500));
        wire.cut();
        let result = commit.join().unwrap();
        assert!(is_unknown(&result), "{result:?}");
    });
    assert_eq!(worker.store.last_commit().unwrap(), 3);
    assert_eq!(worker.version("k1"), 2);
    worker.next = 4;
    worker.commit(&change(&[("k1", 2)]));
}

/// The trap: the outcome is resolved as not applied, and then the commit arrives after all.
#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_commit_that_was_found_not_applied_is_fenced_when_it_arrives_late() {
    let schema = Schema::new();
    let proxy = Proxy::before(&schema.url);
    let mut worker = behind(&proxy, &schema);
    let wire = proxy.last("writer");
    wire.hold_up.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| worker.attempt(&change(&[("k1", 1)])));
        while wire.held() == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(100));
        wire.cut();
        let result = commit.join().unwrap();
        assert!(is_unknown(&result), "{result:?}");
    });
    assert_eq!(worker.store.last_commit().unwrap(), 2);
    wire.arrive_late();
    assert_eq!(worker.version("k1"), 1, "it came too late");
    assert_eq!(worker.store.last_commit().unwrap(), 2);
    worker.commit(&change(&[("k1", 1)]));
    assert_eq!(drained(&mut worker.outbox).len(), 4);
}

/// The backend keeps running without a client; resolving the outcome waits for it.
#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn resolving_an_outcome_waits_for_a_commit_still_running() {
    let schema = Schema::new();
    let proxy = Proxy::before(&schema.url);
    let mut worker = behind(&proxy, &schema);
    let wire = proxy.last("writer");
    let mut look = schema.look();
    look.run("BEGIN; SELECT FROM depot__parcel WHERE key = 'k1' FOR UPDATE");
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| worker.attempt(&change(&[("k1", 1)])));
        look.until("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted");
        wire.cut();
        let result = commit.join().unwrap();
        assert!(is_unknown(&result), "{result:?}");
    });
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| worker.store.last_commit());
        look.until("SELECT count(*) > 1 FROM pg_locks WHERE NOT granted");
        assert!(!asking.is_finished(), "the outcome is not resolved yet");
        look.run("COMMIT");
        assert_eq!(asking.join().unwrap().unwrap(), 3);
    });
    assert_eq!(worker.version("k1"), 2);
}

/// A connection that the server closed while idle leaves no outcome unknown.
#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_connection_lost_between_two_commits_is_reopened() {
    let schema = Schema::new();
    let mut worker = Worker::join(&schema.options());
    let mut look = schema.look();
    worker.commit(&change(&[("k1", 0)]));
    for version in 1..6 {
        let name = &schema.name;
        look.run(&format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'pabal {name} writer'"
        ));
        let result = worker.attempt(&change(&[("k1", version)]));
        assert!(result.is_ok(), "{result:?}");
    }
}

/// Backends are killed at any moment, also around COMMIT: no acknowledged commit is lost, no rejected one applied.
#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn the_outcome_of_every_commit_is_resolved_when_backends_are_killed() {
    let schema = Schema::new();
    let mut worker = Worker::join(&schema.options());
    worker.commit(&change(&[("k1", 0)]));
    let (done, name) = (AtomicBool::new(false), schema.name.clone());
    let (mut version, mut unknown, mut applied_after_all) = (1, 0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut look = schema.look();
            let mut pause = 7;
            while !done.load(Ordering::SeqCst) {
                look.run(&format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pabal {name} writer'"
                ));
                pause = pause * 31 % 47;
                std::thread::sleep(Duration::from_millis(4 + pause));
            }
        });
        let end = Instant::now() + Duration::from_secs(8);
        while Instant::now() < end {
            let before = worker.next;
            let applied = match worker.attempt(&change(&[("k1", version)])) {
                Ok(()) => true,
                Err(CommitError::Unknown(_)) => {
                    unknown += 1;
                    let last = support::worker::patiently(|| worker.store.last_commit());
                    assert!(last == before || last + 1 == before);
                    worker.next = last + 1;
                    applied_after_all += u64::from(last == before);
                    last == before
                }
                Err(CommitError::Unavailable(_)) => false,
                Err(error) => panic!("{error}"),
            };
            version += u64::from(applied);
        }
        done.store(true, Ordering::SeqCst);
    });
    assert_eq!(worker.version("k1"), version);
    println!("{version} commits, {unknown} unknown, {applied_after_all} of them applied");
    let versions: Vec<String> = drained(&mut worker.outbox).into_iter().map(|(_, record)| record.id).collect();
    assert_eq!(versions, (1..=version).map(|version| format!("k1/{version}")).collect::<Vec<_>>());
}
