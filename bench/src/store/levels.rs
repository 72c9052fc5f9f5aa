//! Data directories with so many messages in them.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ports::Model;
use store_sqlite::{DataDir, SqliteStore};

use crate::args::Run;
use crate::failed::{Failed, failed};
use crate::load::requests;
use crate::machine::{self, free_bytes};
use crate::numbers::to_f64;
use crate::report::results::Results;
use crate::store::preload::Feeder;

/// Messages at once while a directory is filled: about as many as the core takes into one batch by default. With thousands
/// it is slower, since what a batch will need is looked through again for each item that needs more.
const BATCH: usize = 256;
/// Messages that are fed in the order of their keys: with five million in any order at all, filling takes half an hour. The
/// later ones come in between, so that the pages of indexes end as they do in use: split, and partly empty.
const SORTED_RUN: usize = 500_000;
/// Says that a directory is filled, and by whom.
const DONE: &str = "filled";

/// So many messages stored.
pub struct Level {
    /// How many.
    pub stored: u64,
    filled: Option<PathBuf>,
}

/// Makes them all.
pub fn prepare(args: &Run, results: &mut Results) -> Result<Vec<Level>, Failed> {
    std::fs::create_dir_all(&args.work)?;
    let mut levels = Vec::new();
    for stored in args.stored.iter().copied() {
        let filled = (stored > 0).then(|| args.work.join(format!("stored-{stored}")));
        if let Some(dir) = &filled {
            fill(args, stored, dir, results)?;
            results.record(0, stored, "disk.bytes_per_message", to_f64(bytes(dir)?) / to_f64(stored));
        }
        levels.push(Level { stored, filled });
    }
    Ok(levels)
}

impl Level {
    /// Nothing stored.
    pub fn empty() -> Self {
        Self { stored: 0, filled: None }
    }

    /// A directory to measure on. What is filled is copied where there is room for that, so that every round finds the
    /// same; else the rounds go on with what the ones before have left.
    pub fn directory(&self, args: &Run) -> Result<PathBuf, Failed> {
        let dir = args.work.join("run");
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        let Some(filled) = &self.filled else {
            std::fs::create_dir_all(&dir)?;
            return Ok(dir);
        };
        if bytes(filled)?.saturating_mul(3) > free_bytes(filled) {
            // It will not be as it was filled.
            let _ = std::fs::remove_file(filled.with_extension(DONE));
            eprintln!("  no room for a copy: the data directory itself is measured on, and grows");
            return Ok(filled.clone());
        }
        std::fs::create_dir_all(&dir)?;
        for entry in std::fs::read_dir(filled)? {
            let entry = entry?;
            let copy = dir.join(entry.file_name());
            std::fs::copy(entry.path(), &copy)?;
            // Or it would be written out while something is measured.
            std::fs::File::options().write(true).open(&copy)?.sync_all()?;
        }
        Ok(dir)
    }
}

/// Fills a directory, unless it is.
fn fill(args: &Run, stored: u64, dir: &Path, results: &mut Results) -> Result<(), Failed> {
    let (marker, made_by) = (dir.with_extension(DONE), format!("{} {:?}", machine::commit(), args.keys));
    if let Ok(found) = std::fs::read_to_string(&marker)
        && (found == made_by || args.reuse)
    {
        return Ok(());
    }
    for old in [dir, &marker].into_iter().filter(|old| old.exists()) {
        if old.is_dir() { std::fs::remove_dir_all(old)? } else { std::fs::remove_file(old)? }
    }
    eprintln!("filling {} with {stored} messages", dir.display());
    let started = Instant::now();
    let model = Model::new(rcs::system()).map_err(failed)?;
    let lock = DataDir::lock(dir).map_err(failed)?;
    let (store, _reader) = SqliteStore::open(lock.file_of(model.system.name), &model).map_err(failed)?;
    let mut feeder = Feeder::new(Box::new(store), &model, args.keys, BATCH)?;
    feeder.seed()?;
    for first in (0..stored).step_by(SORTED_RUN) {
        let upto = stored.min(first + SORTED_RUN as u64);
        for numbers in requests::sorted(args.keys, first..upto).chunks(BATCH) {
            feeder.send(numbers)?;
        }
        eprintln!("  {upto} after {:.0} s", started.elapsed().as_secs_f64());
    }
    feeder.settle()?;
    drop(feeder);
    results.record(0, stored, "preload.per_s", to_f64(stored) / started.elapsed().as_secs_f64());
    std::fs::write(marker, made_by)?;
    Ok(())
}

/// Bytes that a directory takes on disk.
pub fn bytes(dir: &Path) -> Result<u64, Failed> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir)? {
        sum += entry?.metadata()?.blocks() * 512;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_directory_is_filled_once_and_each_round_gets_a_copy() {
        let work = tempfile::tempdir().unwrap();
        let mut args = crate::args::Cli::parse_from(["bench", "--stored", "100"]).run;
        args.work = work.path().to_owned();
        let mut results = Results::new(&args);
        let levels = prepare(&args, &mut results).unwrap();
        let dir = levels[0].directory(&args).unwrap();
        assert!(bytes(&dir).unwrap() > 0 && dir.ends_with("run"));
        prepare(&args, &mut results).unwrap();
        assert_eq!(results.samples.iter().filter(|sample| sample.name == "preload.per_s").count(), 1);
    }
}
