//! What is kept in memory keeps the contract too, and nothing depends on chance.
#![allow(clippy::unwrap_used, reason = "a harness that fails fails its check")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use contract_tests::sample::depot;
use contract_tests::{BrokerHarness, PublisherHarness, StoreHarness};
use driver::Topics;
use in_memory::{Counting, ManualClock, MemoryBroker, MemoryStore, MemoryTopics};
use ports::{Broker, Clock, Commit, Ids, Model, Partition, Publisher, Reader, Record, Store};

struct Memory(MemoryStore);

impl StoreHarness for Memory {
    fn fresh(model: &Arc<Model>) -> Self {
        Self(MemoryStore::new(model))
    }
    fn store(&mut self) -> &mut dyn Store {
        &mut self.0
    }
    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(self.0.clone())
    }
    fn reopen(&mut self) {
        self.0 = self.0.clone();
    }
}

struct ByHand(MemoryBroker);

impl BrokerHarness for ByHand {
    fn fresh() -> Self {
        Self(MemoryBroker::default())
    }
    fn broker(&self) -> &dyn Broker {
        &self.0
    }
    fn publish(&self, topic: &str, record: Record) {
        self.0.publish(topic, record);
    }
}

/// Topics of three partitions.
struct Parted(MemoryTopics);

impl BrokerHarness for Parted {
    fn fresh() -> Self {
        Self(MemoryTopics::new(3))
    }
    fn broker(&self) -> &dyn Broker {
        &self.0
    }
    fn publish(&self, topic: &str, record: Record) {
        self.0.publish(topic, None, record);
    }
    fn partitions(&self, topic: &str) -> Vec<Partition> {
        self.0.partitions(topic)
    }
}

impl PublisherHarness for Parted {
    fn publisher(&self) -> Box<dyn Publisher> {
        Box::new(self.0.publisher())
    }
}

/// Topics over the logs of stores: publishing is committing.
struct Embedded {
    topics: Topics,
    stores: Mutex<BTreeMap<String, MemoryStore>>,
}

impl BrokerHarness for Embedded {
    fn fresh() -> Self {
        Self { topics: Topics::default(), stores: Mutex::default() }
    }
    fn broker(&self) -> &dyn Broker {
        &self.topics
    }
    fn publish(&self, topic: &str, record: Record) {
        let mut stores = self.stores.lock().unwrap();
        let store = stores.entry(topic.to_owned()).or_insert_with(|| {
            let store = MemoryStore::new(&Model::new(depot()).unwrap());
            self.topics.add(topic, Arc::new(store.clone()));
            store
        });
        let number = store.last_commit().unwrap() + 1;
        let seq = store.last_seq().unwrap() + 1;
        store.commit(&Commit { number, log: vec![Record { seq, ..record }], ..Commit::default() }).unwrap();
        drop(stores);
        self.topics.committed(topic);
    }
}

contract_tests::store_suite!(Memory);
contract_tests::broker_suite!(ByHand);
contract_tests::publisher_suite!(Parted);

mod parted {
    use super::*;
    contract_tests::broker_suite!(Parted);
}

mod embedded {
    use super::*;
    contract_tests::broker_suite!(Embedded);
}

#[test]
fn a_clock_stands_until_it_is_moved() {
    let clock = ManualClock::at_ms(5000);
    let same = clock.clone();
    assert_eq!(clock.now().as_millisecond(), 5000);
    assert_eq!(clock.advance_ms(250), 5250);
    assert_eq!(same.now().as_millisecond(), 5250);
    same.set_ms(1);
    assert_eq!(clock.now_ms(), 1);
}

#[test]
fn keys_count_on_across_clones() {
    let ids = Counting::default();
    let same = ids.clone();
    assert_eq!([ids.fresh(), same.fresh(), ids.fresh()], ["key-1", "key-2", "key-3"]);
}

/// Each part is declared by one `impl`, and named by a suite: its checks follow by themselves.
#[test]
fn every_part_belongs_to_a_suite() {
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let suites = std::fs::read_to_string(sources.join("lib.rs")).unwrap();
    let files = std::fs::read_dir(&sources).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let all = files.collect::<String>();
    let parts: Vec<_> = all.split("\n#[apply(checks!)]\nimpl<H: ").skip(1).collect();
    assert_eq!(parts.len(), 14, "parts are declared as this test expects it");
    for part in parts {
        let name = part.split_once("> ").and_then(|(_, name)| name.split_once('<')).unwrap().0;
        assert!(suites.contains(&format!("$crate::{name}!(")), "{name} is in no suite");
    }
}
