//! Against a real broker: `scripts/infra up`, `PABAL_TEST_KAFKA` set to its address, and `--include-ignored`, as
//! `scripts/test-distributed` does it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use broker_kafka::{Admin, HandoverError, KafkaBroker, KafkaPublisher, Options, Topics};
use kernel::event::Cause;
use pabal_core::Relay;
use ports::{Broker, Delivery, GroupMember, Partition, Publisher, Record, Stamp};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use support::ledger::{Ledger, Process};
use support::outbox::ListOutbox;
use support::{PATIENCE, fresh, kafka, partition, publish, record, records, topic, until};

/// Held for writing while the broker is down, so that no other test uses it.
static ALIVE: RwLock<()> = RwLock::new(());

macro_rules! real {
    ($test:literal) => {{ (kafka($test), ALIVE.read().unwrap_or_else(PoisonError::into_inner)) }};
}

fn plain(options: &Options) -> BaseProducer {
    ClientConfig::new().set("bootstrap.servers", &options.bootstrap).create().unwrap()
}

#[test]
#[ignore = "needs Apache Kafka: scripts/test-distributed"]
fn a_record_arrives_as_it_was_published() {
    let (options, _alive) = real!("roundtrip");
    let topic = topic(&options, "roundtrip", 1);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
    let cause = Cause { actor: "홍길동".into(), request: "r-1".into(), causation: "event-0".into(), trace };
    let data = "{\"eventType\":\"Taken\",\"text\":\"가 \\\" 🎈\"}".as_bytes().to_vec();
    let rich = Record { version: 7, event_type: "Taken".into(), data, cause, ..record(1, "가") };
    let bare = Record { cause: Cause::default(), key: String::new(), ..record(2, "") };
    let stamp = |number| Stamp { outbox: "rcs 1/가".into(), number };
    let sent = [(stamp(1), rich), (stamp(2), bare), (stamp(3), record(3, "plain"))];
    publish(&options, &topic, &sent);
    let broker = KafkaBroker::new(&options).unwrap();
    let found = broker.fetch(&partition(&topic, 0), 0, 10).unwrap();
    let expected: Vec<Delivery> = sent
        .into_iter()
        .zip(1..)
        .map(|((stamp, record), seq)| Delivery { record: Record { seq, ..record }, stamp: Some(stamp) })
        .collect();
    assert_eq!(found, expected);
    assert_eq!(broker.end(&partition(&topic, 0)).unwrap(), 3);
}

#[test]
#[ignore = "needs Apache Kafka: scripts/test-distributed"]
fn without_a_group_a_topic_is_read_from_any_position() {
    let (options, _alive) = real!("positions");
    let broker = KafkaBroker::new(&options).unwrap();
    let unknown = partition("no-such-topic", 0);
    assert_eq!((broker.fetch(&unknown, 0, 10).unwrap(), broker.end(&unknown).unwrap()), (vec![], 0));
    assert_eq!(broker.fetch(&unknown, 7, 10).unwrap(), []);
    let topic = topic(&options, "positions", 1);
    let place = partition(&topic, 0);
    let (woken, wakes) = channel();
    let woken = Mutex::new(woken);
    broker.watch(&topic, Box::new(move || woken.lock().unwrap().send(()).unwrap_or_default()));
    publish(&options, &topic, &records("o", 1, 3_001, 7));
    wakes.recv_timeout(PATIENCE).unwrap();
    let mut after = 0;
    for limit in [1, 2, 997, 5_000] {
        let found = broker.fetch(&place, after, limit).unwrap();
        let expected = (after + 1..=3_000).take(limit).collect::<Vec<_>>();
        assert_eq!(found.iter().map(|delivery| delivery.record.seq).collect::<Vec<_>>(), expected);
        after = found.last().unwrap().record.seq;
    }
    assert_eq!(broker.fetch(&place, 3_000, 5).unwrap(), []);
    assert_eq!(broker.fetch(&place, 4_000, 5).unwrap(), []);
    publish(&options, &topic, &records("o", 3_001, 3_002, 7));
    assert_eq!(broker.fetch(&place, 3_000, 5).unwrap().len(), 1);
    // Back and forth: never a record too many or too few.
    for step in 0..60_u64 {
        let after = step * 7_919 % 3_000;
        let found = broker.fetch(&place, after, 3).unwrap();
        assert_eq!(found[0].record.seq, after + 1, "step {step}");
    }
}

