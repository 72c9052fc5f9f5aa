//! Broker: how one system's events reach followers in another.

use super::Record;

/// The reading side of topics. Writing is the outbox's: an event is in its topic because it is in its log.
pub trait Broker: Send + Sync {
    /// Records of a topic after a position, in order; empty where there are none (yet), or no such topic.
    fn fetch(&self, topic: &str, after: u64, limit: usize) -> Result<Vec<Record>, BrokerError>;
    /// The last position of a topic, 0 where there is none.
    fn end(&self, topic: &str) -> Result<u64, BrokerError>;
    /// Calls `wake` whenever the topic may have more.
    fn watch(&self, topic: &str, wake: Box<dyn Fn() + Send + Sync>);
}

/// The broker did not answer; nothing is lost by asking again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the broker does not answer: {0}")]
pub struct BrokerError(pub String);
