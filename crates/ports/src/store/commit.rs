//! The commit: everything that one batch changes.

use kernel::field::IndexValue;

use super::answers::AnswerRow;
use super::effects::EffectRow;
use super::offsets::OffsetUpdate;
use super::parked::ParkedWrite;
use super::timers::TimerWrite;
use crate::model::{Counter, TableId};
use crate::record::Record;
use crate::row::RowRef;

/// Everything that one batch changes. Rows are ordered by table and key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// The commit number, one more than that of the previous commit.
    pub number: u64,
    /// Changed rows.
    pub rows: Vec<RowWrite>,
    /// Changed counters.
    pub counters: Vec<CounterDelta>,
    /// Events, in order.
    pub log: Vec<Record>,
    /// Consumer offsets that move.
    pub positions: Vec<OffsetUpdate>,
    /// Timers set and cleared, in order.
    pub timers: Vec<TimerWrite>,
    /// New effects.
    pub effects: Vec<EffectRow>,
    /// Effects that have ended: in a shared store each must still be owned by this instance.
    pub effects_done: Vec<u64>,
    /// Aggregates whose pending effects are withdrawn; effects of this commit are not.
    pub withdrawn: Vec<RowRef>,
    /// Parked work that is added, changed or removed, in order.
    pub parked: Vec<ParkedWrite>,
    /// Answers of idempotency keys.
    pub answers: Vec<AnswerRow>,
    /// The last id assigned, per table that assigned one; a shared store never assigns these or lower ones again.
    pub last_ids: Vec<(TableId, u64)>,
    /// Tables to clear, before everything else.
    pub clear: Vec<TableId>,
    /// Two tables to swap, after everything else.
    pub swap: Option<(TableId, TableId)>,
}

/// One changed row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowWrite {
    /// Its table.
    pub table: TableId,
    /// Its business key.
    pub key: String,
    /// Its id; a row without one is not listed.
    pub id: Option<u64>,
    /// The expected version; 0 = no row.
    pub old_version: u64,
    /// The new version.
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