#[test]
#[ignore = "needs Apache Kafka: scripts/test-distributed"]
fn order_is_kept_per_key_over_partitions_as_javas_producers_choose_them() {
    let (options, _alive) = real!("order");
    let topic = topic(&options, "order", 4);
    let ledger = Arc::new(Ledger::default());
    let process = Process::start(&options, &fresh("group"), &topic, 1, &ledger);
    let mut publisher = KafkaPublisher::new(&options).unwrap();
    for batch in records("o", 1, 5_001, 37).chunks(333) {
        publisher.publish(&topic, batch).unwrap();
    }
    until("all are handled", || ledger.len() >= 5_000);
    ledger.holds(1, 5_001);
    assert_eq!(ledger.inner.lock().unwrap().positions.len(), 4, "every partition has something");
    process.stop();
    // What Java's `Utils.murmur2` gives for these, by its own tests.
    let java = [("21", -973_932_308_i32), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536)];
    let known: Vec<_> =
        java.iter().zip(1..).map(|((key, _), number)| (Stamp { outbox: "j".into(), number }, record(number, key))).collect();
    publisher.publish(&topic, &known).unwrap();
    let broker = KafkaBroker::new(&options).unwrap();
    for (key, hash) in java {
        let place = partition(&topic, u32::try_from((hash & 0x7fff_ffff) % 4).unwrap());
        let after = ledger.inner.lock().unwrap().positions[&place];
        assert!(broker.fetch(&place, after, 10).unwrap().iter().any(|delivery| delivery.record.key == key), "{key}");
    }
}

#[test]
#[ignore = "needs Apache Kafka: scripts/test-distributed"]
fn a_second_member_is_assigned_what_the_first_has_released() {
    let (options, _alive) = real!("rebalance");
    let topic = topic(&options, "rebalance", 4);
    let group = fresh("group");
    let ledger = Arc::new(Ledger::default());
    let first = Process::start(&options, &group, &topic, 1, &ledger);
    let publishing = {
        let (options, topic) = (options.clone(), topic.clone());
        std::thread::spawn(move || {
            let mut publisher = KafkaPublisher::new(&options).unwrap();
            for batch in records("o", 1, 20_001, 101).chunks(100) {
                publisher.publish(&topic, batch).unwrap();
                std::thread::sleep(Duration::from_millis(15));
            }
        })
    };
    until("the first works", || ledger.len() > 500);
    let second = Process::start(&options, &group, &topic, 2, &ledger);
    until("they share", || first.mine.lock().unwrap().len() == 2 && second.mine.lock().unwrap().len() == 2);
    let both = ledger.len();
    until("both work", || ledger.len() > both + 500);
    first.stop();
    until("the second has all", || second.mine.lock().unwrap().len() == 4);
    let third = Process::start(&options, &group, &topic, 3, &ledger);
    publishing.join().unwrap();
    until("all are handled", || ledger.len() >= 20_000);
    ledger.holds(1, 20_001);
    let inner = ledger.inner.lock().unwrap();
    assert!(inner.moves >= 8, "{}", inner.moves);
    assert_eq!(inner.repeated, 0);
    drop(inner);
    drop((second, third));
}

#[test]
#[ignore = "needs Apache Kafka: scripts/test-distributed"]
fn a_restarted_member_continues() {
    let (options, _alive) = real!("restart");
    let topic = topic(&options, "restart", 2);
    let group = fresh("group");
    let ledger = Arc::new(Ledger::default());
    for round in 0..4_u64 {
        publish(&options, &topic, &records("o", round * 500 + 1, round * 500 + 501, 11));
        let process = Process::start(&options, &group, &topic, 1, &ledger);
        let enough = usize::try_from(round * 500 + 250).unwrap();
        until("it works", || ledger.len() >= enough);
        process.stop();
        assert_eq!(ledger.inner.lock().unwrap().owners, BTreeMap::new(), "it has let go");
    }
    let process = Process::start(&options, &group, &topic, 1, &ledger);
    until("all are handled", || ledger.len() >= 2_000);
    ledger.holds(1, 2_001);
    process.stop();
    let positions = Admin::new(&options).unwrap().positions(&group, std::slice::from_ref(&topic)).unwrap();
    assert_eq!(positions, ledger.inner.lock().unwrap().positions, "the broker knows, too");
    let lag = Admin::new(&options).unwrap().lag(&group, &[topic]).unwrap();
    assert!(lag.len() == 2 && lag.iter().all(|lag| lag.behind == 0), "{lag:?}");
}

