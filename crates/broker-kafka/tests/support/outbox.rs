//! An outbox that a test fills.

use std::sync::{Arc, Mutex};

use ports::{Outbox, Record, StoreError};

/// Clones share it.
#[derive(Clone, Default)]
pub struct ListOutbox {
    pub name: String,
    pub records: Arc<Mutex<Vec<Record>>>,
    pub sent: Arc<Mutex<u64>>,
}

impl Outbox for ListOutbox {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn lease(&mut self) -> Result<Option<u64>, StoreError> {
        Ok(Some(*self.sent.lock().unwrap()))
    }

    fn unsent(&mut self, after: u64, limit: usize) -> Result<Vec<(u64, Record)>, StoreError> {
        let records = self.records.lock().unwrap();
        let rest = records.iter().zip(1..).skip(usize::try_from(after).unwrap()).take(limit);
        Ok(rest.map(|(record, number)| (number, record.clone())).collect())
    }

    fn sent(&mut self, number: u64) -> Result<(), StoreError> {
        *self.sent.lock().unwrap() = number;
        Ok(())
    }
}
