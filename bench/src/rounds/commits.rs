//! (d): commits without HTTP and without decisions. What the core hands to a store is recorded once and written again.

use std::path::Path;
use std::time::{Duration, Instant};

use ports::{Commit, Model, Store};
use store_sqlite::SqliteStore;

use crate::args::Run;
use crate::failed::{Failed, failed};
use crate::numbers::to_f64;
use crate::report::results::Results;
use crate::rounds::sqlite;
use crate::store::preload::Feeder;
use crate::store::recorder::Recorder;

/// Messages in one commit.
const BATCHES: [u64; 4] = [1, 16, 64, 256];
/// Messages that are recorded: enough for a second or two, and for memory not too many.
const MESSAGES: u64 = 40_000;
/// To see that it works.
const QUICK: u64 = 2_000;
/// One message in a commit costs a sync each.
const SINGLE: u64 = 10_000;

/// Measures it.
pub fn run(args: &Run, round: u32, results: &mut Results) -> Result<(), Failed> {
    let dir = args.work.join("raw");
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(&dir)?;
    let each = args.lasts() / 4;
    results.record(round, 0, "d.sync.per_s", sqlite::syncs(&dir, each)?);
    let mut lengths = None;
    for (what, held) in [("accept", true), ("saga", false)] {
        for batch in BATCHES {
            let most = if args.quick { QUICK } else { MESSAGES };
            let commits = record(args, batch, held, most)?;
            lengths = lengths.or_else(|| lengths_in(&commits));
            let (messages, took) = written(&dir.join(format!("{what}-{batch}.db")), &commits, each)?;
            results.record(round, 0, format!("d.{what}.{batch}.per_s"), to_f64(messages) / took.as_secs_f64());
        }
    }
    let lengths = lengths.ok_or_else(|| failed("a message writes nothing"))?;
    for batch in BATCHES {
        results.record(round, 0, format!("d.plain.{batch}.per_s"), sqlite::rows(&dir, batch, lengths, each)?);
    }
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

/// What the core writes when it takes so many messages at once: their acceptance alone, or the whole saga.
pub fn record(args: &Run, batch: u64, held: bool, most: u64) -> Result<Vec<Commit>, Failed> {
    let model = Model::new(rcs::system()).map_err(failed)?;
    let recorder = Recorder::new(&model);
    let at_once = usize::try_from(batch).map_err(failed)?;
    let mut feeder = Feeder::new(Box::new(recorder.clone()), &model, args.keys, at_once)?;
    feeder.seed()?;
    if held {
        feeder.hold()?;
    }
    let most = if batch == 1 { most.min(SINGLE) } else { most };
    for first in (0..=most.saturating_sub(batch)).step_by(at_once) {
        feeder.send(&(first..first + batch).collect::<Vec<_>>())?;
    }
    Ok(recorder.take())
}

/// Length of a message's first state, and of its first event.
pub fn lengths_in(commits: &[Commit]) -> Option<(usize, usize)> {
    let last = commits.last()?;
    Some((last.rows.first()?.data.as_ref()?.len(), last.log.first()?.data.len()))
}

/// Writes the recorded commits until they end or time is up: messages written, and how long it took.
fn written(path: &Path, commits: &[Commit], lasts: Duration) -> Result<(u64, Duration), Failed> {
    let model = Model::new(rcs::system()).map_err(failed)?;
    let table = model.find("message", "message").ok_or_else(|| failed("there are no messages"))?.id;
    let (mut store, _reader) = SqliteStore::open(path, &model).map_err(failed)?;
    let (started, mut messages) = (Instant::now(), 0);
    for commit in commits {
        store.commit(commit).map_err(failed)?;
        messages += commit.rows.iter().filter(|row| row.table == table && row.old_version == 0).count() as u64;
        if started.elapsed() >= lasts {
            break;
        }
    }
    Ok((messages, started.elapsed()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_commit_has_as_many_messages_as_were_sent_at_once() {
        let args = crate::args::Cli::parse_from(["bench", "--quick"]).run.settled();
        for held in [true, false] {
            let commits = record(&args, 16, held, 160).unwrap();
            let published = |commit: &Commit| commit.log.iter().filter(|event| event.event_type == "SendSuccess").count();
            assert!(commits.iter().rev().take(5).all(|commit| published(commit) == 16));
            assert_eq!(commits.last().unwrap().effects.len(), if held { 0 } else { 16 });
        }
    }
}