/// Set in the child process of the next test: the topic that it publishes to.
const CHILD_TOPIC: &str = "PABAL_TEST_CHILD_TOPIC";

fn publish_until_killed(options: &Options, topic: &str) {
    let mut publisher = KafkaPublisher::new(options).unwrap();
    for number in (1..).step_by(300) {
        publisher.publish(topic, &records("o", number, number + 300, 17)).unwrap();
        println!("marked {}", number + 299);
    }
}

#[test]
#[ignore = "needs Apache Kafka: scripts/test-distributed"]
fn records_that_a_killed_relay_has_published_are_found() {
    let (options, _alive) = real!("killed");
    if let Ok(topic) = std::env::var(CHILD_TOPIC) {
        return publish_until_killed(&options, &topic);
    }
    let topic = topic(&options, "killed", 3);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "records_that_a_killed_relay_has_published_are_found", "--ignored", "--nocapture"])
        .env(CHILD_TOPIC, &topic)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let broker = KafkaBroker::new(&options).unwrap();
    let ends = || (0..3).map(|number| broker.end(&partition(&topic, number)).unwrap()).sum::<u64>();
    until("the child publishes", || ends() > 5_000);
    child.kill().unwrap();
    let told = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    child.wait().unwrap();
    let marked: u64 = told.lines().filter_map(|line| line.strip_prefix("marked ")?.parse().ok()).next_back().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let all = |broker: &KafkaBroker| -> Vec<Delivery> {
        let read = |number| broker.fetch(&partition(&topic, number), 0, 1_000_000).unwrap();
        (0..3).flat_map(read).collect()
    };
    let there: Vec<u64> = all(&broker).iter().map(|delivery| delivery.stamp.as_ref().unwrap().number).collect();
    let mut publisher = KafkaPublisher::new(&options).unwrap();
    for after in [marked, marked - 2_500, 0, u64::MAX] {
        let found = publisher.published(&topic, "o", after).unwrap();
        let expected = there.iter().copied().filter(|number| *number > after).collect();
        assert_eq!(found, expected, "after {after}");
    }
    assert!(publisher.published(&topic, "another", 0).unwrap().is_empty());
    // A relay goes on where the dead one stopped.
    let mut outbox = ListOutbox { name: "o".into(), ..ListOutbox::default() };
    let last = marked + 1_000;
    outbox.records.lock().unwrap().extend(records("o", 1, last + 1, 17).into_iter().map(|(_, record)| record));
    *outbox.sent.lock().unwrap() = marked - 2_500;
    let mut relay = Relay::new(&topic, 200);
    while *outbox.sent.lock().unwrap() < last {
        relay.turn(&mut outbox, &mut publisher).unwrap();
    }
    let mut numbers: Vec<u64> = all(&broker).iter().map(|delivery| delivery.stamp.as_ref().unwrap().number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>(), "each once");
}

