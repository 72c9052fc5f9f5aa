//! What the writer thread is sent through its inbox.

use std::sync::mpsc::SyncSender;

use pabal_core::{CommandError, CommandOutcome, CommandRequest, Input};
use ports::Partition;
use tokio::sync::oneshot;

/// Where the outcome of a command goes.
pub(crate) type ReplySender = oneshot::Sender<Result<CommandOutcome, CommandError>>;

/// A message in the writer's inbox.
pub(crate) enum Message {
    /// A command, and where its outcome goes.
    Command(Box<CommandRequest>, ReplySender),
    /// Any other input of the core.
    Input(Box<Input>),
    /// Run a turn now: a topic may have more.
    Wake,
    /// Partitions were assigned to this process: the end of each, and the positions that a handover committed for the group.
    Assigned { ends: Vec<(Partition, u64)>, handed: Vec<(Partition, u64)> },
    /// Partitions are being revoked; confirmed once nothing of them is in progress.
    Revoked(Vec<Partition>, SyncSender<()>),
    /// Answer what was accepted, then end.
    Stop(oneshot::Sender<()>),
}

/// The error of a command that arrives while the writer stops, or after it has ended.
pub(crate) fn stopping() -> CommandError {
    CommandError::Unavailable("the service is stopping".into())
}
