//! The reading side of a store.

use super::error::StoreError;
use super::parked::ParkedRow;
use crate::model::TableId;
use crate::query::{LogQuery, Page, Query, Total};
use crate::record::Record;
use crate::row::StoredRow;

/// The reading side: any number of readers beside the writer, each seeing committed state only.
pub trait Reader: Send + Sync {
    /// A row by its integer id.
    fn by_id(&self, table: TableId, id: u64) -> Result<Option<StoredRow>, StoreError>;
    /// A row by its key.
    fn by_key(&self, table: TableId, key: &str) -> Result<Option<StoredRow>, StoreError>;
    /// One page of listed rows.
    fn page(&self, table: TableId, query: &Query) -> Result<Page, StoreError>;
    /// The number of listed rows that meet the query: exact where a counter has it, else counted up to
    /// [`COUNT_LIMIT`](crate::query::COUNT_LIMIT).
    fn total(&self, table: TableId, query: &Query) -> Result<Total, StoreError>;
    /// The counters of one name: values and numbers of rows.
    fn counters(&self, table: TableId, name: &str) -> Result<Vec<(String, u64)>, StoreError>;
    /// Records of the log, up to the visibility horizon: continuing after the last one skips none.
    fn log(&self, query: &LogQuery) -> Result<Vec<Record>, StoreError>;
    /// The last position of the log within the visibility horizon, below which no record can become visible any more.
    fn last_seq(&self) -> Result<u64, StoreError>;
    /// The first position that was not pruned.
    fn first_seq(&self) -> Result<u64, StoreError>;
    /// Subscriptions and their consumer offsets, summed over their partitions.
    fn positions(&self) -> Result<Vec<(String, u64)>, StoreError>;
    /// Parked work and dead letters, oldest first; only dead letters if asked for.
    fn all_parked(&self, dead_only: bool, limit: usize) -> Result<Vec<ParkedRow>, StoreError>;
    /// Each call is a network round trip, so that even a single row must not be read where others would be blocked.
    fn is_remote(&self) -> bool {
        false
    }
}
