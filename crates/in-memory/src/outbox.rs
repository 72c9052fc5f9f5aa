//! The outbox of a shared store in memory: one relay holds the lease, and the others are fenced.

use super::shared::SharedMemory;
use ports::{Outbox, Reader, Record, StoreError};

/// The outbox of a [`SharedMemory`], for one relay.
pub struct MemoryOutbox {
    shared: SharedMemory,
    name: String,
    me: u64,
    lease_ms: i64,
}

impl MemoryOutbox {
    /// An outbox for a new relay, with a lease of `lease_ms` milliseconds.
    pub fn new(shared: &SharedMemory, name: &str, lease_ms: i64) -> Self {
        let mut registry = shared.registry();
        registry.relay.relays += 1;
        let me = registry.relay.relays;
        drop(registry);
        Self { shared: shared.clone(), name: name.to_owned(), me, lease_ms }
    }

    fn check_lease(&self) -> Result<(), StoreError> {
        let registry = self.shared.registry();
        let lost = || StoreError::Unavailable("another relay has the lease".into());
        (registry.relay.holder == self.me && registry.relay.until_ms >= registry.now_ms()).then_some(()).ok_or_else(lost)
    }
}

impl Outbox for MemoryOutbox {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn lease(&mut self) -> Result<Option<u64>, StoreError> {
        let mut registry = self.shared.registry();
        let now_ms = registry.now_ms();
        let others = registry.relay.holder != 0 && registry.relay.holder != self.me;
        if others && registry.relay.until_ms >= now_ms {
            return Ok(None);
        }
        registry.relay.holder = self.me;
        registry.relay.until_ms = now_ms + self.lease_ms;
        Ok(Some(registry.relay.sent))
    }

    /// Commits are serialized here, so that positions serve as numbers.
    fn unsent(&mut self, after: u64, limit: usize) -> Result<Vec<(u64, Record)>, StoreError> {
        self.check_lease()?;
        let query = ports::LogQuery { after, limit, ..Default::default() };
        Ok(self.shared.reader().log(&query)?.into_iter().map(|record| (record.seq, record)).collect())
    }

    fn sent(&mut self, number: u64) -> Result<(), StoreError> {
        self.check_lease()?;
        let mut registry = self.shared.registry();
        registry.relay.sent = registry.relay.sent.max(number);
        Ok(())
    }
}
