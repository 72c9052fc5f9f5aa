//! Use from any thread or runtime, and under any load: a call answers or fails in time.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it expects")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use contract_tests::rows::timer;
use ports::{Commit, CommitError, Outbox, Query, Reader, Store, StoreError, TimerWrite};
use store_postgres::PostgresOptions;
use support::Schema;
use support::worker::{Worker, change, parcels};

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn an_async_handler_may_call_and_drop_everything() {
    let schema = Schema::new();
    let options = schema.options();
    for multi in [false, true] {
        let mut runtime =
            if multi { tokio::runtime::Builder::new_multi_thread() } else { tokio::runtime::Builder::new_current_thread() };
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(async {
            let mut worker = Worker::join(&options);
            let version = worker.version("k1");
            worker.commit(&change(&[("k1", version)]));
            assert!(worker.reader.by_key(parcels(), "k1").unwrap().is_some());
            assert!(worker.outbox.lease().unwrap().is_some());
            let reader = Arc::new(worker.reader);
            let blocking = reader.clone();
            let rows = tokio::task::spawn_blocking(move || blocking.page(parcels(), &Query::first(10)).unwrap().rows.len());
            assert_eq!(rows.await.unwrap(), 1);
            drop(reader);
            drop(worker.store);
            drop(worker.outbox);
        });
    }
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn readers_share_a_pool_and_fail_when_it_is_exhausted() {
    let schema = Schema::new();
    let mut options = schema.options();
    (options.readers, options.acquire_timeout) = (2, Duration::from_secs(1));
    let mut worker = Worker::join(&options);
    worker.commit(&change(&[("k1", 0)]));
    let reader = &worker.reader;
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| (0..50).for_each(|_| assert!(reader.by_key(parcels(), "k1").unwrap().is_some())));
        }
    });
    let mut look = schema.look();
    let connections = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pabal {} reader'", schema.name);
    assert_eq!(look.one(&connections), "2");
    look.run("BEGIN; LOCK TABLE depot__parcel IN ACCESS EXCLUSIVE MODE");
    std::thread::scope(|scope| {
        let busy: Vec<_> = (0..2).map(|_| scope.spawn(|| reader.by_key(parcels(), "k1"))).collect();
        look.until("SELECT count(*) > 1 FROM pg_locks WHERE NOT granted");
        let started = Instant::now();
        let none = reader.by_key(parcels(), "k1");
        assert!(matches!(none, Err(StoreError::Unavailable(_))), "{none:?}");
        assert!(started.elapsed() < Duration::from_secs(3));
        look.run("COMMIT");
        for reading in busy {
            assert!(reading.join().unwrap().unwrap().is_some());
        }
    });
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_read_on_a_terminated_connection_is_retried_on_another() {
    let schema = Schema::new();
    let mut worker = Worker::join(&schema.options());
    worker.commit(&change(&[("k1", 0)]));
    let mut look = schema.look();
    for _ in 0..5 {
        assert!(worker.reader.by_key(parcels(), "k1").unwrap().is_some());
        look.run(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pabal {} reader'",
            schema.name
        ));
    }
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_reader_cannot_write_and_a_writer_only_within_its_transactions() {
    let schema = Schema::new();
    let mut worker = Worker::join(&schema.options());
    worker.commit(&change(&[("k1", 0)]));
    worker.version("k1");
    worker.reader.last_seq().unwrap();
    let mut look = schema.look();
    // What a connection does if the BEGIN before a statement has failed.
    look.run("SET default_transaction_read_only = on");
    let refused = look.try_run("UPDATE store_meta SET pruned_seq = 1").unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "25006");
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_lock_timeout_is_unavailable() {
    let schema = Schema::new();
    let mut options = schema.options();
    options.lock_timeout = Duration::from_millis(200);
    let mut worker = Worker::join(&options);
    worker.commit(&change(&[("k1", 0)]));
    let mut look = schema.look();
    look.run("BEGIN; SELECT FROM depot__parcel WHERE key = 'k1' FOR UPDATE");
    let refused = worker.attempt(&change(&[("k1", 1)]));
    assert!(matches!(refused, Err(CommitError::Unavailable(_))), "{refused:?}");
    look.run("COMMIT");
    worker.commit(&change(&[("k1", 1)]));
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn an_unreachable_server_is_retried_with_backoff() {
    support::url();
    let schema = Schema::new();
    let worker = Worker::join(&schema.options());
    let mut nowhere = PostgresOptions::new("postgres://nobody@127.0.0.1:1/nothing").unwrap();
    nowhere.connect_timeout = Duration::from_millis(500);
    assert!(store_postgres::PostgresStore::connect(&nowhere, &support::worker::model()).is_err());
    drop(worker);
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_nul_character_is_rejected_and_never_found() {
    let schema = Schema::new();
    let mut worker = Worker::join(&schema.options());
    let refused = worker.attempt(&change(&[("k\0", 0)]));
    assert!(matches!(refused, Err(CommitError::Refused(_))), "{refused:?}");
    assert_eq!(worker.reader.by_key(parcels(), "k\0").unwrap(), None);
    worker.commit(&change(&[("k1", 0)]));
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_number_beyond_the_database_type_is_rejected() {
    let schema = Schema::new();
    let mut worker = Worker::join(&schema.options());
    let mut commit = change(&[("k1", 0)]);
    commit.rows[0].id = Some(u64::MAX);
    assert!(matches!(worker.attempt(&commit), Err(CommitError::Refused(_))));
    worker.commit(&change(&[("k1", 0)]));
}

fn set(worker: &mut Worker, timers: &[(&str, i64)]) {
    let timers = timers.iter().map(|(key, due_ms)| TimerWrite::Set(timer(parcels(), key, "reminder", *due_ms))).collect();
    worker.commit(&Commit { timers, ..Commit::default() });
}

fn fire(key: &str, due_ms: i64) -> Commit {
    let (key, name) = (key.to_owned(), "reminder".to_owned());
    Commit { timers: vec![TimerWrite::Clear { table: parcels(), key, name, fires_ms: Some(due_ms) }], ..Commit::default() }
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn instances_claim_different_timers_and_a_dead_one_blocks_none() {
    let schema = Schema::new();
    let options = schema.options();
    let (mut one, mut other) = (Worker::join(&options), Worker::join(&options));
    set(&mut one, &[("a", 10), ("b", 20), ("c", 30), ("d", 9_000_000_000_000)]);
    let keys = |worker: &mut Worker, most| -> Vec<String> {
        worker.store.timers_due(1_000, most).unwrap().into_iter().map(|timer| timer.key).collect()
    };
    assert_eq!(keys(&mut one, 2), ["a", "b"]);
    assert_eq!(keys(&mut other, 9), ["c"]);
    assert_eq!(keys(&mut one, 9), ["a", "b"], "its own are shown again");
    assert_eq!(one.store.next_timer().unwrap(), Some(10));
    assert_eq!(other.store.next_timer().unwrap(), Some(30));
    other.commit(&fire("c", 30));
    let next = other.store.next_timer().unwrap().unwrap();
    assert!(next > 1_000 && next < 9_000_000_000_000, "where the claim of the first ends: {next}");
    drop(one);
    assert_eq!(keys(&mut other, 9), ["a", "b"]);
    // A claim is only a hint.
    let mut third = Worker::join(&options);
    third.commit(&fire("a", 10));
    assert!(matches!(other.attempt(&fire("a", 10)), Err(CommitError::Conflict(_))));
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn timers_of_a_table_that_only_another_version_declares_are_left_to_it() {
    let schema = Schema::new();
    let mut worker = Worker::join(&schema.options());
    set(&mut worker, &[("a", 10)]);
    schema
        .look()
        .run("INSERT INTO timer (table_name, key, name, due_ms, version, command, cause) VALUES ('later__thing', 'x', 'y', 5, 1, '', '{}')");
    assert_eq!(worker.store.next_timer().unwrap(), Some(10));
    assert_eq!(worker.store.timers_due(1_000, 9).unwrap().len(), 1);
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_clean_shutdown_releases_its_leases_at_once() {
    let schema = Schema::new();
    let options = schema.options();
    let (mut one, mut other) = (Worker::join(&options), Worker::join(&options));
    let effect = contract_tests::rows::effect(one.effects_from + 1, parcels(), "a");
    one.commit(&Commit { effects: vec![effect.clone()], ..Commit::default() });
    assert_eq!(other.store.adopt(9).unwrap(), []);
    assert!(one.outbox.lease().unwrap().is_some());
    assert!(other.outbox.lease().unwrap().is_none());
    drop(one);
    assert_eq!(other.store.adopt(9).unwrap(), [effect]);
    assert!(other.outbox.lease().unwrap().is_some());
}
