//! Consumer offsets of subscriptions.

use crate::broker::Partition;

/// Where a follower stands in a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsumerOffset {
    /// The last position that it has handled.
    pub position: u64,
    /// The last number that it has had of each outbox.
    pub numbers: Vec<(String, u64)>,
}

/// A position that moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetUpdate {
    /// The follower.
    pub subscription: String,
    /// The partition.
    pub partition: Partition,
    /// Where the follower stands, `None` if it was never there: a shared store refuses as a conflict where it does not.
    pub from: Option<u64>,
    /// Where it stands afterwards.
    pub to: u64,
    /// Last numbers of outboxes that change.
    pub numbers: Vec<(String, u64)>,
}
