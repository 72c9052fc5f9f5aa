//! Numbering: which numbers the next commit, event, effect and aggregate get.

use std::ops::Range;

use ports::{Commit, Recovered, RowWrite, StoreError, TableId};

use crate::error::Interrupt;

/// The numbers given so far. An exclusive store leaves ids to the core; a shared one grants them in ranges.
pub struct Numbering {
    commit: u64,
    seq: u64,
    effect: u64,
    ids: Vec<TableIds>,
    shared: bool,
}

/// The ids of one table.
#[derive(Clone, Copy)]
struct TableIds {
    /// The last one, those of the present batch included.
    last: u64,
    /// The last one that is committed.
    committed: u64,
    /// The last one that this instance may assign.
    until: u64,
}

impl Numbering {
    /// Continues behind what the store has; `shared` tells whether other instances write to it.
    pub fn new(recovered: &Recovered, tables: usize, shared: bool) -> Self {
        let of = |table: usize| {
            let last = recovered.last_ids.get(table).copied().unwrap_or(0);
            TableIds { last, committed: last, until: if shared { last } else { u64::MAX } }
        };
        let Recovered { last_commit: commit, last_seq: seq, last_effect: effect, .. } = *recovered;
        Self { commit, seq, effect, ids: (0..tables).map(of).collect(), shared }
    }

    /// The number of the next commit.
    pub fn next_commit(&self) -> u64 {
        self.commit + 1
    }

    /// The last committed sequence number of the log.
    pub fn last_seq(&self) -> u64 {
        self.seq
    }

    /// The sequence number of a batch's event, counted from 0 within the batch.
    pub fn seq_of(&self, index: usize) -> u64 {
        self.seq + index as u64 + 1
    }

    /// The number of a batch's effect, counted from 0 within the batch.
    pub fn effect_of(&self, index: usize) -> u64 {
        self.effect + index as u64 + 1
    }

    /// The id of the next aggregate that comes to be in this table.
    pub fn next_id(&self, table: TableId) -> Result<u64, Interrupt> {
        match self.ids[table.0] {
            TableIds { last: u64::MAX, .. } => Err(StoreError::Corrupt("a table has no ids left".into()).into()),
            TableIds { last, until, .. } if last < until => Ok(last + 1),
            _ => Err(Interrupt::OutOfIds(table)),
        }
    }

    /// An aggregate of the present batch has this id.
    pub fn assign(&mut self, table: TableId, id: u64) {
        let ids = &mut self.ids[table.0];
        ids.last = ids.last.max(id);
    }

    /// A shared store has granted these ids to this instance alone. What was left of the range before stays unassigned.
    pub fn grant(&mut self, table: TableId, range: &Range<u64>) {
        let last = range.start.saturating_sub(1);
        self.ids[table.0] = TableIds { last, committed: last, until: range.end.saturating_sub(1) };
    }

    /// Drops the granted ranges: another instance's client may have named an id within one.
    pub fn drop_ranges(&mut self) {
        if self.shared {
            self.ids.iter_mut().for_each(|ids| ids.until = ids.last);
        }
    }

    /// The last id of each table that a commit writes to. Where ids come in ranges, one that a client named may stand above
    /// the last of the range.
    pub fn last_ids(&self, rows: &[RowWrite]) -> Vec<(TableId, u64)> {
        let mut tables: Vec<TableId> = rows.iter().map(|row| row.table).collect();
        tables.dedup();
        let named = |table| rows.iter().filter(move |row| self.shared && row.table == table).filter_map(|row| row.id).max();
        let last = |table: TableId| self.ids[table.0].last.max(named(table).unwrap_or_default());
        tables.into_iter().map(|table| (table, last(table))).collect()
    }

    /// A commit was applied.
    pub fn applied(&mut self, commit: &Commit) {
        debug_assert_eq!(commit.number, self.next_commit(), "commits are numbered without gaps");
        self.commit = commit.number;
        self.seq += commit.log.len() as u64;
        self.effect += commit.effects.len() as u64;
    }

    /// The batch is committed, and with it the ids that it assigned.
    pub fn settle(&mut self) {
        self.ids.iter_mut().for_each(|ids| ids.committed = ids.last);
    }

    /// The batch was aborted: its ids were never assigned.
    pub fn rollback(&mut self) {
        self.ids.iter_mut().for_each(|ids| ids.last = ids.committed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: TableId = TableId(0);

    fn recovered() -> Recovered {
        Recovered { last_commit: 7, last_seq: 20, last_effect: 3, last_ids: vec![5] }
    }

    #[test]
    fn ids_of_an_aborted_batch_are_assigned_again() {
        let mut numbering = Numbering::new(&recovered(), 1, false);
        numbering.assign(TABLE, 6);
        numbering.assign(TABLE, 4);
        assert_eq!(numbering.next_id(TABLE).ok(), Some(7), "a smaller id that a client named moves nothing");
        numbering.rollback();
        assert_eq!(numbering.next_id(TABLE).ok(), Some(6));
    }

    #[test]
    fn a_shared_store_grants_ids_in_ranges() {
        let mut numbering = Numbering::new(&recovered(), 1, true);
        assert!(matches!(numbering.next_id(TABLE), Err(Interrupt::OutOfIds(TABLE))));
        numbering.grant(TABLE, &(10..12));
        assert_eq!(numbering.next_id(TABLE).ok(), Some(10));
        numbering.assign(TABLE, 11);
        assert!(matches!(numbering.next_id(TABLE), Err(Interrupt::OutOfIds(TABLE))));
        numbering.grant(TABLE, &(20..30));
        numbering.drop_ranges();
        assert!(matches!(numbering.next_id(TABLE), Err(Interrupt::OutOfIds(TABLE))));
    }

    #[test]
    fn a_commit_moves_every_number_that_it_carries() {
        let mut numbering = Numbering::new(&recovered(), 1, false);
        assert_eq!((numbering.next_commit(), numbering.seq_of(0), numbering.effect_of(1)), (8, 21, 5));
        numbering.applied(&Commit { number: 8, ..Commit::default() });
        assert_eq!((numbering.next_commit(), numbering.last_seq()), (9, 20));
    }
}
