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
