//! What Pabal says about itself: how many messages are final, who is paused, how many there are.

use std::time::{Duration, Instant};

use crate::failed::{Failed, failed};
use crate::load::connection::Connection;
use crate::servers::Target;

/// Everything behind the acceptance.
const BEHIND: [&str; 3] = ["validator", "device", "dashboard"];
/// A backlog that has not gone by then never will.
const PATIENCE: Duration = Duration::from_mins(10);
/// The shortest pause between two questions, and the longest.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

/// Connections to ask it over.
pub struct Saga {
    admin: Connection,
    view: Connection,
}

impl Saga {
    /// Connects.
    pub async fn of(target: &Target) -> Result<Self, Failed> {
        Ok(Self { admin: Connection::open(target.admin).await?, view: Connection::open(target.view).await? })
    }

    /// Messages that have been delivered and are shown so.
    pub async fn finished(&mut self) -> Result<u64, Failed> {
        self.total("/myMessages?result=send%20succeed&size=1").await
    }

    /// Messages in the view.
    pub async fn shown(&mut self) -> Result<u64, Failed> {
        self.total("/myMessages?size=1").await
    }

    async fn total(&mut self, path: &str) -> Result<u64, Failed> {
        let answer = self.view.get(path).await?;
        let total = answer.number("totalElements");
        total.ok_or_else(|| failed(format!("{path} was answered with {} and no total", answer.status)))
    }

    /// Holds everything behind the acceptance back, or lets it go on.
    pub async fn hold(&mut self, paused: bool) -> Result<(), Failed> {
        let action = if paused { "pause" } else { "resume" };
        for service in BEHIND {
            let path = format!("/admin/services/{service}/{action}");
            let status = self.admin.post(&path).await?.status;
            if status != 202 {
                return Err(failed(format!("{path} was answered with {status}")));
            }
        }
        if paused {
            // It is told, not asked: the writer does it with its next turn.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Waits until so many are final; how long that took, and how many are missing.
    pub async fn drained(&mut self, wanted: u64) -> Result<(Duration, u64), Failed> {
        let (started, mut last, mut moved) = (Instant::now(), 0, Instant::now());
        loop {
            let finished = self.finished().await?;
            if finished >= wanted {
                return Ok((started.elapsed(), 0));
            }
            if finished > last {
                (last, moved) = (finished, Instant::now());
            }
            // Nothing has moved for long, or it moves for ever.
            if moved.elapsed() > PATIENCE / 20 || started.elapsed() > PATIENCE {
                return Ok((started.elapsed(), wanted - finished));
            }
            // Right to a hundredth: what takes long is not asked about two hundred times a second.
            tokio::time::sleep((started.elapsed() / 100).clamp(ASK_AGAIN.0, ASK_AGAIN.1)).await;
        }
    }
}
