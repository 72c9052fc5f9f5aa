//! Looks on while a load runs: backlog and memory, a few times a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::failed::{Failed, failed};
use crate::machine::memory::Memory;
use crate::servers::Target;
use crate::servers::saga::Saga;

const EVERY: Duration = Duration::from_millis(200);

/// What was seen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Final messages when it began.
    pub before: u64,
    /// Final messages when it ended.
    pub after: u64,
    /// Accepted and not final, at most.
    pub most_behind: u64,
    /// Accepted and not final, at the end.
    pub behind: u64,
    /// Memory at most.
    pub memory: Memory,
}

/// A watcher of results.
pub struct Watch {
    stop: Arc<AtomicBool>,
    looking: JoinHandle<Result<Seen, Failed>>,
}

impl Watch {
    /// Begins; `accepted` counts what the load has got through.
    pub async fn start(target: &Target, accepted: Arc<AtomicU64>) -> Result<Self, Failed> {
        let stop = Arc::new(AtomicBool::new(false));
        let (saga, theirs) = (Saga::of(target).await?, stop.clone());
        Ok(Self { stop, looking: tokio::spawn(look(saga, target.clone(), accepted, theirs)) })
    }

    /// Looks a last time.
    pub async fn stop(self) -> Result<Seen, Failed> {
        self.stop.store(true, Ordering::Relaxed);
        self.looking.await.map_err(failed)?
    }
}

async fn look(mut saga: Saga, target: Target, accepted: Arc<AtomicU64>, stop: Arc<AtomicBool>) -> Result<Seen, Failed> {
    let before = saga.finished().await?;
    let mut seen = Seen { before, ..Seen::default() };
    loop {
        let last = stop.load(Ordering::Relaxed);
        // What is accepted while we ask counts as behind only with the next look.
        let so_far = accepted.load(Ordering::Relaxed);
        seen.after = saga.finished().await?;
        seen.behind = so_far.saturating_sub(seen.after - before.min(seen.after));
        seen.most_behind = seen.most_behind.max(seen.behind);
        seen.memory = seen.memory.max(target.memory()?);
        if last {
            return Ok(seen);
        }
        tokio::time::sleep(EVERY).await;
    }
}
