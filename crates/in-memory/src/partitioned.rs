//! Partitioned topics in memory, with their publisher: a broker for several processes, within one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use super::lock;
use ports::{Broker, BrokerError, Delivery, GroupMember, Partition, Publisher, Record, Stamp, Watchers};

/// Topics with a fixed number of partitions. Clones share them.
#[derive(Clone)]
pub struct MemoryTopics {
    partitions: u32,
    topics: Arc<Mutex<BTreeMap<Partition, Vec<Delivery>>>>,
    watchers: Watchers,
}

impl MemoryTopics {
    /// Empty topics.
    pub fn new(partitions: u32) -> Self {
        Self { partitions: partitions.max(1), topics: Arc::default(), watchers: Watchers::default() }
    }

    /// The publisher, for a relay.
    pub fn publisher(&self) -> MemoryPublisher {
        MemoryPublisher(self.clone())
    }

    /// The partitions of a topic.
    pub fn partitions(&self, topic: &str) -> Vec<Partition> {
        (0..self.partitions).map(|number| Partition { topic: topic.to_owned(), number }).collect()
    }

    /// The partition of a key, the same in every run.
    pub fn partition_of(&self, topic: &str, key: &str) -> Partition {
        let hash = key.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        Partition { topic: topic.to_owned(), number: hash % self.partitions }
    }

    /// Appends a record to its key's partition and wakes the watchers. Returns its position.
    pub fn publish(&self, topic: &str, stamp: Option<Stamp>, record: Record) -> u64 {
        let seq = {
            let mut topics = lock(&self.topics);
            let deliveries = topics.entry(self.partition_of(topic, &record.key)).or_default();
            let seq = deliveries.len() as u64 + 1;
            deliveries.push(Delivery { record: Record { seq, ..record }, stamp });
            seq
        };
        self.watchers.wake(topic);
        seq
    }

    fn read<T>(&self, partition: &Partition, read: impl FnOnce(&[Delivery]) -> T) -> T {
        read(lock(&self.topics).get(partition).map(Vec::as_slice).unwrap_or_default())
    }
}

impl Broker for MemoryTopics {
    fn fetch(&self, partition: &Partition, after: u64, limit: usize) -> Result<Vec<Delivery>, BrokerError> {
        let passed = usize::try_from(after).unwrap_or(usize::MAX);
        Ok(self.read(partition, |deliveries| deliveries.iter().skip(passed).take(limit).cloned().collect()))
    }

    fn end(&self, partition: &Partition) -> Result<u64, BrokerError> {
        Ok(self.read(partition, |deliveries| deliveries.len() as u64))
    }

    fn watch(&self, topic: &str, wake: Box<dyn Fn() + Send + Sync>) {
        self.watchers.add(topic, wake);
    }

    /// A group has one member: it is assigned every partition at once.
    fn join(&self, _: &str, topics: &[String], member: Box<dyn GroupMember>) -> Result<(), BrokerError> {
        member.assigned(topics.iter().flat_map(|topic| self.partitions(topic)).collect());
        Ok(())
    }
}

/// The publisher of [`MemoryTopics`].
pub struct MemoryPublisher(MemoryTopics);

impl Publisher for MemoryPublisher {
    fn publish(&mut self, topic: &str, records: &[(Stamp, Record)]) -> Result<(), BrokerError> {
        for (stamp, record) in records {
            self.0.publish(topic, Some(stamp.clone()), record.clone());
        }
        Ok(())
    }

    fn published(&mut self, topic: &str, outbox: &str, after: u64) -> Result<BTreeSet<u64>, BrokerError> {
        let topics = lock(&self.0.topics);
        let deliveries = topics.iter().filter(|(partition, _)| partition.topic == topic).flat_map(|(_, deliveries)| deliveries);
        let stamps = deliveries.filter_map(|delivery| delivery.stamp.as_ref());
        Ok(stamps.filter(|stamp| stamp.outbox == outbox && stamp.number > after).map(|stamp| stamp.number).collect())
    }
}
