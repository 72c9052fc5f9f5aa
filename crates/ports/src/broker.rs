//! Broker: how events reach followers elsewhere: in other systems of this process, and in other processes.

use super::Record;

/// One partition of a topic. An embedded log is a topic with one partition, number 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// The topic.
    pub topic: String,
    /// Counted from 0.
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

/// What a relay gives a record on its way, and what survives the relay: the outbox that it comes from and its number there.
///
/// A relay that dies between publishing and marking publishes again, at a new position: only this number tells that it is
/// the same record. Within one partition the numbers of one outbox rise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The outbox's name: unique for as long as its numbers are counted.
    pub outbox: String,
    /// Counts the records of the outbox from 1.
    pub number: u64,
}

/// A record as a topic delivers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The record; its `seq` is its position in the partition, counted from 1.
    pub record: Record,
    /// Where it was relayed from; none, where nobody numbers.
    pub stamp: Option<Stamp>,
}

/// The reading side of topics.
pub trait Broker: Send + Sync {
    /// Records of a partition after a position, in order; empty where there are none (yet), or no such partition.
    fn fetch(&self, partition: &Partition, after: u64, limit: usize) -> Result<Vec<Delivery>, BrokerError>;
    /// The last position of a partition, 0 where there is none.
    fn end(&self, partition: &Partition) -> Result<u64, BrokerError>;
    /// Calls `wake` whenever the topic may have more.
    fn watch(&self, topic: &str, wake: Box<dyn Fn() + Send + Sync>);
    /// Joins a group that shares the partitions of these topics; `member` is told of what it is given and of what is taken
    /// away. An embedded log has one reader, which is given everything at once.
    fn join(&self, group: &str, topics: &[String], member: Box<dyn GroupMember>) -> Result<(), BrokerError> {
        let _ = group;
        member.assigned(topics.iter().map(|topic| Partition::only(topic)).collect());
        Ok(())
    }
    /// The position that was handed over to the group in a partition, by whoever read there before it. It is where the group
    /// begins, or goes on where it has stood before that; what it reports itself is no such thing.
    fn handed(&self, group: &str, partition: &Partition) -> Result<Option<u64>, BrokerError> {
        let _ = (group, partition);
        Ok(None)
    }
    /// For other programs that watch the group: where it stands, per partition, after the commits that say so. Nothing
    /// depends on it.
    fn reached(&self, group: &str, positions: &[(Partition, u64)]) {
        let _ = (group, positions);
    }
}

/// One process of a group that shares partitions.
pub trait GroupMember: Send + Sync {
    /// These are its own from now on.
    fn assigned(&self, partitions: Vec<Partition>);
    /// These are about to be another's: returns once nothing is done with them any more, or when waiting has become
    /// pointless. Positions are fenced by the store, so that a member that comes too late does no harm.
    fn revoked(&self, partitions: Vec<Partition>);
}

/// The writing side of topics, for the relay of an outbox.
pub trait Publisher: Send {
    /// Puts records at the end of a topic, each in the partition of its key, in the order given for each partition. Ok once
    /// all are acknowledged; after an error any of them may be there.
    fn publish(&mut self, topic: &str, records: &[(Stamp, Record)]) -> Result<(), BrokerError>;
    /// Numbers above `after` of one outbox that the topic has already: what a relay before this one published and did not
    /// mark.
    fn published(&mut self, topic: &str, outbox: &str, after: u64) -> Result<std::collections::BTreeSet<u64>, BrokerError>;
}

/// The broker did not answer; nothing is lost by asking again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the broker does not answer: {0}")]
pub struct BrokerError(pub String);
