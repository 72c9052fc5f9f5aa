//! Outbox: what a store has committed to be published, for the relay that publishes it.

use super::{Record, StoreError};

/// The relay's side of a store's log. Of several relays of one outbox one holds the lease; the store fences the others.
pub trait Outbox: Send {
    /// The name that its numbers are counted under; another one for another database.
    fn name(&self) -> String;
    /// Takes the lease, or prolongs it. None while another relay has it; else the last number that is marked as sent, which
    /// is where to begin.
    fn lease(&mut self) -> Result<Option<u64>, StoreError>;
    /// Gives numbers to what has been committed since, then returns records after a number, in the order of the numbers: for
    /// one key that is the order of the commits. [`StoreError::Unavailable`] without the lease.
    fn unsent(&mut self, after: u64, limit: usize) -> Result<Vec<(u64, Record)>, StoreError>;
    /// All records up to this number have arrived. [`StoreError::Unavailable`] without the lease.
    fn sent(&mut self, number: u64) -> Result<(), StoreError>;
    /// Calls `wake` when there may be more; by polling this is found too.
    fn watch(&self, wake: Box<dyn Fn() + Send + Sync>) {
        drop(wake);
    }
}
