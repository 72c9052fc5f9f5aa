//! Topics: in order, from any position of each partition, and somebody is told when there is more.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kernel::event::Cause;
use ports::{Delivery, GroupMember, Partition, Record};

use crate::BrokerFixture;
use crate::desk::record;

/// A broker may need a moment until it knows of a record, or of a topic.
const PATIENCE: Duration = Duration::from_secs(10);

/// More records than any check publishes.
const MOST: usize = 10_000;

/// The topic of a check.
pub(crate) fn topic<F: BrokerFixture>(fixture: &F) -> String {
    fixture.topic("sample-events")
}

/// Publishes records of these keys, numbered in their ids.
fn fill<F: BrokerFixture>(fixture: &F, topic: &str, keys: &[&str]) {
    for (number, key) in (1..).zip(keys) {
        fixture.publish(topic, record(number, "Taken", key));
    }
}

pub(crate) fn fetch<F: BrokerFixture>(fixture: &F, partition: &Partition, after: u64, limit: usize) -> Vec<Delivery> {
    fixture.broker().fetch(partition, after, limit).expect("a topic is read")
}

fn end<F: BrokerFixture>(fixture: &F, partition: &Partition) -> u64 {
    fixture.broker().end(partition).expect("a partition has an end")
}

/// All that a topic has, by partition; asks again until so many records are there.
pub(crate) fn everything<F: BrokerFixture>(fixture: &F, topic: &str, records: usize) -> Vec<(Partition, Vec<Delivery>)> {
    let began = Instant::now();
    loop {
        let partitions = fixture.partitions(topic).into_iter();
        let found: Vec<_> = partitions.map(|partition| (partition.clone(), fetch(fixture, &partition, 0, MOST))).collect();
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
fn only<F: BrokerFixture>(fixture: &F, topic: &str, records: usize) -> (Partition, Vec<Delivery>) {
    let mut found = everything(fixture, topic, records);
    found.retain(|(_, deliveries)| !deliveries.is_empty());
    assert_eq!(found.len(), 1, "a key has one partition: {found:?}");
    found.remove(0)
}

pub(crate) fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.record.id.as_str()).collect()
}

/// Sends something whenever the topic may have more.
fn watch<F: BrokerFixture>(fixture: &F, topic: &str) -> Receiver<()> {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let wake = move || {
        if let Ok(sender) = sender.lock() {
            // Nobody listens any more once the check is over.
            let _ = sender.send(());
        }
    };
    fixture.broker().watch(topic, Box::new(wake));
    receiver
}

/// There may be something later.
pub fn an_unknown_topic_is_empty<F: BrokerFixture>() {
    let fixture = F::fresh();
    let unknown = Partition::only(&fixture.topic("unknown-events"));
    assert_eq!(fetch(&fixture, &unknown, 0, 10), []);
    assert_eq!(fetch(&fixture, &unknown, 7, 10), []);
    assert_eq!(end(&fixture, &unknown), 0);
}

/// A partition that the topic has not got is empty.
pub fn an_unknown_partition_is_empty<F: BrokerFixture>() {
    let fixture = F::fresh();
    fill(&fixture, &topic(&fixture), &["a", "b"]);
    everything(&fixture, &topic(&fixture), 2);
    let unknown = Partition { topic: topic(&fixture), number: 1_000_000 };
    assert_eq!(fetch(&fixture, &unknown, 0, 10), []);
    assert_eq!(end(&fixture, &unknown), 0);
}

