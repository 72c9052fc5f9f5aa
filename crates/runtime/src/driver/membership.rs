//! The engine as a member of a broker's group: what it is given and what is taken away goes through the writer thread.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use super::Message;
use crate::ports::{Member, Partition};

/// The writer's inbox, as a member of a group.
pub(super) struct Seat(pub SyncSender<Message>);

/// A writer that does not let go within this time is stuck in its store; the store's fence holds then.
const PATIENCE: Duration = Duration::from_secs(10);

impl Seat {
    /// A full inbox is waited for: what a group decides must not be lost. False once the writer has ended.
    fn give(&self, mut message: Message) -> bool {
        loop {
            match self.0.try_send(message) {
                Ok(()) => return true,
                Err(TrySendError::Full(back)) => message = back,
                Err(TrySendError::Disconnected(_)) => return false,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Member for Seat {
    fn assigned(&self, partitions: Vec<Partition>) {
        self.give(Message::Assigned(partitions));
    }

    fn revoked(&self, partitions: Vec<Partition>) {
        let (done, let_go) = sync_channel(1);
        if self.give(Message::Revoked(partitions, done)) && let_go.recv_timeout(PATIENCE).is_err() {
            tracing::warn!("the writer has not let go of its partitions in time");
        }
    }
}
