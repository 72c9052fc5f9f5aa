//! The writing side of a store.

use super::answers::AnswerRow;
use super::commit::Commit;
use super::effects::EffectRow;
use super::error::{CommitError, StoreError};
use super::offsets::ConsumerOffset;
use super::parked::ParkedRow;
use super::timers::TimerRow;
use crate::broker::Partition;
use crate::model::TableId;
use crate::record::Record;
use crate::row::{RowRef, StoredRow};

/// The writing side. Its only user is the core, which hands it one commit after the other.
///
/// A store is *exclusive* (one process, an embedded file) or *shared* by several processes. In a shared store every commit
/// carries its expectations (row versions, consumer offsets, parked work, timers that fire, effects that end), and is a
/// [`CommitError::Conflict`] where one is not met. A process is an *instance* there, with commit and effect numbers of its own
/// and a lease; an instance whose lease has expired is [`CommitError::Fenced`] and recovers as a new one.
pub trait Store: Send {
    /// What a starting core needs; scans nothing that grows with the data. In a shared store this registers a new instance.
    fn recover(&mut self) -> Result<Recovered, StoreError>;
    /// The consumer offset of a subscription in a partition; none before its first commit.
    fn consumer_offset(&mut self, subscription: &str, partition: &Partition) -> Result<Option<ConsumerOffset>, StoreError>;
    /// The first parked row of each key, of one subscription and partition.
    fn parked_heads(&mut self, subscription: &str, partition: u32) -> Result<Vec<ParkedRow>, StoreError>;
    /// Reserves ids of a table, for a shared store. The core of an exclusive one counts by itself and never asks.
    fn ids(&mut self, table: TableId, count: u64) -> Result<std::ops::Range<u64>, StoreError> {
        let _ = count;
        Err(StoreError::Corrupt(format!("an exclusive store gives no ids of table {}", table.0)))
    }
    /// The lease of an instance in milliseconds; none for an exclusive store.
    fn lease_ms(&self) -> Option<i64> {
        None
    }
    /// Renews the lease, or is [`StoreError::Fenced`]; and adopts effects of instances whose lease has expired, which may have
    /// been called already, at most `limit`. An exclusive store has none to adopt.
    fn adopt(&mut self, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        let _ = limit;
        Ok(Vec::new())
    }
    /// Rows by key, in the order asked for.
    fn load(&mut self, wanted: &[RowRef]) -> Result<Vec<Option<StoredRow>>, StoreError>;
    /// The stored answer of an idempotency key.
    fn answer(&mut self, scope: &str, key: &str) -> Result<Option<AnswerRow>, StoreError>;
    /// The same of several, by scope and key, in the order asked for.
    fn answers(&mut self, wanted: &[(String, String)]) -> Result<Vec<Option<AnswerRow>>, StoreError> {
        wanted.iter().map(|(scope, key)| self.answer(scope, key)).collect()
    }
    /// Records after a position, in order.
    fn log_after(&mut self, seq: u64, limit: usize) -> Result<Vec<Record>, StoreError>;
    /// Timers due at or before that instant, earliest first, at most `limit`.
    fn timers_due(&mut self, until_ms: i64, limit: usize) -> Result<Vec<TimerRow>, StoreError>;
    /// The due time of one timer, milliseconds since 1970; none where it is not set.
    fn timer_due(&mut self, table: TableId, key: &str, name: &str) -> Result<Option<i64>, StoreError>;
    /// The earliest due time, milliseconds since 1970.
    fn next_timer(&mut self) -> Result<Option<i64>, StoreError>;
    /// Unfinished effects of this instance after a number, in order.
    fn effects_after(&mut self, number: u64, limit: usize) -> Result<Vec<EffectRow>, StoreError>;
    /// Parked rows of one subscription, partition and key, in order.
    fn parked(&mut self, subscription: &str, partition: u32, key: &str, limit: usize) -> Result<Vec<ParkedRow>, StoreError>;
    /// Applies a commit, all or nothing.
    fn commit(&mut self, commit: &Commit) -> Result<(), CommitError>;
    /// The number of the last applied commit: resolves [`CommitError::Unknown`].
    fn last_commit(&mut self) -> Result<u64, StoreError>;
    /// Deletes log records that are both older than `before_ms` and at or below `upto_seq`, and expired answers; at most
    /// `limit` of each. Records that are not yet relayed stay. Returns how many were deleted.
    fn prune(&mut self, before_ms: i64, upto_seq: u64, now_ms: i64, limit: usize) -> Result<u64, StoreError>;
    /// Whether this process is the only writer, so that rows may be cached between commits.
    fn exclusive(&self) -> bool;
}

/// What a starting core needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Number of the last applied commit.
    pub last_commit: u64,
    /// Last position of the log.
    pub last_seq: u64,
    /// The last effect number assigned.
    pub last_effect: u64,
    /// The last id assigned per table, in the model's order.
    pub last_ids: Vec<u64>,
}
