//! The driver: one writer thread a system, which owns the core and its store; everybody else talks to it through [`Engine`].

mod membership;

mod relaying;
mod system;
mod topics;
mod writer;

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use kernel::Timestamp;
use tokio::sync::{oneshot, watch};

use pabal_core::{CommandError, CommandOutcome, CommandRequest, Input, Status};
use ports::model::Model;
use ports::{Clock, Ids, Partition, Reader};
pub use relaying::{RelayStatus, RelayWatch, Relaying};
pub use system::{SystemClock, Uuids};
pub use topics::Topics;
pub use writer::{EngineOptions, StartError};

/// What the writer thread is sent.
pub(crate) enum Message {
    /// A command, and where its answer goes.
    CommandRequest(Box<CommandRequest>, oneshot::Sender<Result<CommandOutcome, CommandError>>),
    /// Anything else for the core.
    Input(Box<Input>),
    /// Look again: something outside has changed.
    Wake,
    /// Partitions of a broker are this process's from now on: where each ends, and where a handover has put the group.
    Assigned { ends: Vec<(Partition, u64)>, handed: Vec<(Partition, u64)> },
    /// They are about to be another's; it is said when nothing is done with them any more.
    Revoked(Vec<Partition>, SyncSender<()>),
    /// Answer what was accepted, then end.
    Stop(oneshot::Sender<()>),
}

/// A running system.
pub struct Engine {
    pub(crate) name: String,
    pub(crate) model: Arc<Model>,
    pub(crate) reader: Arc<dyn Reader>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) inbox: SyncSender<Message>,
    pub(crate) committed: watch::Receiver<u64>,
    pub(crate) status: watch::Receiver<Status>,
    /// What is not followed yet.
    pub(crate) following: std::sync::Mutex<Option<writer::Following>>,
}

impl Engine {
    /// What it is called among others: its system, or its group where a service stands alone.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The declarations it runs.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// The reading side of its store.
    pub fn reader(&self) -> &Arc<dyn Reader> {
        &self.reader
    }

    /// A key for an aggregate whose client named none.
    pub fn fresh_key(&self) -> String {
        self.ids.fresh()
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Carries out a command: answered once it is committed. A full queue is [`CommandError::Overloaded`] at once.
    pub async fn submit(&self, order: CommandRequest) -> Result<CommandOutcome, CommandError> {
        let (sender, receiver) = oneshot::channel();
        self.send(Message::CommandRequest(Box::new(order), sender))?;
        receiver.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Gives the core something to do that has no answer: redrive, discard, rebuild, pause.
    pub fn tell(&self, input: Input) -> Result<(), CommandError> {
        self.send(Message::Input(Box::new(input)))
    }

    /// Answers what was accepted, closes the store and ends. Anything asked afterwards is unavailable.
    pub async fn stop(&self) {
        let (sender, receiver) = oneshot::channel();
        let mut message = Message::Stop(sender);
        loop {
            match self.inbox.try_send(message) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) => message = back,
                Err(TrySendError::Disconnected(_)) => return,
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let _ = receiver.await;
    }

    fn send(&self, message: Message) -> Result<(), CommandError> {
        self.inbox.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => CommandError::Overloaded,
            TrySendError::Disconnected(_) => stopping(),
        })
    }

    /// The last committed position of the log, as it moves: what live pages wait on.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.clone()
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        let status = self.status.borrow().clone();
        match self.status.has_changed() {
            Ok(_) => status,
            Err(_) => Status { healthy: false, trouble: Some("the writer has ended".into()), ..status },
        }
    }
}

fn stopping() -> CommandError {
    CommandError::Unavailable("the service is stopping".into())
}
