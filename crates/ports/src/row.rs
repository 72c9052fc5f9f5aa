//! Rows of a table: references to them, and what is stored.

use crate::model::TableId;

/// A row, named by its key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowRef {
    /// Its table.
    pub table: TableId,
    /// Its business key.
    pub key: String,
}

/// A row as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// Its business key.
    pub key: String,
    /// Its id; a row without one is not listed.
    pub id: Option<u64>,
    /// The row version, counted from 1; each change increments it.
    pub version: u64,
    /// Schema version of `data`.
    pub schema: u16,
    /// The state as JSON.
    pub data: Vec<u8>,
}
