//! The writing side: one connection, used by the core alone.

use std::collections::HashMap;
use std::sync::Arc;

use ports::{
    AnswerRow, Commit, CommitError, ConsumerOffset, EffectRow, ParkedRow, Partition, Record, Recovered, RowRef, Store,
    StoreError, StoredRow, TableId, TimerRow,
};
use rusqlite::{Connection, OptionalExtension, Result, params};

use crate::error::store_error;
use crate::layout::{TableLayout, stored};
use crate::records::codec::list;
use crate::records::{answers, effects, log, offsets, parked, store_meta, timers};
use crate::value::{U64, limit};
use crate::write::checkpoint::{self, Checkpointer};
use crate::write::commit;
use crate::write::rows::UnlistedIds;

/// A system's embedded store. It relies on a [`crate::DataDir`] to be the only writer of its file.
#[derive(Debug)]
pub struct SqliteStore {
    pub(crate) conn: Connection,
    layouts: Arc<[TableLayout]>,
    unlisted_ids: UnlistedIds,
    /// The outcome of the last commit is unknown: it may or may not survive a crash.
    pub(crate) in_doubt: bool,
    checkpointer: Checkpointer,
}

impl SqliteStore {
    pub(crate) fn new(conn: Connection, layouts: Arc<[TableLayout]>, checkpointer: Checkpointer) -> Self {
        Self { conn, layouts, unlisted_ids: UnlistedIds::default(), in_doubt: false, checkpointer }
    }

    fn recovered(&self) -> Result<Recovered> {
        let last = store_meta::last(&self.conn)?;
        let ids = list(&self.conn, "SELECT table_name, id FROM last_id", [], |row| Ok((row.get(0)?, row.get::<_, U64>(1)?.0)))?;
        let ids: HashMap<String, u64> = ids.into_iter().collect();
        Ok(Recovered {
            last_commit: last.commit,
            last_seq: last.seq,
            last_effect: last.effect,
            last_ids: self.layouts.iter().map(|layout| ids.get(&layout.name).copied().unwrap_or_default()).collect(),
        })
    }

    /// Key by key with a prepared statement, in one transaction: outside of one the read lock dominates the cost of a row, and
    /// within one a statement for many keys gains next to nothing.
    fn found(&self, wanted: &[RowRef]) -> Result<Vec<Option<StoredRow>>> {
        let work = self.conn.unchecked_transaction()?;
        let mut found = Vec::with_capacity(wanted.len());
        for same in wanted.chunk_by(|one, next| one.table == next.table) {
            let Some(layout) = same.first().and_then(|row| self.layouts.get(row.table.0)) else {
                found.extend(same.iter().map(|_| None));
                continue;
            };
            let mut statement = work.prepare_cached(&layout.by_key)?;
            for row in same {
                found.push(statement.query_row([&row.key], stored).optional()?);
            }
        }
        work.commit()?;
        Ok(found)
    }

    fn pruned(&mut self, before_ms: i64, upto_seq: u64, now_ms: i64, rows: usize) -> Result<u64> {
        let _turn = self.checkpointer.write_lock();
        let work = self.conn.transaction()?;
        // Only the oldest rows are examined, or a log of recent rows would be scanned whole each time.
        let log = "DELETE FROM log WHERE seq IN (SELECT seq FROM log WHERE seq <= ?1 ORDER BY seq LIMIT ?3) AND time_ms < ?2";
        let upto = i64::try_from(upto_seq).unwrap_or(i64::MAX);
        let mut gone = work.prepare_cached(log)?.execute(params![upto, before_ms, limit(rows)])?;
        let answers = "DELETE FROM answer WHERE rowid IN (SELECT rowid FROM answer WHERE expires_ms <= ?1 \
                       ORDER BY expires_ms LIMIT ?2)";
        gone += work.prepare_cached(answers)?.execute(params![now_ms, limit(rows)])?;
        work.commit()?;
        Ok(gone as u64)
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // The readers may close after it, and they cannot do this.
        checkpoint::finish(&self.conn);
    }
}

