//! Outbox: the committed records that are to be published, for the relay.

use super::{Record, StoreError};

/// The relay's side of a store's log. One relay of an outbox holds the lease; the store fences the others.
pub trait Outbox: Send {
    /// The name that scopes its numbers; unique across databases.
    fn name(&self) -> String;
    /// Acquires or renews the lease. `None` while another relay holds it; else the last number marked as sent, after which the
    /// relay continues.
    fn lease(&mut self) -> Result<Option<u64>, StoreError>;
    /// Numbers newly committed records, then returns records after a number, at most `limit`, in the order of their numbers:
    /// per key that is commit order. [`StoreError::Unavailable`] without the lease.
    fn unsent(&mut self, after: u64, limit: usize) -> Result<Vec<(u64, Record)>, StoreError>;
    /// Marks all records up to this number as published. [`StoreError::Unavailable`] without the lease.
    fn sent(&mut self, number: u64) -> Result<(), StoreError>;
    /// Calls `wake` when there may be more; polling finds it, too.
    fn watch(&self, wake: Box<dyn Fn() + Send + Sync>) {
        drop(wake);
    }
}
