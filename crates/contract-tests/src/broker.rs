//! Topics: in order, from any position, and somebody is told when there is more.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use kernel::event::Cause;
use runtime::ports::Record;

use crate::BrokerFixture;
use crate::desk::record;

const TOPIC: &str = "sample-events";

/// A broker may need a moment until it knows of a record, or of a topic.
const PATIENCE: Duration = Duration::from_secs(10);

fn fill<F: BrokerFixture>(fixture: &F, topic: &str, keys: &[&str]) {
    for key in keys {
        fixture.publish(topic, record(0, "Taken", key));
    }
}

fn fetch<F: BrokerFixture>(fixture: &F, topic: &str, after: u64, limit: usize) -> Vec<Record> {
    fixture.broker().fetch(topic, after, limit).expect("a topic is read")
}

fn keys(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.key.as_str()).collect()
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
    assert_eq!(fetch(&fixture, "unknown-events", 0, 10), []);
    assert_eq!(fetch(&fixture, "unknown-events", 7, 10), []);
    assert_eq!(fixture.broker().end("unknown-events").expect("a topic has an end"), 0);
}

/// Positions increase, and a limit is a limit.
pub fn records_are_fetched_in_order<F: BrokerFixture>() {
    let fixture = F::fresh();
    fill(&fixture, TOPIC, &["a", "b", "a", "c"]);
    let records = fetch(&fixture, TOPIC, 0, 10);
    assert_eq!(keys(&records), ["a", "b", "a", "c"]);
    assert!(records.is_sorted_by(|one, next| one.seq < next.seq), "positions increase");
    assert!(records[0].seq > 0, "position 0 stands before the first record");
    assert_eq!(keys(&fetch(&fixture, TOPIC, 0, 3)), ["a", "b", "a"]);
}

/// Record after record, and nothing behind the last.
pub fn a_fetch_goes_on_behind_a_position<F: BrokerFixture>() {
    let fixture = F::fresh();
    fill(&fixture, TOPIC, &["a", "b", "c", "d", "e"]);
    let (mut after, mut found) = (0, Vec::new());
    loop {
        let records = fetch(&fixture, TOPIC, after, 2);
        let Some(last) = records.last() else { break };
        after = last.seq;
        found.extend(records.iter().map(|record| record.key.clone()));
    }
    assert_eq!(found, ["a", "b", "c", "d", "e"]);
    assert_eq!(fetch(&fixture, TOPIC, after + 1000, 2), []);
}

/// Whoever starts now starts there.
pub fn the_end_is_the_last_records_position<F: BrokerFixture>() {
    let fixture = F::fresh();
    fill(&fixture, TOPIC, &["a", "b"]);
    let end = fixture.broker().end(TOPIC).expect("a topic has an end");
    assert_eq!(Some(end), fetch(&fixture, TOPIC, 0, 10).last().map(|record| record.seq));
    fill(&fixture, TOPIC, &["c"]);
    assert_eq!(keys(&fetch(&fixture, TOPIC, end, 10)), ["c"]);
}

/// Each has its own records and its own end.
pub fn topics_do_not_mix<F: BrokerFixture>() {
    let fixture = F::fresh();
    fill(&fixture, TOPIC, &["a"]);
    fill(&fixture, "other-events", &["b", "c"]);
    assert_eq!(keys(&fetch(&fixture, TOPIC, 0, 10)), ["a"]);
    assert_eq!(keys(&fetch(&fixture, "other-events", 0, 10)), ["b", "c"]);
}

/// In every part but the position, which the topic gives.
pub fn a_record_arrives_as_it_was_published<F: BrokerFixture>() {
    let fixture = F::fresh();
    let words = ["a person", "r-1", "event-0", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"];
    let [actor, request, causation, trace] = words.map(str::to_owned);
    let data = "{\"eventType\":\"Taken\",\"text\":\"가 \\\" 🎈\"}".as_bytes().to_vec();
    let cause = Cause { actor, request, causation, trace };
    let rich = Record { version: 7, time_ms: 1_767_225_600_123, data, cause, ..record(0, "Taken", "가") };
    let bare = Record { cause: Cause::default(), ..record(0, "Sent", "plain") };
    fixture.publish(TOPIC, rich.clone());
    fixture.publish(TOPIC, bare.clone());
    let found: Vec<_> = fetch(&fixture, TOPIC, 0, 10).into_iter().map(|record| Record { seq: 0, ..record }).collect();
    assert_eq!(found, [rich, bare]);
}

/// And then finds the record; everybody who watches is.
pub fn who_watches_is_woken<F: BrokerFixture>() {
    let fixture = F::fresh();
    fill(&fixture, TOPIC, &["a"]);
    let watching = [watch(&fixture, TOPIC), watch(&fixture, TOPIC)];
    let end = fixture.broker().end(TOPIC).expect("a topic has an end");
    fill(&fixture, TOPIC, &["b"]);
    for woken in watching {
        // It may be woken for nothing before.
        while woken.recv_timeout(PATIENCE).is_ok() && fetch(&fixture, TOPIC, end, 10).is_empty() {}
        assert_eq!(keys(&fetch(&fixture, TOPIC, end, 10)), ["b"]);
    }
}

/// Systems start in any order.
pub fn who_watches_before_there_is_a_topic_is_woken<F: BrokerFixture>() {
    let fixture = F::fresh();
    let woken = watch(&fixture, "later-events");
    fill(&fixture, "later-events", &["a"]);
    assert!(woken.recv_timeout(PATIENCE).is_ok(), "nobody was woken");
    assert_eq!(keys(&fetch(&fixture, "later-events", 0, 10)), ["a"]);
}
