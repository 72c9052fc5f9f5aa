//! A commit: one transaction, all of it or nothing, and an answer that never claims more than is known.

use ports::{Commit, CommitError};
use rusqlite::{Connection, Error, Result, params};

use crate::error::{Fault, leaves_doubt};
use crate::rows::{self, Unlisted};
use crate::shape::Shape;
use crate::value::Nat;
use crate::{record, work};

/// The numbers that a store goes on from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Last {
    pub commit: u64,
    pub seq: u64,
    pub effect: u64,
}

/// Reads them.
pub(crate) fn last(conn: &Connection) -> Result<Last> {
    let mut statement = conn.prepare_cached("SELECT last_commit, last_seq, last_effect FROM machine")?;
    statement.query_row([], |row| {
        let number = |column| Ok::<_, Error>(row.get::<_, Nat>(column)?.0);
        Ok(Last { commit: number(0)?, seq: number(1)?, effect: number(2)? })
    })
}

/// Applies a commit. After an error nothing of it is there, or the error says that nobody knows.
pub(crate) fn run(conn: &Connection, shapes: &[Shape], unlisted: &mut Unlisted, commit: &Commit) -> Result<(), CommitError> {
    // Should a rollback ever have failed, it is tried again here.
    roll_back(conn).and_then(|()| step(conn, "BEGIN IMMEDIATE")).map_err(Fault::from)?;
    if let Err(fault) = apply(conn, shapes, unlisted, commit) {
        unlisted.forget();
        return Err(match roll_back(conn) {
            Ok(()) => fault.into(),
            // Nothing was committed, and as long as this transaction stands nothing will be.
            Err(error) => CommitError::Unavailable(error.to_string()),
        });
    }
    let Err(error) = step(conn, "COMMIT") else { return Ok(()) };
    unlisted.forget();
    if roll_back(conn).is_ok() && !leaves_doubt(&error) {
        return Err(Fault::from(error).into());
    }
    Err(CommitError::Unknown(error.to_string()))
}

/// Puts a commit of nothing over what a failed one may have left in the write-ahead log.
///
/// A commit whose last write or sync failed is gone for this process, but its frames may be in the log whole; were the
/// process to die now, the next start could take them for committed. Another commit at the same place ends that.
pub(crate) fn settle(conn: &Connection) -> Result<()> {
    roll_back(conn)?;
    step(conn, "BEGIN IMMEDIATE")?;
    // A row that stays as it is would not be written at all.
    let settled = step(conn, "UPDATE machine SET settled = settled + 1").and_then(|()| step(conn, "COMMIT"));
    if settled.is_err() {
        roll_back(conn)?;
    }
    settled
}

/// SQLite has rolled back by itself after some errors, and says so by standing outside a transaction.
fn roll_back(conn: &Connection) -> Result<()> {
    if conn.is_autocommit() { Ok(()) } else { step(conn, "ROLLBACK") }
}

fn step(conn: &Connection, sql: &str) -> Result<()> {
    conn.prepare_cached(sql)?.execute([]).map(|_| ())
}

fn apply(conn: &Connection, shapes: &[Shape], unlisted: &mut Unlisted, commit: &Commit) -> Result<(), Fault> {
    advance(conn, commit)?;
    for table in &commit.clear {
        rows::clear(conn, shapes, *table)?;
        unlisted.forget();
    }
    for write in &commit.rows {
        rows::write(conn, shapes, unlisted, write)?;
    }
    for delta in &commit.counters {
        rows::count(conn, shapes, delta)?;
    }
    for (table, id) in &commit.last_ids {
        let sql = "INSERT OR REPLACE INTO last_id (tbl, id) VALUES (?1, ?2)";
        conn.prepare_cached(sql)?.execute(params![work::name_of(shapes, *table)?, Nat(*id)])?;
    }
    for record in &commit.log {
        record::append(conn, record)?;
    }
    for place in &commit.positions {
        work::write_place(conn, place)?;
    }
    for timer in &commit.timers {
        work::write_timer(conn, shapes, timer)?;
    }
    work::write_effects(conn, shapes, &commit.effects_done, &commit.withdrawn, &commit.effects)?;
    for parked in &commit.parked {
        work::write_parked(conn, parked)?;
    }
    for answer in &commit.answers {
        work::write_answer(conn, answer)?;
    }
    if let Some((one, other)) = commit.swap {
        rows::swap(conn, shapes, one, other)?;
        unlisted.forget();
    }
    Ok(())
}

/// Checks that the commit is the next one and moves the store's numbers.
fn advance(conn: &Connection, commit: &Commit) -> Result<(), Fault> {
    let mut last = last(conn)?;
    if commit.number != last.commit + 1 {
        return Err(Fault::Refused(format!("commit {} cannot follow commit {}", commit.number, last.commit)));
    }
    for record in &commit.log {
        if record.seq != last.seq + 1 {
            return Err(Fault::Refused(format!("record {} cannot be at position {}", record.seq, last.seq + 1)));
        }
        last.seq = record.seq;
    }
    for effect in &commit.effects {
        if effect.number <= last.effect {
            return Err(Fault::Refused(format!("effect {} cannot follow effect {}", effect.number, last.effect)));
        }
        last.effect = effect.number;
    }
    let sql = "UPDATE machine SET last_commit = ?1, last_seq = ?2, last_effect = ?3";
    conn.prepare_cached(sql)?.execute([Nat(commit.number), Nat(last.seq), Nat(last.effect)])?;
    Ok(())
}
