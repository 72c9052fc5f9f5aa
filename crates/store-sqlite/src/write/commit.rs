//! A commit: one transaction, all or nothing. Its result never claims more than is known.

use ports::{Commit, CommitError};
use rusqlite::{Connection, Result, params};

use crate::error::{WriteError, leaves_outcome_unknown};
use crate::layout::{TableLayout, table_name};
use crate::records::{answers, effects, log, offsets, parked, store_meta, timers};
use crate::value::U64;
use crate::write::rows::{self, UnlistedIds};

/// Applies a commit. After an error nothing of it was applied, unless the error is [`CommitError::Unknown`].
pub(crate) fn run(
    conn: &Connection,
    layouts: &[TableLayout],
    unlisted_ids: &mut UnlistedIds,
    commit: &Commit,
) -> Result<(), CommitError> {
    // A rollback that failed earlier is retried here.
    roll_back(conn).and_then(|()| step(conn, "BEGIN IMMEDIATE")).map_err(WriteError::from)?;
    if let Err(fault) = apply(conn, layouts, unlisted_ids, commit) {
        unlisted_ids.reset();
        return Err(match roll_back(conn) {
            Ok(()) => fault.into(),
            // Not committed, and nothing will be while this transaction is open.
            Err(error) => CommitError::Unavailable(error.to_string()),
        });
    }
    let Err(error) = step(conn, "COMMIT") else { return Ok(()) };
    unlisted_ids.reset();
    if roll_back(conn).is_ok() && !leaves_outcome_unknown(&error) {
        return Err(WriteError::from(error).into());
    }
    Err(CommitError::Unknown(error.to_string()))
}

/// Appends an empty commit over what a failed one may have left in the write-ahead log.
///
/// A commit whose last write or sync failed does not exist for this process, but its frames may be complete in the log: if the
/// process died now, recovery could accept them. Another commit at the same offset overwrites them.
pub(crate) fn append_noop(conn: &Connection) -> Result<()> {
    roll_back(conn)?;
    step(conn, "BEGIN IMMEDIATE")?;
    // An UPDATE without a change would write nothing.
    let settled = step(conn, "UPDATE store_meta SET noop_commits = noop_commits + 1").and_then(|()| step(conn, "COMMIT"));
    if settled.is_err() {
        roll_back(conn)?;
    }
    settled
}

/// SQLite rolls back by itself after some errors; it is in autocommit mode then.
fn roll_back(conn: &Connection) -> Result<()> {
    if conn.is_autocommit() { Ok(()) } else { step(conn, "ROLLBACK") }
}

fn step(conn: &Connection, sql: &str) -> Result<()> {
    conn.prepare_cached(sql)?.execute([]).map(|_| ())
}

fn apply(conn: &Connection, layouts: &[TableLayout], unlisted_ids: &mut UnlistedIds, commit: &Commit) -> Result<(), WriteError> {
    advance(conn, commit)?;
    for table in &commit.clear {
        rows::clear(conn, layouts, *table)?;
        unlisted_ids.reset();
    }
    for write in &commit.rows {
        rows::write(conn, layouts, unlisted_ids, write)?;
    }
    for delta in &commit.counters {
        rows::count(conn, layouts, delta)?;
    }
    for (table, id) in &commit.last_ids {
        let sql = "INSERT OR REPLACE INTO last_id (table_name, id) VALUES (?1, ?2)";
        conn.prepare_cached(sql)?.execute(params![table_name(layouts, *table)?, U64(*id)])?;
    }
    for record in &commit.log {
        log::append(conn, record)?;
    }
    for update in &commit.positions {
        offsets::write_update(conn, update)?;
    }
    for timer in &commit.timers {
        timers::write_timer(conn, layouts, timer)?;
    }
    effects::write_effects(conn, layouts, &commit.effects_done, &commit.withdrawn, &commit.effects)?;
    for parked in &commit.parked {
        parked::write_parked(conn, parked)?;
    }
    for answer in &commit.answers {
        answers::write_answer(conn, answer)?;
    }
    if let Some((one, other)) = commit.swap {
        rows::swap(conn, layouts, one, other)?;
        unlisted_ids.reset();
    }
    Ok(())
}

/// Checks that the commit is the next one, and advances the last numbers.
fn advance(conn: &Connection, commit: &Commit) -> Result<(), WriteError> {
    let mut last = store_meta::last(conn)?;
    if commit.number != last.commit + 1 {
        return Err(WriteError::Rejected(format!("commit {} cannot follow commit {}", commit.number, last.commit)));
    }
    for record in &commit.log {
        if record.seq != last.seq + 1 {
            return Err(WriteError::Rejected(format!("record {} cannot be at position {}", record.seq, last.seq + 1)));
        }
        last.seq = record.seq;
    }
    for effect in &commit.effects {
        if effect.number <= last.effect {
            return Err(WriteError::Rejected(format!("effect {} cannot follow effect {}", effect.number, last.effect)));
        }
        last.effect = effect.number;
    }
    let sql = "UPDATE store_meta SET last_commit = ?1, last_seq = ?2, last_effect = ?3";
    conn.prepare_cached(sql)?.execute([U64(commit.number), U64(last.seq), U64(last.effect)])?;
    Ok(())
}
