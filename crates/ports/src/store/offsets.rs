//! Consumer offsets of subscriptions.

use crate::broker::Partition;

/// The consumer offset of a subscription in a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsumerOffset {
    /// The last position handled.
    pub position: u64,
    /// The last number consumed from each outbox.
    pub numbers: Vec<(String, u64)>,
}

/// A consumer offset that moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetUpdate {
    /// The subscription.
    pub subscription: String,
    /// The partition.
    pub partition: Partition,
    /// The current offset, `None` if there is none: in a shared store another value is a conflict.
    pub from: Option<u64>,
    /// The new offset.
    pub to: u64,
    /// Numbers of outboxes that change.
    pub numbers: Vec<(String, u64)>,
}
