//! The writing side of topics: acknowledged is readable, in order for each key, and a relay's numbers stay with its records.

use std::collections::BTreeSet;

use macro_rules_attribute::apply;
use ports::{Delivery, Publisher, Record, Stamp};

use crate::PublisherHarness;
use crate::broker::{everything, ids, rich, topic};
use crate::rows::record;

fn stamp(outbox: &str, number: u64) -> Stamp {
    Stamp { outbox: outbox.into(), number }
}

/// Records of an outbox, numbered from `first` on, of these keys; they know their number.
fn numbered(outbox: &str, first: u64, keys: &[&str]) -> Vec<(Stamp, Record)> {
    let records = (first..).zip(keys);
    records.map(|(number, key)| (stamp(outbox, number), record(number, "Taken", key))).collect()
}

fn publish<H: PublisherHarness>(harness: &H, publisher: &mut dyn Publisher, records: &[(Stamp, Record)]) {
    publisher.publish(&topic(harness), records).expect("the records are acknowledged");
}

fn published<H: PublisherHarness>(harness: &H, publisher: &mut dyn Publisher, outbox: &str, after: u64) -> Vec<u64> {
    let found: BTreeSet<u64> = publisher.published(&topic(harness), outbox, after).expect("the topic is looked through");
    found.into_iter().collect()
}

/// Everything that the topic has, whatever partition it is in.
fn there<H: PublisherHarness>(harness: &H, records: usize) -> Vec<Delivery> {
    everything(harness, &topic(harness), records).into_iter().flat_map(|(_, deliveries)| deliveries).collect()
}

/// Topics as they are published to.
#[apply(checks!)]
impl<H: PublisherHarness> PublisherChecks<H> {
    /// In every part but the position, with the number that the relay gave it.
    pub fn a_record_arrives_with_its_stamp() {
        let harness = H::fresh();
        let mut publisher = harness.publisher();
        publish(&harness, &mut *publisher, &[(stamp("messages-7f", 41), rich())]);
        let found = there(&harness, 1).remove(0);
        assert_eq!(found.stamp, Some(stamp("messages-7f", 41)));
        assert_eq!(Record { seq: 0, ..found.record }, rich());
    }

    /// In one call and over many, whichever partition their keys are in.
    pub fn records_of_a_key_come_in_the_order_of_their_numbers() {
        let harness = H::fresh();
        let mut publisher = harness.publisher();
        let keys: Vec<String> = (0..300).map(|number| format!("key {}", number % 7)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let records = numbered("one", 1, &keys);
        publish(&harness, &mut *publisher, &records[..250]);
        records[250..].chunks(9).for_each(|few| publish(&harness, &mut *publisher, few));
        let found = everything(&harness, &topic(&harness), 300);
        for (partition, deliveries) in &found {
            let numbers: Vec<_> = deliveries.iter().filter_map(|delivery| Some(delivery.stamp.as_ref()?.number)).collect();
            assert!(numbers.is_sorted_by(|one, next| one < next), "the numbers of an outbox rise in {partition}: {numbers:?}");
        }
        for key in &keys[..7] {
            let with = found.iter().filter(|(_, deliveries)| deliveries.iter().any(|delivery| delivery.record.key == *key));
            assert_eq!(with.count(), 1, "{key} is in one partition");
        }
    }

    /// What a relay before this one has published, and only that of its own outbox and behind the number.
    pub fn published_finds_the_numbers_behind_a_number() {
        let harness = H::fresh();
        let mut publisher = harness.publisher();
        publish(&harness, &mut *publisher, &numbered("one", 1, &["a", "b", "c", "d", "e", "f", "g"]));
        publish(&harness, &mut *publisher, &numbered("other", 5, &["a", "b", "c", "d", "e"]));
        publish(&harness, &mut *publisher, &numbered("one", 12, &["a"]));
        drop(publisher);
        let mut next = harness.publisher();
        assert_eq!(published(&harness, &mut *next, "one", 0), [1, 2, 3, 4, 5, 6, 7, 12]);
        assert_eq!(published(&harness, &mut *next, "one", 4), [5, 6, 7, 12]);
        assert_eq!(published(&harness, &mut *next, "one", 12), [0; 0]);
        assert_eq!(published(&harness, &mut *next, "other", 6), [7, 8, 9]);
        assert_eq!(published(&harness, &mut *next, "nobody", 0), [0; 0]);
    }

    /// An external service publishes without numbers; and a topic may be empty.
    pub fn published_finds_nothing_where_nothing_is_numbered() {
        let harness = H::fresh();
        let mut publisher = harness.publisher();
        assert_eq!(published(&harness, &mut *publisher, "one", 0), [0; 0]);
        harness.publish(&topic(&harness), record(1, "Taken", "a"));
        assert_eq!(published(&harness, &mut *publisher, "one", 0), [0; 0]);
        publish(&harness, &mut *publisher, &numbered("one", 2, &["a"]));
        assert_eq!(published(&harness, &mut *publisher, "one", 0), [2]);
        let found = there(&harness, 2);
        assert_eq!(found.iter().map(|delivery| delivery.stamp.clone()).collect::<Vec<_>>(), [None, Some(stamp("one", 2))]);
    }

    /// It has two positions and one number, by which a reader recognises it.
    pub fn a_record_published_again_keeps_its_number() {
        let harness = H::fresh();
        let records = numbered("one", 1, &["a", "a", "a"]);
        publish(&harness, &mut *harness.publisher(), &records[..2]);
        publish(&harness, &mut *harness.publisher(), &records[1..]);
        let found = there(&harness, 4);
        assert_eq!(ids(&found), ["event-1", "event-2", "event-2", "event-3"]);
        let numbers: Vec<_> = found.iter().filter_map(|delivery| Some(delivery.stamp.as_ref()?.number)).collect();
        assert_eq!(numbers, [1, 2, 2, 3]);
        assert!(found.is_sorted_by(|one, next| one.record.seq < next.record.seq), "each has a position of its own");
        assert_eq!(published(&harness, &mut *harness.publisher(), "one", 0), [1, 2, 3]);
    }

    /// There is nothing to acknowledge.
    pub fn publishing_nothing_is_nothing() {
        let harness = H::fresh();
        let mut publisher = harness.publisher();
        publish(&harness, &mut *publisher, &[]);
        publish(&harness, &mut *publisher, &numbered("one", 1, &["a"]));
        publish(&harness, &mut *publisher, &[]);
        assert_eq!(there(&harness, 1).len(), 1);
    }

    /// Each has its own numbers.
    pub fn topics_are_published_to_by_themselves() {
        let harness = H::fresh();
        let mut publisher = harness.publisher();
        let other = harness.topic("other-events");
        publish(&harness, &mut *publisher, &numbered("one", 1, &["a"]));
        publisher.publish(&other, &numbered("one", 5, &["a", "b"])).expect("the records are acknowledged");
        assert_eq!(published(&harness, &mut *publisher, "one", 0), [1]);
        let found = publisher.published(&other, "one", 0).expect("the topic is looked through");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [5, 6]);
        everything(&harness, &other, 2);
    }
}
