//! Looks at the services' connections many times a second: whom PostgreSQL works for, and what it waits for meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::database::Database;
use crate::failed::{Failed, failed};
use crate::numbers::to_f64;

const EVERY: Duration = Duration::from_millis(40);

/// A reader of results.
pub struct Looks {
    stop: Arc<AtomicBool>,
    looking: JoinHandle<Result<Seen, Failed>>,
}

/// How often what was seen.
#[derive(Debug, Default)]
pub struct Seen {
    looks: u64,
    found: BTreeMap<(String, String), u64>,
}

impl Looks {
    /// Begins.
    pub async fn start(url: &str) -> Result<Self, Failed> {
        let (database, stop) = (Database::connect(url).await?, Arc::new(AtomicBool::new(false)));
        let theirs = stop.clone();
        let looking = tokio::spawn(async move {
            let mut seen = Seen::default();
            while !theirs.load(Ordering::Relaxed) {
                seen.record(database.doing().await?);
                tokio::time::sleep(EVERY).await;
            }
            Ok(seen)
        });
        Ok(Self { stop, looking })
    }

    /// What was seen.
    pub async fn stop(self) -> Result<Seen, Failed> {
        self.stop.store(true, Ordering::Relaxed);
        self.looking.await.map_err(failed)?
    }
}

impl Seen {
    fn record(&mut self, doing: Vec<(String, String)>) {
        self.looks += 1;
        for one in doing {
            *self.found.entry(one).or_default() += 1;
        }
    }

    /// Who, what, and in which part of all looks; readers, of which there are several, may come to more than one.
    pub fn parts(&self) -> Vec<(String, f64)> {
        let part = |((who, what), count): (&(String, String), &u64)| {
            let who = who.trim_start_matches("pabal ");
            (format!("{who}: {what}"), to_f64(*count) / to_f64(self.looks.max(1)))
        };
        self.found.iter().map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_of_all_looks() {
        let one = |what: &str| vec![("pabal rcs_message writer".to_owned(), what.to_owned())];
        let mut seen = Seen::default();
        for what in ["idle", "IO WALSync", "idle", "idle"] {
            seen.record(one(what));
        }
        let expected = [("rcs_message writer: IO WALSync", 0.25), ("rcs_message writer: idle", 0.75)];
        assert_eq!(seen.parts(), expected.map(|(what, part)| (what.to_owned(), part)));
    }
}
