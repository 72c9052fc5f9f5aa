//! In-memory implementations of the ports, for tests, stories and the simulation.
//!
//! They keep the promises of the durable ones; the contract tests hold them to it. Nothing depends on the order of a hash map,
//! on the system clock or on chance: the same calls give the same answers in every run.

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

/// Locks a mutex, poisoned or not: a panicking test must not be hidden by a second panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
