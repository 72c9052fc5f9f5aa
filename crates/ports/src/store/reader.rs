//! The reading side of a store.

use super::error::StoreError;
use super::parked::ParkedRow;
use crate::model::TableId;
use crate::query::{LogQuery, Page, Query, Total};
use crate::record::Record;
use crate::row::StoredRow;

/// The reading side: any number of readers beside the writer, each seeing only what is committed.
pub trait Reader: Send + Sync {
    /// A row by its integer id.
    fn by_id(&self, table: TableId, id: u64) -> Result<Option<StoredRow>, StoreError>;
    /// A row by its key.
    fn by_key(&self, table: TableId, key: &str) -> Result<Option<StoredRow>, StoreError>;
    /// One page of listed rows.
    fn page(&self, table: TableId, query: &Query) -> Result<Page, StoreError>;
    /// How many listed rows meet the query, exactly where a counter tells, else up to 10,000.
    fn total(&self, table: TableId, query: &Query) -> Result<Total, StoreError>;
    /// The counters of one name: value and number of rows.
    fn counters(&self, table: TableId, name: &str) -> Result<Vec<(String, u64)>, StoreError>;
    /// Records of the log, up to where nothing can come any more: who goes on after the last one misses none.
    fn log(&self, query: &LogQuery) -> Result<Vec<Record>, StoreError>;
    /// The last position of the log up to which nothing can come any more.
    fn last_seq(&self) -> Result<u64, StoreError>;
    /// The first position that the log still has.
    fn first_seq(&self) -> Result<u64, StoreError>;
    /// Followers and their positions, added up over their partitions.
    fn positions(&self) -> Result<Vec<(String, u64)>, StoreError>;
    /// Parked and dead events, oldest first; only dead ones if asked so.
    fn all_parked(&self, dead_only: bool, limit: usize) -> Result<Vec<ParkedRow>, StoreError>;
    /// Bytes on disk, 0 in memory.
    fn size_bytes(&self) -> u64;
    /// Each call takes a round trip to another process, so that even one row is nothing to wait for where others wait, too.
    fn is_remote(&self) -> bool {
        false
    }
}