impl Store for SqliteStore {
    fn recover(&mut self) -> Result<Recovered, StoreError> {
        self.last_commit()?;
        self.recovered().map_err(|error| store_error(&error))
    }

    fn consumer_offset(&mut self, subscription: &str, partition: &Partition) -> Result<Option<ConsumerOffset>, StoreError> {
        offsets::consumer_offset(&self.conn, subscription, partition).map_err(|error| store_error(&error))
    }

    fn parked_heads(&mut self, subscription: &str, partition: u32) -> Result<Vec<ParkedRow>, StoreError> {
        parked::parked_heads(&self.conn, subscription, partition).map_err(|error| store_error(&error))
    }

    fn load(&mut self, wanted: &[RowRef]) -> Result<Vec<Option<StoredRow>>, StoreError> {
        self.found(wanted).map_err(|error| store_error(&error))
    }

    fn answer(&mut self, scope: &str, key: &str) -> Result<Option<AnswerRow>, StoreError> {
        answers::answer(&self.conn, scope, key).map_err(|error| store_error(&error))
    }

    fn log_after(&mut self, seq: u64, limit: usize) -> Result<Vec<Record>, StoreError> {
        log::after(&self.conn, seq, limit).map_err(|error| store_error(&error))
    }

    fn timers_due(&mut self, until_ms: i64, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        timers::timers_due(&self.conn, &self.layouts, until_ms, limit).map_err(|error| store_error(&error))
    }

    fn timer_due(&mut self, table: TableId, key: &str, name: &str) -> Result<Option<i64>, StoreError> {
        timers::timer_due(&self.conn, &self.layouts, table, key, name).map_err(|error| store_error(&error))
    }

    fn next_timer(&mut self) -> Result<Option<i64>, StoreError> {
        let statement = self.conn.prepare_cached("SELECT min(due_ms) FROM timer");
        statement.and_then(|mut statement| statement.query_row([], |row| row.get(0))).map_err(|error| store_error(&error))
    }

    fn effects_after(&mut self, number: u64, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        effects::effects_after(&self.conn, &self.layouts, number, limit).map_err(|error| store_error(&error))
    }

    fn parked(&mut self, subscription: &str, partition: u32, key: &str, limit: usize) -> Result<Vec<ParkedRow>, StoreError> {
        parked::parked_of(&self.conn, subscription, partition, key, limit).map_err(|error| store_error(&error))
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        let write_lock = self.checkpointer.write_lock();
        let done = commit::run(&self.conn, &self.layouts, &mut self.unlisted_ids, commit);
        drop(write_lock);
        match done {
            // It has overwritten the one in doubt.
            Ok(()) => self.in_doubt = false,
            Err(CommitError::Unknown(_)) => self.in_doubt = true,
            Err(_) => {}
        }
        self.checkpointer.notify();
        done
    }

    fn last_commit(&mut self) -> Result<u64, StoreError> {
        if self.in_doubt {
            // If the disk has no room for another commit, the one in doubt can still be truncated.
            let settled =
                commit::append_noop(&self.conn).or_else(|_| checkpoint::truncate_tail(&self.conn, self.checkpointer.path()));
            settled.map_err(|error| StoreError::Unavailable(error.to_string()))?;
            self.in_doubt = false;
        }
        store_meta::last(&self.conn).map(|last| last.commit).map_err(|error| store_error(&error))
    }

    fn prune(&mut self, before_ms: i64, upto_seq: u64, now_ms: i64, limit: usize) -> Result<u64, StoreError> {
        let gone = self.pruned(before_ms, upto_seq, now_ms, limit).map_err(|error| store_error(&error))?;
        self.checkpointer.notify();
        Ok(gone)
    }

    fn exclusive(&self) -> bool {
        true
    }
}
