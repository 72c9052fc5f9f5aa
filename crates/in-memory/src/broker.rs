//! A broker in memory whose topics a test fills directly.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::lock;
use ports::{Broker, BrokerError, Delivery, Partition, Record, Watchers};

/// Topics as lists of records. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryBroker {
    topics: Arc<Mutex<BTreeMap<String, Vec<Record>>>>,
    watchers: Watchers,
}

impl MemoryBroker {
    /// Appends a record to a topic and wakes its watchers. Returns its position.
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