/// Positions increase, and a limit is a limit.
pub fn records_are_fetched_in_order<F: BrokerFixture>() {
    let fixture = F::fresh();
    fill(&fixture, &topic(&fixture), &["a", "b", "a", "c", "a", "d", "b"]);
    for (partition, deliveries) in everything(&fixture, &topic(&fixture), 7) {
        assert!(ids(&deliveries).is_sorted(), "in the order in which they were published: {deliveries:?}");
        let positions: Vec<_> = deliveries.iter().map(|delivery| delivery.record.seq).collect();
        assert!(positions.is_sorted_by(|one, next| one < next), "positions increase: {positions:?}");
        assert!(positions.first() != Some(&0), "position 0 stands before the first record");
        for limit in 1..deliveries.len() {
            assert_eq!(fetch(&fixture, &partition, 0, limit), deliveries[..limit]);
        }
    }
}

/// Record after record, and nothing behind the last.
pub fn a_fetch_goes_on_behind_a_position<F: BrokerFixture>() {
    let fixture = F::fresh();
    fill(&fixture, &topic(&fixture), &["a"; 5]);
    let (partition, _) = only(&fixture, &topic(&fixture), 5);
    let (mut after, mut found) = (0, Vec::new());
    loop {
        let deliveries = fetch(&fixture, &partition, after, 2);
        let Some(last) = deliveries.last() else { break };
        after = last.record.seq;
        found.extend(deliveries.iter().map(|delivery| delivery.record.id.clone()));
    }
    assert_eq!(found, ["event-1", "event-2", "event-3", "event-4", "event-5"]);
    assert_eq!(fetch(&fixture, &partition, after + 1000, 2), []);
}

/// Whoever starts now starts there.
pub fn the_end_is_the_last_records_position<F: BrokerFixture>() {
    let fixture = F::fresh();
    fill(&fixture, &topic(&fixture), &["a", "a"]);
    let (partition, deliveries) = only(&fixture, &topic(&fixture), 2);
    let last = end(&fixture, &partition);
    assert_eq!(Some(last), deliveries.last().map(|delivery| delivery.record.seq));
    fixture.publish(&topic(&fixture), record(3, "Taken", "a"));
    everything(&fixture, &topic(&fixture), 3);
    assert_eq!(ids(&fetch(&fixture, &partition, last, 10)), ["event-3"]);
    let others = fixture.partitions(&topic(&fixture)).into_iter().filter(|other| *other != partition);
    assert!(others.into_iter().all(|other| end(&fixture, &other) == 0), "an empty partition ends at 0");
}

/// Each has its own records and its own end.
pub fn topics_do_not_mix<F: BrokerFixture>() {
    let fixture = F::fresh();
    let other = fixture.topic("other-events");
    fill(&fixture, &topic(&fixture), &["a"]);
    fill(&fixture, &other, &["b", "b"]);
    let keys = |found: (Partition, Vec<Delivery>)| found.1.into_iter().map(|found| found.record.key).collect::<Vec<_>>();
    assert_eq!(keys(only(&fixture, &topic(&fixture), 1)), ["a"]);
    assert_eq!(keys(only(&fixture, &other, 2)), ["b", "b"]);
}

/// Whatever else comes in between, and however many partitions there are: order is kept per key.
pub fn a_key_stays_in_one_partition<F: BrokerFixture>() {
    let fixture = F::fresh();
    let keys: Vec<String> = (0..12).map(|number| format!("key {number}")).collect();
    let thrice: Vec<_> = keys.iter().chain(&keys).chain(&keys).map(String::as_str).collect();
    fill(&fixture, &topic(&fixture), &thrice);
    let found = everything(&fixture, &topic(&fixture), 36);
    for (place, key) in keys.iter().enumerate() {
        let of_key = |deliveries: &[Delivery]| -> Vec<String> {
            let mine = deliveries.iter().filter(|delivery| delivery.record.key == *key);
            mine.map(|delivery| delivery.record.id.clone()).collect()
        };
        let there: Vec<_> = found.iter().map(|(_, deliveries)| of_key(deliveries)).filter(|ids| !ids.is_empty()).collect();
        assert_eq!(there, [[1, 13, 25].map(|first| format!("event-{}", first + place))], "{key}");
    }
    let used = found.iter().filter(|(_, deliveries)| !deliveries.is_empty()).count();
    assert!(found.len() == 1 || used > 1, "twelve keys are not all put in one of {} partitions", found.len());
}

