//! Topics: in order, from any position of each partition, and watchers are woken when there is more.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kernel::event::Cause;
use macro_rules_attribute::apply;
use ports::{Delivery, GroupMember, Partition, Record};

use crate::BrokerHarness;
use crate::rows::record;

/// A broker may need a moment until it knows of a record, or of a topic.
const PATIENCE: Duration = Duration::from_secs(10);

/// More records than any check publishes.
const MOST: usize = 10_000;

/// The topic of a check.
pub(crate) fn topic<H: BrokerHarness>(harness: &H) -> String {
    harness.topic("sample-events")
}

/// Publishes records of these keys, numbered in their ids.
fn fill<H: BrokerHarness>(harness: &H, topic: &str, keys: &[&str]) {
    for (number, key) in (1..).zip(keys) {
        harness.publish(topic, record(number, "Taken", key));
    }
}

pub(crate) fn fetch<H: BrokerHarness>(harness: &H, partition: &Partition, after: u64, limit: usize) -> Vec<Delivery> {
    harness.broker().fetch(partition, after, limit).expect("a topic is read")
}

fn end<H: BrokerHarness>(harness: &H, partition: &Partition) -> u64 {
    harness.broker().end(partition).expect("a partition has an end")
}

/// All that a topic has, by partition; asks again until so many records are there.
pub(crate) fn everything<H: BrokerHarness>(harness: &H, topic: &str, records: usize) -> Vec<(Partition, Vec<Delivery>)> {
    let began = Instant::now();
    loop {
        let partitions = harness.partitions(topic).into_iter();
        let found: Vec<_> = partitions.map(|partition| (partition.clone(), fetch(harness, &partition, 0, MOST))).collect();
        let there: usize = found.iter().map(|(_, deliveries)| deliveries.len()).sum();
        assert!(there <= records, "{there} records are there, and {records} were published");
        if there == records {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{there} of {records} records are there");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The only partition with records of a check that publishes one key.
fn only<H: BrokerHarness>(harness: &H, topic: &str, records: usize) -> (Partition, Vec<Delivery>) {
    let mut found = everything(harness, topic, records);
    found.retain(|(_, deliveries)| !deliveries.is_empty());
    assert_eq!(found.len(), 1, "a key has one partition: {found:?}");
    found.remove(0)
}

pub(crate) fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.record.id.as_str()).collect()
}

/// Sends something whenever the topic may have more.
fn watch<H: BrokerHarness>(harness: &H, topic: &str) -> Receiver<()> {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let wake = move || {
        if let Ok(sender) = sender.lock() {
            // The receiver is gone once the check is over.
            let _ = sender.send(());
        }
    };
    harness.broker().watch(topic, Box::new(wake));
    receiver
}

/// A record with something in every field.
pub(crate) fn rich() -> Record {
    let words = ["a person", "r-1", "event-0", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"];
    let [actor, request, causation, trace] = words.map(str::to_owned);
    let data = "{\"eventType\":\"Taken\",\"text\":\"가 \\\" 🎈\"}".as_bytes().to_vec();
    let cause = Cause { actor, request, causation, trace };
    Record { version: 7, time_ms: 1_767_225_600_123, data, cause, ..record(0, "Taken", "가") }
}

/// What a member of a group was told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<BTreeSet<Partition>>>);

impl GroupMember for Told {
    fn assigned(&self, partitions: Vec<Partition>) {
        self.0.lock().expect("no holder of the lock panics").extend(partitions);
    }
    fn revoked(&self, partitions: Vec<Partition>) {
        self.0.lock().expect("no holder of the lock panics").retain(|mine| !partitions.contains(mine));
    }
}

/// Topics as they are read.
#[apply(checks!)]
impl<H: BrokerHarness> BrokerChecks<H> {
    /// There may be something later.
    pub fn an_unknown_topic_is_empty() {
        let harness = H::fresh();
        let unknown = Partition::only(&harness.topic("unknown-events"));
        assert_eq!(fetch(&harness, &unknown, 0, 10), []);
        assert_eq!(fetch(&harness, &unknown, 7, 10), []);
        assert_eq!(end(&harness, &unknown), 0);
    }

    /// A partition that the topic has not got is empty.
    pub fn an_unknown_partition_is_empty() {
        let harness = H::fresh();
        fill(&harness, &topic(&harness), &["a", "b"]);
        everything(&harness, &topic(&harness), 2);
        let unknown = Partition { topic: topic(&harness), number: 1_000_000 };
        assert_eq!(fetch(&harness, &unknown, 0, 10), []);
        assert_eq!(end(&harness, &unknown), 0);
    }

    /// Positions increase, and a limit is a limit.
    pub fn records_are_fetched_in_order() {
        let harness = H::fresh();
        fill(&harness, &topic(&harness), &["a", "b", "a", "c", "a", "d", "b"]);
        for (partition, deliveries) in everything(&harness, &topic(&harness), 7) {
            assert!(ids(&deliveries).is_sorted(), "in the order in which they were published: {deliveries:?}");
            let positions: Vec<_> = deliveries.iter().map(|delivery| delivery.record.seq).collect();
            assert!(positions.is_sorted_by(|one, next| one < next), "positions increase: {positions:?}");
            assert!(positions.first() != Some(&0), "position 0 is before the first record");
            for limit in 1..deliveries.len() {
                assert_eq!(fetch(&harness, &partition, 0, limit), deliveries[..limit]);
            }
        }
    }

    /// Record after record, and nothing behind the last.
    pub fn a_fetch_goes_on_behind_a_position() {
        let harness = H::fresh();
        fill(&harness, &topic(&harness), &["a"; 5]);
        let (partition, _) = only(&harness, &topic(&harness), 5);
        let (mut after, mut found) = (0, Vec::new());
        loop {
            let deliveries = fetch(&harness, &partition, after, 2);
            let Some(last) = deliveries.last() else { break };
            after = last.record.seq;
            found.extend(deliveries.iter().map(|delivery| delivery.record.id.clone()));
        }
        assert_eq!(found, ["event-1", "event-2", "event-3", "event-4", "event-5"]);
        assert_eq!(fetch(&harness, &partition, after + 1000, 2), []);
    }

    /// A new subscription that starts from now starts there.
    pub fn the_end_is_the_last_records_position() {
        let harness = H::fresh();
        fill(&harness, &topic(&harness), &["a", "a"]);
        let (partition, deliveries) = only(&harness, &topic(&harness), 2);
        let last = end(&harness, &partition);
        assert_eq!(Some(last), deliveries.last().map(|delivery| delivery.record.seq));
        harness.publish(&topic(&harness), record(3, "Taken", "a"));
        everything(&harness, &topic(&harness), 3);
        assert_eq!(ids(&fetch(&harness, &partition, last, 10)), ["event-3"]);
        let others = harness.partitions(&topic(&harness)).into_iter().filter(|other| *other != partition);
        assert!(others.into_iter().all(|other| end(&harness, &other) == 0), "an empty partition ends at 0");
    }

    /// Each has its own records and its own end.
    pub fn topics_do_not_mix() {
        let harness = H::fresh();
        let other = harness.topic("other-events");
        fill(&harness, &topic(&harness), &["a"]);
        fill(&harness, &other, &["b", "b"]);
        let keys = |found: (Partition, Vec<Delivery>)| found.1.into_iter().map(|found| found.record.key).collect::<Vec<_>>();
        assert_eq!(keys(only(&harness, &topic(&harness), 1)), ["a"]);
        assert_eq!(keys(only(&harness, &other, 2)), ["b", "b"]);
    }

    /// Whatever else comes in between, and however many partitions there are: order is kept per key.
    pub fn a_key_stays_in_one_partition() {
        let harness = H::fresh();
        let keys: Vec<String> = (0..12).map(|number| format!("key {number}")).collect();
        let thrice: Vec<_> = keys.iter().chain(&keys).chain(&keys).map(String::as_str).collect();
        fill(&harness, &topic(&harness), &thrice);
        let found = everything(&harness, &topic(&harness), 36);
        for (place, key) in keys.iter().enumerate() {
            let of_key = |deliveries: &[Delivery]| -> Vec<String> {
                let mine = deliveries.iter().filter(|delivery| delivery.record.key == *key);
                mine.map(|delivery| delivery.record.id.clone()).collect()
            };
            let there: Vec<_> = found.iter().map(|(_, deliveries)| of_key(deliveries)).filter(|ids| !ids.is_empty()).collect();
            assert_eq!(there, [[1, 13, 25].map(|first| format!("event-{}", first + place))], "{key}");
        }
        let used = found.iter().filter(|(_, deliveries)| !deliveries.is_empty()).count();
        assert_eq!(used > 1, found.len() > 1, "twelve keys are spread over {} partitions", found.len());
    }

    /// In every part but the position, which the topic gives.
    pub fn a_record_arrives_as_it_was_published() {
        let harness = H::fresh();
        for published in [rich(), Record { cause: Cause::default(), ..record(0, "Sent", "가") }] {
            harness.publish(&topic(&harness), published);
        }
        let (_, deliveries) = only(&harness, &topic(&harness), 2);
        let found: Vec<_> = deliveries.into_iter().map(|delivery| Record { seq: 0, ..delivery.record }).collect();
        assert_eq!(found, [rich(), Record { cause: Cause::default(), ..record(0, "Sent", "가") }]);
    }

    /// And then finds the record; so is every other watcher.
    pub fn a_watcher_is_woken() {
        let harness = H::fresh();
        fill(&harness, &topic(&harness), &["a"]);
        let (partition, _) = only(&harness, &topic(&harness), 1);
        let watching = [watch(&harness, &topic(&harness)), watch(&harness, &topic(&harness))];
        let last = end(&harness, &partition);
        harness.publish(&topic(&harness), record(2, "Taken", "a"));
        for woken in watching {
            // It may be woken for nothing before.
            while woken.recv_timeout(PATIENCE).is_ok() && fetch(&harness, &partition, last, 10).is_empty() {}
            assert_eq!(ids(&fetch(&harness, &partition, last, 10)), ["event-2"]);
        }
    }

    /// Systems start in any order.
    pub fn a_watcher_is_woken_of_a_topic_that_is_made_later() {
        let harness = H::fresh();
        let later = harness.topic("later-events");
        let woken = watch(&harness, &later);
        fill(&harness, &later, &["a"]);
        assert!(woken.recv_timeout(PATIENCE).is_ok(), "the watcher is woken");
        assert_eq!(ids(&only(&harness, &later, 1).1), ["event-1"]);
    }

    /// Of each of its topics, also where another process has died a moment ago.
    pub fn the_only_member_of_a_group_is_assigned_every_partition() {
        let harness = H::fresh();
        let topics = [topic(&harness), harness.topic("other-events")];
        for topic in &topics {
            fill(&harness, topic, &["a"]);
            everything(&harness, topic, 1);
        }
        let told = Told::default();
        harness.broker().join(&harness.group("readers"), &topics, Box::new(told.clone())).expect("it joins");
        let expected: BTreeSet<Partition> = topics.iter().flat_map(|topic| harness.partitions(topic)).collect();
        let began = Instant::now();
        while *told.0.lock().expect("no holder of the lock panics") != expected {
            assert!(began.elapsed() < 3 * PATIENCE, "{:?} of {expected:?}", told.0.lock());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
