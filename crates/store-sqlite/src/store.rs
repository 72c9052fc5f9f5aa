//! The writing side: one connection, used by the core alone.

use std::collections::HashMap;
use std::sync::Arc;

use ports::{
    AnswerRow, Commit, CommitError, ConsumerOffset, EffectRow, ParkedRow, Partition, Record, Recovered, RowRef, Store,
    StoreError, StoredRow, TableId, TimerRow,
};
use rusqlite::{Connection, OptionalExtension, Result, params};

use crate::checkpoint::{self, Checkpointer};
use crate::error::unread;
use crate::rows::Unlisted;
use crate::shape::{Shape, stored};
use crate::value::{Nat, limit};
use crate::work::list;
use crate::{commit, record, work};

/// A system's embedded store. It relies on a [`crate::DataDir`] to be the only one that writes its file.
#[derive(Debug)]
pub struct SqliteStore {
    pub(crate) conn: Connection,
    shapes: Arc<[Shape]>,
    unlisted: Unlisted,
    /// A commit has ended so that nobody knows whether it will be found after a crash.
    pub(crate) in_doubt: bool,
    checkpointer: Checkpointer,
}

impl SqliteStore {
    pub(crate) fn new(conn: Connection, shapes: Arc<[Shape]>, checkpointer: Checkpointer) -> Self {
        Self { conn, shapes, unlisted: Unlisted::default(), in_doubt: false, checkpointer }
    }

    fn recovered(&self) -> Result<Recovered> {
        let last = commit::last(&self.conn)?;
        let ids = list(&self.conn, "SELECT tbl, id FROM last_id", [], |row| Ok((row.get(0)?, row.get::<_, Nat>(1)?.0)))?;
        let ids: HashMap<String, u64> = ids.into_iter().collect();
        Ok(Recovered {
            last_commit: last.commit,
            last_seq: last.seq,
            last_effect: last.effect,
            last_ids: self.shapes.iter().map(|shape| ids.get(&shape.name).copied().unwrap_or_default()).collect(),
        })
    }

    /// Key by key with a statement that is ready, in one transaction: what a row costs otherwise is mostly the taking and
    /// giving back of the read lock, and without that many keys in one statement gain next to nothing.
    fn found(&self, wanted: &[RowRef]) -> Result<Vec<Option<StoredRow>>> {
        let work = self.conn.unchecked_transaction()?;
        let mut found = Vec::with_capacity(wanted.len());
        for same in wanted.chunk_by(|one, next| one.table == next.table) {
            let Some(shape) = same.first().and_then(|row| self.shapes.get(row.table.0)) else {
                found.extend(same.iter().map(|_| None));
                continue;
            };
            let mut statement = work.prepare_cached(&shape.by_key)?;
            for row in same {
                found.push(statement.query_row([&row.key], stored).optional()?);
            }
        }
        work.commit()?;
        Ok(found)
    }

    fn pruned(&mut self, before_ms: i64, upto_seq: u64, now_ms: i64, rows: usize) -> Result<u64> {
        let _turn = self.checkpointer.turn();
        let work = self.conn.transaction()?;
        // Only the oldest are looked at, or a log of young rows would be read whole each time.
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
        self.recovered().map_err(|error| unread(&error))
    }

    fn consumer_offset(&mut self, subscription: &str, partition: &Partition) -> Result<Option<ConsumerOffset>, StoreError> {
        work::consumer_offset(&self.conn, subscription, partition).map_err(|error| unread(&error))
    }

    fn parked_heads(&mut self, subscription: &str, partition: u32) -> Result<Vec<ParkedRow>, StoreError> {
        work::parked_heads(&self.conn, subscription, partition).map_err(|error| unread(&error))
    }

    fn load(&mut self, wanted: &[RowRef]) -> Result<Vec<Option<StoredRow>>, StoreError> {
        self.found(wanted).map_err(|error| unread(&error))
    }

    fn answer(&mut self, scope: &str, key: &str) -> Result<Option<AnswerRow>, StoreError> {
        work::answer(&self.conn, scope, key).map_err(|error| unread(&error))
    }

    fn log_after(&mut self, seq: u64, limit: usize) -> Result<Vec<Record>, StoreError> {
        record::after(&self.conn, seq, limit).map_err(|error| unread(&error))
    }

    fn timers_due(&mut self, until_ms: i64, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        work::timers_due(&self.conn, &self.shapes, until_ms, limit).map_err(|error| unread(&error))
    }

    fn timer_due(&mut self, table: TableId, key: &str, name: &str) -> Result<Option<i64>, StoreError> {
        work::timer_due(&self.conn, &self.shapes, table, key, name).map_err(|error| unread(&error))
    }

    fn next_timer(&mut self) -> Result<Option<i64>, StoreError> {
        let statement = self.conn.prepare_cached("SELECT min(due_ms) FROM timer");
        statement.and_then(|mut statement| statement.query_row([], |row| row.get(0))).map_err(|error| unread(&error))
    }

    fn effects_after(&mut self, number: u64, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        work::effects_after(&self.conn, &self.shapes, number, limit).map_err(|error| unread(&error))
    }

    fn parked(&mut self, subscription: &str, partition: u32, key: &str, limit: usize) -> Result<Vec<ParkedRow>, StoreError> {
        work::parked_of(&self.conn, subscription, partition, key, limit).map_err(|error| unread(&error))
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        let turn = self.checkpointer.turn();
        let done = commit::run(&self.conn, &self.shapes, &mut self.unlisted, commit);
        drop(turn);
        match done {
            // It stands where the doubtful one stood.
            Ok(()) => self.in_doubt = false,
            Err(CommitError::Unknown(_)) => self.in_doubt = true,
            Err(_) => {}
        }
        self.checkpointer.nudge();
        done
    }

    fn last_commit(&mut self) -> Result<u64, StoreError> {
        if self.in_doubt {
            // Where there is no room for another commit, what the doubt is about can still be cut off.
            let settled = commit::settle(&self.conn).or_else(|_| checkpoint::cut_off(&self.conn, self.checkpointer.path()));
            settled.map_err(|error| StoreError::Unavailable(error.to_string()))?;
            self.in_doubt = false;
        }
        commit::last(&self.conn).map(|last| last.commit).map_err(|error| unread(&error))
    }

    fn prune(&mut self, before_ms: i64, upto_seq: u64, now_ms: i64, limit: usize) -> Result<u64, StoreError> {
        let gone = self.pruned(before_ms, upto_seq, now_ms, limit).map_err(|error| unread(&error))?;
        self.checkpointer.nudge();
        Ok(gone)
    }

    fn exclusive(&self) -> bool {
        true
    }
}