#[test]
#[ignore = "needs Apache Kafka: scripts/test-distributed"]
fn messages_that_are_not_events_are_skipped() {
    let (options, _alive) = real!("garbage");
    let topic = topic(&options, "garbage", 1);
    let producer = plain(&options);
    let values: [Option<&str>; 8] = [
        Some("hello"),
        Some(r#"{"eventType":"Sent","id":1,"me":true}"#),
        None,
        Some("[]"),
        Some(r#"{"id":2}"#),
        Some(r#"{"eventType":"Saved","timestamp":12}"#),
        Some(""),
        Some("{"),
    ];
    for value in values {
        let headers = OwnedHeaders::new().insert(Header { key: "contentType", value: Some("\"application/json\"") });
        let mut message: BaseRecord<'_, str, str> = BaseRecord::to(&topic).headers(headers);
        message.payload = value;
        producer.send(message).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    publish(&options, &topic, &records("o", 1, 2, 1));
    let broker = KafkaBroker::new(&options).unwrap();
    let found = broker.fetch(&partition(&topic, 0), 0, 10).unwrap();
    let shown: Vec<_> =
        found.iter().map(|found| (found.record.seq, found.record.event_type.as_str(), found.record.source.as_str())).collect();
    assert_eq!(shown, [(2, "Sent", ""), (6, "Saved", ""), (9, "SendSuccess", "message")]);
    assert_eq!((found[0].record.id.clone(), found[1].record.time_ms), (format!("{topic}/0/1"), 12));
}

#[test]
#[ignore = "needs Apache Kafka: scripts/test-distributed"]
fn records_that_retention_has_removed_are_skipped() {
    let (options, _alive) = real!("retention");
    let topic = topic(&options, "retention", 1);
    publish(&options, &topic, &records("o", 1, 1_001, 3));
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &options.bootstrap).create().unwrap();
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&topic, 0, Offset::Offset(600)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(admin.delete_records(&before, &AdminOptions::new())).unwrap();
    let broker = KafkaBroker::new(&options).unwrap();
    let found = broker.fetch(&partition(&topic, 0), 10, 5).unwrap();
    assert_eq!(found.iter().map(|delivery| delivery.record.seq).collect::<Vec<_>>(), [601, 602, 603, 604, 605]);
    assert_eq!(broker.fetch(&partition(&topic, 0), 605, 5).unwrap()[0].record.seq, 606);
}

#[test]
#[ignore = "needs Apache Kafka: scripts/test-distributed"]
fn a_slow_reader_loses_nothing() {
    let (mut options, _alive) = real!("slow");
    options.prefetch_records = 50;
    options.prefetch_kb = 16;
    let topic = topic(&options, "slow", 2);
    publish(&options, &topic, &records("o", 1, 6_001, 13));
    let ledger = Arc::new(Ledger::default());
    let process = Process::start(&options, &fresh("group"), &topic, 1, &ledger);
    until("all are handled", || ledger.len() >= 6_000);
    ledger.holds(1, 6_001);
    process.stop();
}

/// Signals its first assignment.
struct Assigned(Mutex<Sender<()>>);

impl GroupMember for Assigned {
    fn assigned(&self, _: Vec<Partition>) {
        self.0.lock().unwrap().send(()).unwrap();
    }

    fn revoked(&self, _: Vec<Partition>) {}
}

#[test]
#[ignore = "needs Apache Kafka: scripts/test-distributed"]
fn subscriptions_at_different_positions_all_get_every_record() {
    let (options, _alive) = real!("places");
    let topic = topic(&options, "places", 1);
    publish(&options, &topic, &records("o", 1, 20_001, 13));
    let place = partition(&topic, 0);
    let broker = KafkaBroker::new(&options).unwrap();
    let (given, got) = channel();
    broker.join(&fresh("group"), std::slice::from_ref(&topic), Box::new(Assigned(Mutex::new(given)))).unwrap();
    got.recv_timeout(PATIENCE).unwrap();
    // Two near each other, one far ahead: each in order, without a gap.
    let mut places = [0_u64, 700, 15_000];
    let began = Instant::now();
    let deadline = Instant::now() + PATIENCE;
    while places.iter().any(|place| *place < 20_000) {
        for after in places.iter_mut().filter(|after| **after < 20_000) {
            let found = broker.fetch(&place, *after, 400).unwrap();
            for delivery in found {
                assert_eq!(delivery.record.seq, *after + 1);
                *after += 1;
            }
        }
        assert!(Instant::now() < deadline, "{places:?}");
    }
    println!("three subscriptions, 44300 records: {} ms", began.elapsed().as_millis());
}

#[test]
#[ignore = "needs Apache Kafka: scripts/test-distributed"]
fn a_topic_is_created_once_and_warnings_are_returned() {
    let (options, _alive) = real!("ensure");
    let name = fresh("ensure");
    let with = |partitions| Options { topics: Topics { partitions, ..Topics::default() }, ..options.clone() };
    let ensure = |partitions| Admin::new(&with(partitions)).unwrap().ensure(std::slice::from_ref(&name)).unwrap().remove(0);
    let first = ensure(2);
    assert!(first.made && first.partitions == 2 && first.warning().is_none(), "{first:?}");
    let second = ensure(2);
    assert!(!second.made && second.warning().is_none(), "{second:?}");
    assert!(ensure(3).warning().unwrap().contains("has 2 partitions, configured are 3"));
    let producer = plain(&options);
    let message: BaseRecord<'_, str, str> = BaseRecord::to(&name).payload(r#"{"eventType":"Sent"}"#);
    producer.send(message).map_err(|(error, _)| error).unwrap();
    producer.flush(PATIENCE).unwrap();
    assert!(ensure(2).warning().unwrap().contains("without a key"));
}

#[test]
#[ignore = "needs Apache Kafka: scripts/test-distributed"]
fn a_group_begins_at_the_offsets_of_another() {
    let (options, _alive) = real!("handover");
    let topic = topic(&options, "handover", 3);
    let topics = std::slice::from_ref(&topic);
    let (from, to) = (fresh("java"), fresh("rcs.validator"));
    publish(&options, &topic, &records("o", 1, 301, 20));
    let admin = Admin::new(&options).unwrap();
    assert!(matches!(admin.handover(&from, &to, topics), Err(HandoverError::NoOffsets(group)) if group == from));
    let ledger = Arc::new(Ledger::default());
    let process = Process::start(&options, &from, &topic, 1, &ledger);
    until("all are handled", || ledger.len() >= 300);
    let stands = ledger.inner.lock().unwrap().positions.clone();
    until("the broker knows", || admin.positions(&from, topics).unwrap() == stands);
    for (one, other) in [(&from, &to), (&to, &from)] {
        let refused = admin.handover(one, other, topics);
        assert!(matches!(&refused, Err(HandoverError::Busy { group, members: 1 }) if *group == from), "{refused:?}");
    }
    process.stop();
    assert_eq!(admin.handover(&from, &to, topics).unwrap(), stands);
    assert_eq!(admin.positions(&to, topics).unwrap(), stands);
    assert!(admin.lag(&to, topics).unwrap().iter().all(|lag| lag.behind == 0 && lag.position.is_some()));
    publish(&options, &topic, &records("o", 301, 311, 20));
    assert_eq!(admin.lag(&to, topics).unwrap().iter().map(|lag| lag.behind).sum::<u64>(), 10);
}

fn infra(verb: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/infra");
    let done = Command::new(script).args([verb, "kafka"]).stdout(Stdio::null()).status().unwrap();
    assert!(done.success(), "scripts/infra {verb} kafka");
}

/// Whether the broker is the one that `scripts/infra` of this checkout has started.
fn is_ours(options: &Options) -> bool {
    let env = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.infra/env")).unwrap_or_default();
    env.lines().any(|line| line == format!("PABAL_KAFKA_BOOTSTRAP={}", options.bootstrap))
}

#[test]
#[ignore = "needs Apache Kafka: scripts/test-distributed"]
fn a_broker_that_is_killed_under_load_loses_nothing_and_changes_no_order() {
    let mut options = kafka("kill");
    assert!(is_ours(&options), "the broker is not the one of scripts/infra, which could start it again");
    let _alone = ALIVE.write().unwrap_or_else(PoisonError::into_inner);
    options.times.delivery_ms = 4_000;
    let topic = topic(&options, "kill", 4);
    let group = fresh("group");
    let ledger = Arc::new(Ledger::default());
    let processes = [1, 2].map(|me| Process::start(&options, &group, &topic, me, &ledger));
    let outbox = ListOutbox { name: fresh("outbox"), ..ListOutbox::default() };
    let stop = Arc::new(AtomicBool::new(false));
    let relaying = {
        let (mut outbox, options, topic, stop) = (outbox.clone(), options.clone(), topic.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut publisher = KafkaPublisher::new(&options).unwrap();
            let (mut relay, mut errors) = (Relay::new(&topic, 200), 0);
            while !stop.load(Ordering::Relaxed) {
                if relay.turn(&mut outbox, &mut publisher).is_err() {
                    errors += 1;
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
            errors
        })
    };
    // The first outage is shorter than the time in which a record must be acknowledged, the second one longer.
    let filling = Arc::new(AtomicBool::new(true));
    let filler = {
        let (outbox, filling) = (outbox.clone(), filling.clone());
        std::thread::spawn(move || {
            let mut next = 1;
            while filling.load(Ordering::Relaxed) {
                let more = records("", next, next + 50, 97).into_iter().map(|(_, record)| record);
                outbox.records.lock().unwrap().extend(more);
                next += 50;
                std::thread::sleep(Duration::from_millis(10));
            }
            next
        })
    };
    for outage in [0, 6] {
        let before = ledger.len();
        until("load", || ledger.len() > before + 2_000);
        infra("kill");
        std::thread::sleep(Duration::from_secs(outage));
        infra("start");
    }
    let before = ledger.len();
    until("load again", || ledger.len() > before + 2_000);
    filling.store(false, Ordering::Relaxed);
    let end = filler.join().unwrap();
    println!("{} of {} are sent, {} handled", *outbox.sent.lock().unwrap(), end - 1, ledger.len());
    until("all are handled", || ledger.len() as u64 >= end - 1);
    stop.store(true, Ordering::Relaxed);
    let errors = relaying.join().unwrap();
    ledger.holds(1, end);
    let repeated = ledger.inner.lock().unwrap().repeated;
    println!("{} records, {errors} errors of the relay, {repeated} records stand in the topic twice", end - 1);
    drop(processes);
}

#[test]
#[ignore = "needs Apache Kafka: scripts/test-distributed"]
fn requests_to_a_broker_that_hangs_time_out() {
    let mut options = kafka("hang");
    assert!(is_ours(&options), "the broker is not the one of scripts/infra, which could stop it");
    let _alone = ALIVE.write().unwrap_or_else(PoisonError::into_inner);
    (options.times.delivery_ms, options.times.request_ms) = (3_000, 1_000);
    let topic = topic(&options, "hang", 1);
    let ledger = Arc::new(Ledger::default());
    let process = Process::start(&options, &fresh("group"), &topic, 1, &ledger);
    let mut publisher = KafkaPublisher::new(&options).unwrap();
    publisher.publish(&topic, &records("o", 1, 101, 7)).unwrap();
    until("it works", || ledger.len() == 100);
    infra("stop");
    let mut took = Vec::new();
    let mut timed = |what: &str, act: &mut dyn FnMut()| {
        let began = Instant::now();
        act();
        took.push((what.to_owned(), began.elapsed()));
    };
    let mut failed = (true, true, true);
    timed("publish", &mut || failed.0 = publisher.publish(&topic, &records("o", 101, 201, 7)).is_err());
    timed("published", &mut || failed.1 = publisher.published(&topic, "o", 100).is_err());
    timed("end", &mut || failed.2 = process.broker.end(&partition(&topic, 0)).is_err());
    timed("fetch", &mut || drop(process.broker.fetch(&partition(&topic, 0), 100, 10)));
    timed("close", &mut || process.broker.close());
    infra("cont");
    println!("{took:?}");
    assert_eq!(failed, (true, true, true));
    assert!(took.iter().all(|(_, time)| *time < Duration::from_secs(10)), "{took:?}");
    // What was on its way when the broker hung may have arrived: that is what is asked for.
    (options.times.delivery_ms, options.times.request_ms) = (30_000, 10_000);
    let mut there = None;
    until("the broker is back", || {
        there = publisher.published(&topic, "o", 100).ok();
        there.is_some()
    });
    let there = there.unwrap();
    let missing: Vec<_> = records("o", 101, 201, 7).into_iter().filter(|(stamp, _)| !there.contains(&stamp.number)).collect();
    publisher.publish(&topic, &missing).unwrap();
    let broker = KafkaBroker::new(&options).unwrap();
    let found = broker.fetch(&partition(&topic, 0), 0, 1_000).unwrap();
    // Requests in the broker's sockets may be handled after the look: consumers recognise the records by their numbers.
    let mut numbers: Vec<u64> = Vec::new();
    for delivery in &found {
        let number = delivery.stamp.as_ref().unwrap().number;
        if numbers.last().is_none_or(|last| number > *last) {
            numbers.push(number);
        }
    }
    println!("{} of 100 had arrived; {} stand there now, for 200", there.len(), found.len());
    assert_eq!(numbers, (1..=200).collect::<Vec<_>>());
}
