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

/// The writing side. It has one user, the core, which hands it one commit after the other.
///
/// A store is *exclusive* (one process, as an embedded file) or *shared* by several processes. In a shared one every commit
/// says what it has seen (versions of rows, positions, parked events, timers that fire, effects that end), and is a
/// [`CommitError::Conflict`] where that is no longer so. A process is an *instance* there, with commit and effect numbers of
/// its own and a lease; one whose lease has run out is [`CommitError::Fenced`] and recovers as another instance.
pub trait Store: Send {
    /// What a starting core must know; scans nothing that grows with the data. In a shared store this makes a new instance.
    fn recover(&mut self) -> Result<Recovered, StoreError>;
    /// Where a follower stands in a partition; none where it has never been.
    fn consumer_offset(&mut self, subscription: &str, partition: &Partition) -> Result<Option<ConsumerOffset>, StoreError>;
    /// The first parked event of each key, of one follower and partition.
    fn parked_heads(&mut self, subscription: &str, partition: u32) -> Result<Vec<ParkedRow>, StoreError>;
    /// Ids of a table that nobody else gets, for a shared store. An exclusive one is never asked: its core counts.
    fn ids(&mut self, table: TableId, count: u64) -> Result<std::ops::Range<u64>, StoreError> {
        let _ = count;
        Err(StoreError::Corrupt(format!("an exclusive store gives no ids of table {}", table.0)))
    }
    /// How long an instance may be silent before others take it for dead, in milliseconds; none for an exclusive store.
    fn lease_ms(&self) -> Option<i64> {
        None
    }
    /// Prolongs the own lease, or is [`StoreError::Fenced`]; and takes over effects of instances whose lease has run out,
    /// which may have been called already; at most so many. An exclusive store has nobody to take over from.
    fn adopt(&mut self, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        let _ = limit;
        Ok(Vec::new())
    }
    /// Rows by key, in the order asked for.
    fn load(&mut self, wanted: &[RowRef]) -> Result<Vec<Option<StoredRow>>, StoreError>;
    /// The remembered answer of an idempotency key.
    fn answer(&mut self, scope: &str, key: &str) -> Result<Option<AnswerRow>, StoreError>;
    /// The same of several, by scope and key, in the order asked for.
    fn answers(&mut self, wanted: &[(String, String)]) -> Result<Vec<Option<AnswerRow>>, StoreError> {
        wanted.iter().map(|(scope, key)| self.answer(scope, key)).collect()
    }
    /// Records after a position, in order.
    fn log_after(&mut self, seq: u64, limit: usize) -> Result<Vec<Record>, StoreError>;
    /// Timers due at or before that instant, earliest first.
    fn timers_due(&mut self, until_ms: i64, limit: usize) -> Result<Vec<TimerRow>, StoreError>;
    /// When one timer is due, milliseconds since 1970; none where it is not set.
    fn timer_due(&mut self, table: TableId, key: &str, name: &str) -> Result<Option<i64>, StoreError>;
    /// The earliest due instant there is.
    fn next_timer(&mut self) -> Result<Option<i64>, StoreError>;
    /// Unfinished effects of this instance after a number, in order.
    fn effects_after(&mut self, number: u64, limit: usize) -> Result<Vec<EffectRow>, StoreError>;
    /// Parked events of one follower, partition and key, in order.
    fn parked(&mut self, subscription: &str, partition: u32, key: &str, limit: usize) -> Result<Vec<ParkedRow>, StoreError>;
    /// All of it or nothing.
    fn commit(&mut self, commit: &Commit) -> Result<(), CommitError>;
    /// The number of the last commit that was applied: the way to find out after [`CommitError::Unknown`].
    fn last_commit(&mut self) -> Result<u64, StoreError>;
    /// Removes log rows that are both older than `before_ms` and at or below `upto_seq`, and answers that have expired;
    /// at most `limit` of each. What is to be relayed and is not sent yet stays. Returns how many went.
    fn prune(&mut self, before_ms: i64, upto_seq: u64, now_ms: i64, limit: usize) -> Result<u64, StoreError>;
    /// Whether this process is the only writer, so that rows may be kept in memory between commits.
    fn exclusive(&self) -> bool;
}

/// What a starting core must know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Number of the last applied commit.
    pub last_commit: u64,
    /// Last position of the log.
    pub last_seq: u64,
    /// Last effect number that was given.
    pub last_effect: u64,
    /// Last id given per table, in the model's order.
    pub last_ids: Vec<u64>,
}
