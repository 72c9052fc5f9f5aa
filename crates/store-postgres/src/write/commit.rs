//! A commit: one transaction in one round trip, all or nothing. Its result never claims more than is known.

use ports::{Commit, CommitError};

use crate::connection::pipeline::{Ending, Pipeline};
use crate::connection::session::Connection;
use crate::error::DatabaseError;
use crate::layout::Layouts;
use crate::records::counters;
use crate::records::effects;
use crate::records::log;
use crate::records::timers;
use crate::records::{answers, offsets, parked};
use crate::value::{Value, to_i64, values};
use crate::write::rows;

/// The instance and connection that commit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct InstanceSession {
    /// The instance.
    pub number: i64,
    /// Which of its connections this is.
    pub session: i64,
}

impl InstanceSession {
    /// The counter slot of the instance.
    pub fn slot(self) -> i16 {
        i16::try_from(self.number.unsigned_abs() % counters::SLOTS).unwrap_or_default()
    }
}

/// Why an attempt to commit failed.
pub(crate) enum AttemptError {
    /// The result for the core.
    Final(CommitError),
    /// A unique constraint is violated; it may hide a version conflict.
    UniqueViolation(CommitError),
}

/// The statements of a commit, in the common locking order: rows by table and key before the records beside them, rows shared
/// by many commits as late as possible, and the log after the rows that its records are about.
pub(crate) fn written<'a>(
    tables: Layouts<'a>,
    instance: InstanceSession,
    lease_ms: i64,
    commit: &'a Commit,
) -> Result<Pipeline<'a>, DatabaseError> {
    let mut work = Pipeline::default();
    work.add("SELECT begin_commit($1, $2, $3, $4)", values![instance.number, instance.session, to_i64(commit.number)?, lease_ms]);
    rows::lock_tables(&mut work, tables, commit)?;
    rows::write(&mut work, tables, &commit.rows)?;
    timers::write(&mut work, tables, &commit.timers)?;
    effects::write(&mut work, tables, instance.number, commit)?;
    parked::write_parked(&mut work, &commit.parked)?;
    offsets::write_updates(&mut work, &commit.positions)?;
    answers::write_answers(&mut work, &commit.answers);
    counters::write(&mut work, instance.slot(), counters::changes(tables, &commit.counters)?);
    log::append(&mut work, &commit.log);
    last_ids(&mut work, tables, commit)?;
    if let Some(pair) = commit.swap {
        rows::swap(&mut work, tables, pair)?;
    }
    Ok(work)
}

/// Ids chosen by clients. Ids from [`Store::ids`](ports::Store::ids) are at or below the stored one already, and then nothing
/// is locked.
fn last_ids<'a>(work: &mut Pipeline<'a>, tables: Layouts<'a>, commit: &Commit) -> Result<(), DatabaseError> {
    let mut ids = commit
        .last_ids
        .iter()
        .map(|(table, id)| Ok((tables.name(*table)?, to_i64(*id)?)))
        .collect::<Result<Vec<_>, DatabaseError>>()?;
    ids.sort_unstable();
    for (name, id) in ids {
        let of: Vec<Value<'a>> = values![name, id];
        work.add("UPDATE last_id SET id = $2 WHERE table_name = $1 AND id < $2", of);
    }
    Ok(())
}

/// Sends the statements.
pub(crate) async fn run(conn: &mut Connection, work: &Pipeline<'_>) -> Result<(), AttemptError> {
    match work.run(conn, "").await {
        Ending::Committed(_) => Ok(()),
        Ending::RolledBack(failed) if failed.is_unique_violation() => Err(AttemptError::UniqueViolation(failed.commit_error())),
        Ending::RolledBack(failed) => Err(AttemptError::Final(failed.commit_error())),
        Ending::Unknown(failed) => Err(AttemptError::Final(CommitError::Unknown(failed.to_string()))),
    }
}
