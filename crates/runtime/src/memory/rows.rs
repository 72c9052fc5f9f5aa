//! Rows of one view in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::lock;
use crate::ports::{Rows, RowsError};

/// Rows in a map. Clones share them, so they survive a projection that "crashes".
#[derive(Debug, Clone, Default)]
pub struct MemoryRows {
    contents: Arc<Mutex<Contents>>,
}

#[derive(Debug, Default)]
struct Contents {
    rows: BTreeMap<String, Vec<u8>>,
    positions: BTreeMap<String, u64>,
}

impl MemoryRows {
    /// All rows by key.
    pub fn all(&self) -> BTreeMap<String, Vec<u8>> {
        lock(&self.contents).rows.clone()
    }
}

impl Rows for MemoryRows {
    fn position(&mut self, source: &str) -> Result<u64, RowsError> {
        Ok(lock(&self.contents).positions.get(source).copied().unwrap_or_default())
    }

    fn load(&mut self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, RowsError> {
        let contents = lock(&self.contents);
        Ok(keys.iter().map(|key| contents.rows.get(key).cloned()).collect())
    }

    fn write(&mut self, source: &str, position: u64, rows: &[(String, Option<Vec<u8>>)]) -> Result<(), RowsError> {
        let mut contents = lock(&self.contents);
        if contents.positions.get(source).is_some_and(|there| *there >= position) {
            return Ok(());
        }
        for (key, row) in rows {
            match row {
                Some(row) => contents.rows.insert(key.clone(), row.clone()),
                None => contents.rows.remove(key),
            };
        }
        contents.positions.insert(source.to_owned(), position);
        Ok(())
    }
}
