//! What is kept in memory keeps the contract too, and nothing depends on chance.
#![allow(clippy::unwrap_used, reason = "a fixture that fails fails its check")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use contract_tests::sample::depot;
use contract_tests::{BrokerFixture, PublisherFixture, StoreFixture};
use driver::Topics;
use in_memory::{Counting, ManualClock, MemoryBroker, MemoryStore, MemoryTopics};
use ports::{Broker, Clock, Commit, Ids, Model, Partition, Publisher, Reader, Record, Store};

struct Memory(MemoryStore);

impl StoreFixture for Memory {
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

impl BrokerFixture for ByHand {
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

impl BrokerFixture for Parted {
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

impl PublisherFixture for Parted {
    fn publisher(&self) -> Box<dyn Publisher> {
        Box::new(self.0.publisher())
    }
}

/// Topics over the logs of stores: publishing is committing.
struct Embedded {
    topics: Topics,
    stores: Mutex<BTreeMap<String, MemoryStore>>,
}

impl BrokerFixture for Embedded {
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

#[test]
fn every_check_is_on_a_list() {
    let lists = include_str!("../src/lib.rs");
    let parts = [
        include_str!("../src/store.rs"),
        include_str!("../src/tables.rs"),
        include_str!("../src/work.rs"),
        include_str!("../src/log.rs"),
        include_str!("../src/reader.rs"),
        include_str!("../src/paging.rs"),
        include_str!("../src/totals.rs"),
        include_str!("../src/broker.rs"),
        include_str!("../src/publisher.rs"),
        include_str!("../src/shared.rs"),
        include_str!("../src/instances.rs"),
        include_str!("../src/outbox.rs"),
    ];
    let lines = parts.iter().flat_map(|part| part.lines());
    let checks = lines.filter_map(|line| line.strip_prefix("pub fn ")?.split('<').next());
    let missing: Vec<_> = checks.filter(|check| !lists.contains(&format!(" {check},\n"))).collect();
    assert!(missing.is_empty(), "not on a list: {missing:?}");
}
