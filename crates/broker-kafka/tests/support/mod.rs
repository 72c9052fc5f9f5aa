//! What the tests against a real broker share.
#![allow(dead_code, reason = "not every test file needs everything")]

pub mod ledger;
pub mod outbox;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use broker_kafka::{Admin, KafkaPublisher, Options, Topics};
use kernel::event::Cause;
use ports::{Partition, Publisher, Record, Stamp};

pub const PATIENCE: Duration = Duration::from_secs(90);

/// A setting of the tests, or their failure: a test that needs a server does not pass without one.
pub fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run scripts/test-distributed, or see scripts/infra"))
}

/// A client's options for the broker.
pub fn kafka(test: &str) -> Options {
    let bootstrap = setting("PABAL_TEST_KAFKA");
    let mut options = Options::at(&bootstrap);
    options.client_id = format!("test-{test}");
    options.times.session_ms = 6_000;
    options.times.heartbeat_ms = 300;
    options.times.metadata_ms = 1_000;
    options
}

/// A name that no run has used.
pub fn fresh(what: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
    format!("{what}-{now}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A new topic.
pub fn topic(options: &Options, what: &str, partitions: u32) -> String {
    let name = fresh(what);
    let topics = Topics { partitions, replication: 1, ..Topics::default() };
    let admin = Admin::new(&Options { topics, ..options.clone() }).unwrap();
    let states = admin.ensure(std::slice::from_ref(&name)).unwrap();
    assert!(states[0].made && states[0].partitions == partitions && states[0].warning().is_none());
    name
}

pub fn partition(topic: &str, number: u32) -> Partition {
    Partition { topic: topic.to_owned(), number }
}

pub fn record(number: u64, key: &str) -> Record {
    Record {
        seq: 0,
        id: format!("event-{number}"),
        source: "message".into(),
        event_type: "SendSuccess".into(),
        version: 1,
        key: key.to_owned(),
        time_ms: 1_700_000_000_000 + i64::try_from(number).unwrap(),
        data: format!(
            "{{\"eventType\":\"SendSuccess\",\"id\":{number},\"messageId\":\"{key}\",\"text\":\"안녕하세요 {number}\"}}"
        )
        .into_bytes(),
        cause: Cause { actor: "a person".into(), request: format!("r-{number}"), ..Cause::default() },
    }
}

/// Records with numbers `from..to`, over so many keys.
pub fn records(outbox: &str, from: u64, to: u64, keys: u64) -> Vec<(Stamp, Record)> {
    let stamped = |number| (Stamp { outbox: outbox.to_owned(), number }, record(number, &format!("key-{}", number % keys)));
    (from..to).map(stamped).collect()
}

pub fn publish(options: &Options, topic: &str, records: &[(Stamp, Record)]) {
    KafkaPublisher::new(options).unwrap().publish(topic, records).unwrap();
}

/// Waits until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "timed out: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
