//! A broker in memory whose topics a test fills by hand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::lock;
use crate::ports::{Broker, BrokerError, Delivery, Partition, Record};

type Wake = Arc<dyn Fn() + Send + Sync>;

/// Those who want to know that a topic may have more.
#[derive(Clone, Default)]
pub(super) struct Watchers {
    of: Arc<Mutex<BTreeMap<String, Vec<Wake>>>>,
}

impl Watchers {
    pub fn add(&self, topic: &str, wake: Box<dyn Fn() + Send + Sync>) {
        lock(&self.of).entry(topic.to_owned()).or_default().push(Arc::from(wake));
    }

    /// Wakes them without holding the lock: they may fetch, publish or watch at once.
    pub fn wake(&self, topic: &str) {
        let watching = lock(&self.of).get(topic).cloned().unwrap_or_default();
        for wake in watching {
            wake();
        }
    }
}

/// Topics as lists of records. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryBroker {
    topics: Arc<Mutex<BTreeMap<String, Vec<Record>>>>,
    watchers: Watchers,
}

impl MemoryBroker {
    /// Puts a record at a topic's end, numbered for its place there, and wakes who watches. Returns the place.
    pub fn publish(&self, topic: &str, record: Record) -> u64 {
        let seq = {
            let mut topics = lock(&self.topics);
            let records = topics.entry(topic.to_owned()).or_default();
            let seq = records.len() as u64 + 1;
            records.push(Record { seq, ..record });
            seq
        };
        self.watchers.wake(topic);
        seq
    }
}

impl Broker for MemoryBroker {
    fn fetch(&self, partition: &Partition, after: u64, limit: usize) -> Result<Vec<Delivery>, BrokerError> {
        let passed = usize::try_from(after).unwrap_or(usize::MAX);
        let topics = lock(&self.topics);
        let records = topics.get(&partition.topic).filter(|_| partition.number == 0).map(Vec::as_slice).unwrap_or_default();
        let records = records.iter().skip(passed).take(limit).cloned();
        Ok(records.map(|record| Delivery { record, stamp: None }).collect())
    }

    fn end(&self, partition: &Partition) -> Result<u64, BrokerError> {
        let topics = lock(&self.topics);
        let records = topics.get(&partition.topic).filter(|_| partition.number == 0);
        Ok(records.map_or(0, |records| records.len() as u64))
    }

    fn watch(&self, topic: &str, wake: Box<dyn Fn() + Send + Sync>) {
        self.watchers.add(topic, wake);
    }
}