/// In every part but the position, which the topic gives.
pub fn a_record_arrives_as_it_was_published<F: BrokerFixture>() {
    let fixture = F::fresh();
    for published in [rich(), Record { cause: Cause::default(), ..record(0, "Sent", "가") }] {
        fixture.publish(&topic(&fixture), published);
    }
    let (_, deliveries) = only(&fixture, &topic(&fixture), 2);
    let found: Vec<_> = deliveries.into_iter().map(|delivery| Record { seq: 0, ..delivery.record }).collect();
    assert_eq!(found, [rich(), Record { cause: Cause::default(), ..record(0, "Sent", "가") }]);
}

/// A record with something in every field.
pub(crate) fn rich() -> Record {
    let words = ["a person", "r-1", "event-0", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"];
    let [actor, request, causation, trace] = words.map(str::to_owned);
    let data = "{\"eventType\":\"Taken\",\"text\":\"가 \\\" 🎈\"}".as_bytes().to_vec();
    let cause = Cause { actor, request, causation, trace };
    Record { version: 7, time_ms: 1_767_225_600_123, data, cause, ..record(0, "Taken", "가") }
}

/// And then finds the record; everybody who watches is.
pub fn who_watches_is_woken<F: BrokerFixture>() {
    let fixture = F::fresh();
    fill(&fixture, &topic(&fixture), &["a"]);
    let (partition, _) = only(&fixture, &topic(&fixture), 1);
    let watching = [watch(&fixture, &topic(&fixture)), watch(&fixture, &topic(&fixture))];
    let last = end(&fixture, &partition);
    fixture.publish(&topic(&fixture), record(2, "Taken", "a"));
    for woken in watching {
        // It may be woken for nothing before.
        while woken.recv_timeout(PATIENCE).is_ok() && fetch(&fixture, &partition, last, 10).is_empty() {}
        assert_eq!(ids(&fetch(&fixture, &partition, last, 10)), ["event-2"]);
    }
}

/// Systems start in any order.
pub fn who_watches_before_there_is_a_topic_is_woken<F: BrokerFixture>() {
    let fixture = F::fresh();
    let later = fixture.topic("later-events");
    let woken = watch(&fixture, &later);
    fill(&fixture, &later, &["a"]);
    assert!(woken.recv_timeout(PATIENCE).is_ok(), "nobody was woken");
    assert_eq!(ids(&only(&fixture, &later, 1).1), ["event-1"]);
}

/// What a member of a group was told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<BTreeSet<Partition>>>);

impl GroupMember for Told {
    fn assigned(&self, partitions: Vec<Partition>) {
        self.0.lock().expect("nobody panics here").extend(partitions);
    }
    fn revoked(&self, partitions: Vec<Partition>) {
        self.0.lock().expect("nobody panics here").retain(|mine| !partitions.contains(mine));
    }
}

/// Of each of its topics, also where another process has died a moment ago.
pub fn who_joins_alone_is_given_every_partition<F: BrokerFixture>() {
    let fixture = F::fresh();
    let topics = [topic(&fixture), fixture.topic("other-events")];
    for topic in &topics {
        fill(&fixture, topic, &["a"]);
        everything(&fixture, topic, 1);
    }
    let told = Told::default();
    fixture.broker().join("readers", &topics, Box::new(told.clone())).expect("it joins");
    let expected: BTreeSet<Partition> = topics.iter().flat_map(|topic| fixture.partitions(topic)).collect();
    let began = Instant::now();
    while *told.0.lock().expect("nobody panics here") != expected {
        assert!(began.elapsed() < 3 * PATIENCE, "{:?} of {expected:?}", told.0.lock());
        std::thread::sleep(Duration::from_millis(5));
    }
}
