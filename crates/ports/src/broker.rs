//! Broker: topics, by which events reach subscriptions of other systems in this process, and of other processes.

use super::Record;

/// One partition of a topic. An embedded log is a topic with one partition, number 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// The topic.
    pub topic: String,
    /// The partition's number, from 0.
    pub number: u32,
}

impl Partition {
    /// The only partition of an embedded log.
    pub fn only(topic: &str) -> Self {
        Self { topic: topic.to_owned(), number: 0 }
    }
}

impl std::fmt::Display for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.topic, self.number)
    }
}

/// The outbox and the number that a record was relayed with.
///
/// A relay that dies between publishing and marking publishes again, at a new position: only this number identifies the
/// duplicate. Within one partition the numbers of one outbox rise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The outbox's name, unique across databases.
    pub outbox: String,
    /// The record's number in the outbox, from 1.
    pub number: u64,
}

/// A record as consumed from a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The record; its `seq` is its position in the partition, counted from 1.
    pub record: Record,
    /// The outbox it was relayed from; none for records of other programs and of an embedded log.
    pub stamp: Option<Stamp>,
}

/// The consuming side of topics.
pub trait Broker: Send + Sync {
    /// Records of a partition after a position, in order, at most `limit`; empty at the end, and for an unknown partition.
    fn fetch(&self, partition: &Partition, after: u64, limit: usize) -> Result<Vec<Delivery>, BrokerError>;
    /// The last position of a partition, 0 for an empty one.
    fn end(&self, partition: &Partition) -> Result<u64, BrokerError>;
    /// Calls `wake` whenever the topic may have more.
    fn watch(&self, topic: &str, wake: Box<dyn Fn() + Send + Sync>);
    /// Joins a consumer group that shares the partitions of these topics; `member` learns which are assigned and revoked. An
    /// embedded log has one consumer, which is assigned everything at once.
    fn join(&self, group: &str, topics: &[String], member: Box<dyn GroupMember>) -> Result<(), BrokerError> {
        let _ = group;
        member.assigned(topics.iter().map(|topic| Partition::only(topic)).collect());
        Ok(())
    }
    /// The consumer offset that was handed over to the group in a partition by its previous consumer, another program. The
    /// group starts there, unless the store has a later offset of its own; what [`Self::report_offsets`] reports does not
    /// count.
    fn handed_over_offset(&self, group: &str, partition: &Partition) -> Result<Option<u64>, BrokerError> {
        let _ = (group, partition);
        Ok(None)
    }
    /// Reports consumer offsets per partition after their commits, for monitoring by other programs. Nothing depends on it.
    fn report_offsets(&self, group: &str, positions: &[(Partition, u64)]) {
        let _ = (group, positions);
    }
}

/// A member of a consumer group.
pub trait GroupMember: Send + Sync {
    /// These partitions are assigned to the member.
    fn assigned(&self, partitions: Vec<Partition>);
    /// These partitions are revoked: returns once no work on them is in progress, or waiting has become pointless. Offsets are
    /// fenced by the store, so that a late member does no harm.
    fn revoked(&self, partitions: Vec<Partition>);
}

/// The producing side of topics, for the relay of an outbox.
pub trait Publisher: Send {
    /// Appends records to a topic, each to the partition of its key, keeping their order within each. Returns once all are
    /// acknowledged; after an error any of them may have been written.
    fn publish(&mut self, topic: &str, records: &[(Stamp, Record)]) -> Result<(), BrokerError>;
    /// The numbers above `after` of one outbox that the topic contains already: published by an earlier relay and not marked.
    fn published(&mut self, topic: &str, outbox: &str, after: u64) -> Result<std::collections::BTreeSet<u64>, BrokerError>;
}

/// The broker is unavailable; the call can be retried.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the broker is unavailable: {0}")]
pub struct BrokerError(pub String);
