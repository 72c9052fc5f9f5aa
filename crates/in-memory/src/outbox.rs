//! The relay's side of a store in memory: one holds the lease, and the others are fenced.

use super::shared::SharedMemory;
use ports::{Outbox, Reader, Record, StoreError};

/// How far an outbox is relayed, and by whom.
#[derive(Debug, Default)]
pub(super) struct Relayed {
    pub sent: u64,
    holder: u64,
    until_ms: i64,
    relays: u64,
}

/// The outbox of a [`SharedMemory`], for one relay.
pub struct MemoryOutbox {
    shared: SharedMemory,
    name: String,
    me: u64,
    lease_ms: i64,
}

impl MemoryOutbox {
    /// For a relay of its own; its lease ends when it is not heard of for `lease_ms`.
    pub fn new(shared: &SharedMemory, name: &str, lease_ms: i64) -> Self {
        let mut desk = shared.desk();
        desk.relay.relays += 1;
        let me = desk.relay.relays;
        drop(desk);
        Self { shared: shared.clone(), name: name.to_owned(), me, lease_ms }
    }

    fn held(&self) -> Result<(), StoreError> {
        let desk = self.shared.desk();
        let lost = || StoreError::Unavailable("another relay has the lease".into());
        (desk.relay.holder == self.me && desk.relay.until_ms >= desk.now_ms()).then_some(()).ok_or_else(lost)
    }
}

impl Outbox for MemoryOutbox {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn lease(&mut self) -> Result<Option<u64>, StoreError> {
        let mut desk = self.shared.desk();
        let now_ms = desk.now_ms();
        let others = desk.relay.holder != 0 && desk.relay.holder != self.me;
        if others && desk.relay.until_ms >= now_ms {
            return Ok(None);
        }
        desk.relay.holder = self.me;
        desk.relay.until_ms = now_ms + self.lease_ms;
        Ok(Some(desk.relay.sent))
    }

    /// Commits come one after the other here, so that positions are numbers.
    fn unsent(&mut self, after: u64, limit: usize) -> Result<Vec<(u64, Record)>, StoreError> {
        self.held()?;
        let query = ports::LogQuery { after, limit, ..Default::default() };
        Ok(self.shared.reader().log(&query)?.into_iter().map(|record| (record.seq, record)).collect())
    }

    fn sent(&mut self, number: u64) -> Result<(), StoreError> {
        self.held()?;
        let mut desk = self.shared.desk();
        desk.relay.sent = desk.relay.sent.max(number);
        Ok(())
    }
}
