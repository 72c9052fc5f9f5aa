//! In-memory implementations of the ports, for tests, stories and the simulation.
//!
//! They keep the same promises as those that write to disk; the contract tests hold them to it. Nothing here depends on
//! the order of a hash map, on the machine's clock or on chance: the same calls give the same answers in every run.

mod broker;
mod channel;
mod clock;
mod outbox;
mod partitioned;
mod reader;
mod shared;
mod store;
mod tables;

pub use broker::MemoryBroker;
pub use channel::MemoryChannel;
pub use clock::{Counting, ManualClock};
pub use outbox::MemoryOutbox;
pub use partitioned::{MemoryPublisher, MemoryTopics};
pub use shared::{SharedMemory, SharedStore};
pub use store::MemoryStore;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock whatever happened to its last holder: a panicking test must not hide behind a second panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
