//! Numbers of the things that a core keeps: types, so that one is not taken for another.

use ports::ServiceId;

/// Which cursor: it keeps its number for as long as the core lives, also while the partition is another instance's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CursorId(pub usize);

/// Where something is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Queue {
    /// An event of a subscription, in one partition.
    Cursor(CursorId),
    /// A timer of a service.
    Timers(ServiceId),
    /// The answer of an effect of a service.
    Answers(ServiceId),
}
