//! Store: state, log, positions, timers, effects and answers of one system, in one transaction.

use kernel::Outcome;
use kernel::event::Cause;
use kernel::field::IndexValue;

use super::Record;
use super::broker::Partition;
use super::query::{Page, Query, Total};
use crate::model::{Counter, TableId};

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

/// The store did not do what it was asked, and nothing has changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It cannot now: disk full, locked, connection lost. Trying again later may help.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// Another instance has taken this one for dead.
    #[error("this instance has lost its lease")]
    Fenced,
    /// What it holds cannot be what was written: trying again will not help.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
}

/// A commit did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// Not applied, and not the batch's fault.
    #[error("the store does not take commits: {0}")]
    Unavailable(String),
    /// Not applied: what it was decided upon has changed since. Deciding again upon what is there now is no failure.
    #[error("the state has moved: {0}")]
    Conflict(String),
    /// Not applied: another instance has taken this one for dead.
    #[error("this instance has lost its lease")]
    Fenced,
    /// Not applied, because of what is in it; another batch may pass.
    #[error("the store refuses this batch: {0}")]
    Refused(String),
    /// It may have been applied: ask [`Store::last_commit`].
    #[error("nobody knows whether the commit was applied: {0}")]
    Unknown(String),
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

/// Where a follower stands in a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsumerOffset {
    /// The last position that it has handled.
    pub position: u64,
    /// The last number that it has had of each outbox.
    pub numbers: Vec<(String, u64)>,
}

/// A position that moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetUpdate {
    /// The follower.
    pub subscription: String,
    /// The partition.
    pub partition: Partition,
    /// Where the follower stands, `None` if it was never there: a shared store refuses as a conflict where it does not.
    pub from: Option<u64>,
    /// Where it stands afterwards.
    pub to: u64,
    /// Last numbers of outboxes that change.
    pub numbers: Vec<(String, u64)>,
}

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
    /// Its id; rows without one are not listed.
    pub id: Option<u64>,
    /// Counts its changes from 1.
    pub version: u64,
    /// Schema version of `data`.
    pub schema: u16,
    /// The state as JSON.
    pub data: Vec<u8>,
}

/// Everything that one batch changes. Rows are in the order of table and key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// One more than that of the commit before.
    pub number: u64,
    /// Changed rows.
    pub rows: Vec<RowWrite>,
    /// Changed counters.
    pub counters: Vec<CounterDelta>,
    /// Events, in order.
    pub log: Vec<Record>,
    /// Positions that moved.
    pub positions: Vec<OffsetUpdate>,
    /// Timers set and cleared, in order.
    pub timers: Vec<TimerWrite>,
    /// Effects asked for.
    pub effects: Vec<EffectRow>,
    /// Effects that have ended: in a shared store each must still be this instance's.
    pub effects_done: Vec<u64>,
    /// Aggregates whose unfinished effects of before are withdrawn.
    pub withdrawn: Vec<RowRef>,
    /// Events parked, changed and released, in order.
    pub parked: Vec<ParkedWrite>,
    /// Answers to remember.
    pub answers: Vec<AnswerRow>,
    /// Last id given, per table that gave one; a shared store never gives those at or below it afterwards.
    pub last_ids: Vec<(TableId, u64)>,
    /// Tables to empty, before everything else.
    pub clear: Vec<TableId>,
    /// Two tables that change places, after everything else.
    pub swap: Option<(TableId, TableId)>,
}

/// One changed row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowWrite {
    /// Its table.
    pub table: TableId,
    /// Its business key.
    pub key: String,
    /// Its id; rows without one are not listed.
    pub id: Option<u64>,
    /// The version that is there now; 0 = none.
    pub old_version: u64,
    /// The version afterwards.
    pub version: u64,
    /// Schema version of `data`.
    pub schema: u16,
    /// The state as JSON; `None` removes the row.
    pub data: Option<Vec<u8>>,
    /// Values of the declared fields.
    pub index: Vec<IndexValue>,
}

/// A change of one counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterDelta {
    /// The table that is counted.
    pub table: TableId,
    /// Which counter.
    pub counter: Counter,
    /// The difference, never 0.
    pub delta: i64,
}

/// A durable timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimerRow {
    /// The aggregate's table.
    pub table: TableId,
    /// The aggregate's key.
    pub key: String,
    /// Unique within the aggregate.
    pub name: String,
    /// Milliseconds since 1970.
    pub due_ms: i64,
    /// Schema version of the command.
    pub version: u16,
    /// The command as JSON.
    pub command: Vec<u8>,
    /// What set it.
    pub cause: Cause,
}

