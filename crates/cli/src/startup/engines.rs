//! The engines of a process, with what runs beside them.

use std::sync::Arc;
use std::time::Duration;

use driver::{Engine, RelayThread};
use tokio::task::{JoinSet, spawn_blocking};

use crate::failed::Failed;

/// Engines that were started, and the threads that carry their events to and from a broker.
#[derive(Default)]
pub struct Engines {
    /// One a system, or one a service where services run apart.
    pub running: Vec<Arc<Engine>>,
    /// Publishers of their outboxes, by the name of the engine; none where events stay in the process.
    pub relays: Vec<(String, RelayThread)>,
    /// Leaves the consumer groups, so that others take the partitions over at once.
    pub leave_groups: Vec<Box<dyn FnOnce() + Send>>,
}

impl Engines {
    /// Begins to consume events, where that was not begun at the start.
    pub fn consume(&self) -> Result<(), Failed> {
        self.running.iter().try_for_each(|engine| engine.join_broker().map_err(|error| Failed::unavailable(error.to_string())))
    }

    /// Leaves the groups, finishes the commands that were accepted, closes the stores, then publishes what is left. What is
    /// not finished within `grace` is finished after the next start, or by another process.
    pub async fn stop(mut self, grace: Duration) {
        let leaving = std::mem::take(&mut self.leave_groups);
        if spawn_blocking(move || leaving.into_iter().for_each(|leave| leave())).await.is_err() {
            tracing::warn!("leaving a consumer group failed; its partitions move when the session times out");
        }
        let mut stopping = JoinSet::new();
        for engine in self.running {
            stopping.spawn(async move { engine.stop().await });
        }
        if tokio::time::timeout(grace, stopping.join_all()).await.is_err() {
            tracing::warn!("an engine did not stop in time; what it has accepted is finished after the next start");
        }
        let mut relays = self.relays;
        let relays = spawn_blocking(move || relays.iter_mut().for_each(|(_, relay)| relay.stop()));
        if tokio::time::timeout(grace, relays).await.is_err() {
            tracing::warn!(
                "a relay did not stop in time; the rest of the outbox is published by another, or after the next start"
            );
        }
    }
}
