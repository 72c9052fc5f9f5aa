//! A commit: one transaction in one round trip, all of it or nothing, and an answer that never claims more than is known.

use ports::{Commit, CommitError};

use crate::error::Failed;
use crate::pipeline::{Ending, Pipeline};
use crate::session::Link;
use crate::shape::Tables;
use crate::value::{Value, values, whole};
use crate::{counters, effects, record, rows, timers, work};

/// Who commits.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Me {
    /// The instance.
    pub number: i64,
    /// Which of its connections this is.
    pub session: i64,
}

impl Me {
    /// Its slot of each counter.
    pub fn slot(self) -> i16 {
        i16::try_from(self.number.unsigned_abs() % counters::SLOTS).unwrap_or_default()
    }
}

/// What stopped a commit.
pub(crate) enum Stopped {
    /// It is to be told to the core.
    Told(CommitError),
    /// Something that must be unique is there already.
    Taken(CommitError),
}

/// Writes a commit down as statements, in the order in which everybody locks: rows by table and key before anything that
/// stands beside them, what many commits share as late as can be, and the log behind the rows that it is about.
pub(crate) fn written<'a>(tables: Tables<'a>, me: Me, lease_ms: i64, commit: &'a Commit) -> Result<Pipeline<'a>, Failed> {
    let mut work = Pipeline::default();
    work.add("SELECT begin_commit($1, $2, $3, $4)", values![me.number, me.session, whole(commit.number)?, lease_ms]);
    rows::take_whole(&mut work, tables, commit)?;
    rows::write(&mut work, tables, &commit.rows)?;
    timers::write(&mut work, tables, &commit.timers)?;
    effects::write(&mut work, tables, me.number, commit)?;
    work::write_parked(&mut work, &commit.parked)?;
    work::write_places(&mut work, &commit.positions)?;
    work::write_answers(&mut work, &commit.answers);
    counters::write(&mut work, me.slot(), counters::changes(tables, &commit.counters)?);
    record::append(&mut work, &commit.log);
    last_ids(&mut work, tables, commit)?;
    if let Some(pair) = commit.swap {
        rows::swap(&mut work, tables, pair)?;
    }
    Ok(work)
}

/// Ids that clients have given. Those that were given by [`crate::store`] stand below already, and then nothing is locked.
fn last_ids<'a>(work: &mut Pipeline<'a>, tables: Tables<'a>, commit: &Commit) -> Result<(), Failed> {
    let mut ids =
        commit.last_ids.iter().map(|(table, id)| Ok((tables.name(*table)?, whole(*id)?))).collect::<Result<Vec<_>, Failed>>()?;
    ids.sort_unstable();
    for (name, id) in ids {
        let of: Vec<Value<'a>> = values![name, id];
        work.add("UPDATE last_id SET id = $2 WHERE tbl = $1 AND id < $2", of);
    }
    Ok(())
}

/// Applies it.
pub(crate) async fn run(link: &mut Link, work: &Pipeline<'_>) -> Result<(), Stopped> {
    match work.run(link, "").await {
        Ending::Committed(_) => Ok(()),
        Ending::RolledBack(failed) if failed.is_taken() => Err(Stopped::Taken(failed.uncommitted())),
        Ending::RolledBack(failed) => Err(Stopped::Told(failed.uncommitted())),
        Ending::Unknown(failed) => Err(Stopped::Told(CommitError::Unknown(failed.to_string()))),
    }
}