/// One change of a timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimerWrite {
    /// Set or moved.
    Set(TimerRow),
    /// No more.
    Clear {
        /// The aggregate's table.
        table: TableId,
        /// The aggregate's key.
        key: String,
        /// The timer's name.
        name: String,
        /// It fires by this commit and was due then: in a shared store it must still be.
        fires_ms: Option<i64>,
    },
}

/// An effect that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectRow {
    /// Increasing in the order of the decisions.
    pub number: u64,
    /// Deterministic: the aggregate, its version and the place in its decision.
    pub id: String,
    /// The aggregate's table.
    pub table: TableId,
    /// The aggregate's key.
    pub key: String,
    /// The port it goes through.
    pub port: String,
    /// The lane whose rate it shares.
    pub lane: Option<String>,
    /// Schema version of the payload.
    pub version: u16,
    /// The effect as JSON.
    pub payload: Vec<u8>,
    /// What asked for it.
    pub cause: Cause,
    /// It is not to be started any more.
    pub withdrawn: bool,
}

/// A parked event, timer or answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ParkedRow {
    /// The follower that could not handle it.
    pub subscription: String,
    /// The order key; what follows on it waits.
    pub key: String,
    /// The partition that the event came from.
    pub partition: u32,
    /// The event's position in its partition: parked events of a key stand in this order.
    pub position: u64,
    /// How often it was tried; 0 = it only waits behind another.
    pub attempts: u32,
    /// When it is tried again, milliseconds since 1970.
    pub next_try_ms: i64,
    /// It is not tried again by itself.
    pub dead: bool,
    /// Why.
    pub cause: String,
    /// When it was parked, milliseconds since 1970.
    pub since_ms: i64,
    /// What could not be handled, copied.
    pub work: ParkedWork,
}

/// What is parked. Tables are named as the store names them: their numbers hold only as long as the process runs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
#[allow(clippy::large_enum_variant)] // parking is rare; a box for each would cost more than it saves
pub enum ParkedWork {
    /// An event.
    Event(Record),
    /// A timer that was due.
    Timer(ParkedTimer),
    /// The outcome of an effect.
    Answer(ParkedAnswer),
}

/// A timer that was due and could not be handled.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParkedTimer {
    /// The aggregate's table, as the store names it.
    pub table: String,
    /// The aggregate's key.
    pub key: String,
    /// The timer's name.
    pub name: String,
    /// When it was due, milliseconds since 1970.
    pub due_ms: i64,
    /// Schema version of the command.
    pub version: u16,
    /// The command as JSON.
    #[serde(with = "crate::record::json_text")]
    pub command: Vec<u8>,
    /// What set it.
    pub cause: Cause,
}

/// The outcome of an effect that its aggregate could not be told.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParkedAnswer {
    /// The aggregate's table, as the store names it.
    pub table: String,
    /// The aggregate's key.
    pub key: String,
    /// The effect's number.
    pub number: u64,
    /// The effect's deterministic id.
    pub id: String,
    /// The port it went through.
    pub port: String,
    /// Schema version of the effect.
    pub version: u16,
    /// The effect as JSON.
    #[serde(with = "crate::record::json_text")]
    pub payload: Vec<u8>,
    /// How it ended; a reply is JSON.
    pub outcome: Outcome<Vec<u8>>,
    /// What asked for it.
    pub cause: Cause,
}

/// One change of the parked events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // parking is rare; a box for each would cost more than it saves
pub enum ParkedWrite {
    /// Parked, or changed: in a shared store what is there must have one attempt less, and without any nothing is there.
    Put(ParkedRow),
    /// Handled or discarded: in a shared store it must be there.
    Remove {
        /// The follower.
        subscription: String,
        /// The order key.
        key: String,
        /// The partition.
        partition: u32,
        /// Its position.
        position: u64,
    },
}

/// The answer that an idempotency key got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerRow {
    /// Service and method: keys of different scopes do not meet.
    pub scope: String,
    /// The client's key.
    pub key: String,
    /// Of the request that it came with.
    pub fingerprint: String,
    /// Until when it is remembered, milliseconds since 1970.
    pub expires_ms: i64,
    /// The answer, as the core wrote it.
    pub answer: Vec<u8>,
}

/// Which records of the log.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// After this position.
    pub after: u64,
    /// At most so many; the bound is the caller's.
    pub limit: usize,
    /// Of this type.
    pub event_type: Option<String>,
    /// Of this correlation key.
    pub key: Option<String>,
    /// Caused by this request.
    pub request: Option<String>,
    /// Decided at or after, milliseconds since 1970.
    pub from_ms: Option<i64>,
    /// Decided before, milliseconds since 1970.
    pub until_ms: Option<i64>,
}
