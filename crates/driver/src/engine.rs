//! The handle of a running system: every other thread and task reaches its writer thread through it.

use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kernel::Timestamp;
use pabal_core::{CommandError, CommandOutcome, CommandRequest, Input, Status};
use ports::model::Model;
use ports::{Broker, BrokerError, Clock, Ids, Reader};
use tokio::sync::{oneshot, watch};

use crate::group_membership::GroupMembership;
use crate::message::{Message, stopping};

/// How often a full inbox is tried again while stopping.
const INBOX_RETRY_INTERVAL: Duration = Duration::from_millis(5);

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
    /// Taken when the broker is joined.
    pub(crate) pending_join: Mutex<Option<PendingJoin>>,
}

/// The topics to be consumed from a broker, and under which group.
pub(crate) struct PendingJoin {
    pub broker: Arc<dyn Broker>,
    pub group: Option<String>,
    pub topics: Vec<String>,
}

impl Engine {
    /// Its name: the system's, or the consumer group's where a service runs alone.
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

    /// A key for an aggregate where the client gives none.
    pub fn fresh_key(&self) -> String {
        self.ids.fresh()
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Executes a command; returns once it is committed. A full queue is [`CommandError::Overloaded`] at once.
    pub async fn submit(&self, request: CommandRequest) -> Result<CommandOutcome, CommandError> {
        let (sender, receiver) = oneshot::channel();
        self.send(Message::Command(Box::new(request), sender))?;
        receiver.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Sends the core an input that has no reply: redrive, discard, rebuild, pause.
    pub fn tell(&self, input: Input) -> Result<(), CommandError> {
        self.send(Message::Input(Box::new(input)))
    }

    /// Starts consuming from the broker, if there is one; has no effect the second time.
    pub fn join_broker(&self) -> Result<(), BrokerError> {
        let pending = self.pending_join.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(PendingJoin { broker, group, topics }) = pending else { return Ok(()) };
        let membership = GroupMembership::new(self.inbox.clone(), &broker, group);
        broker.join(&self.name, &topics, Box::new(membership))
    }

    /// Answers what was accepted, closes the store and ends. Commands submitted afterwards are unavailable.
    pub async fn stop(&self) {
        let (sender, receiver) = oneshot::channel();
        let mut message = Message::Stop(sender);
        loop {
            match self.inbox.try_send(message) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) => message = back,
                Err(TrySendError::Disconnected(_)) => return,
            }
            tokio::time::sleep(INBOX_RETRY_INTERVAL).await;
        }
        let _ = receiver.await;
    }

    fn send(&self, message: Message) -> Result<(), CommandError> {
        self.inbox.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => CommandError::Overloaded,
            TrySendError::Disconnected(_) => stopping(),
        })
    }

    /// The last committed sequence number of the log, as it grows: live pages wait on it.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.clone()
    }

    /// Its state as last published by the writer.
    pub fn status(&self) -> Status {
        let status = self.status.borrow().clone();
        match self.status.has_changed() {
            Ok(_) => status,
            Err(_) => Status { healthy: false, cause: Some("the writer has ended".into()), ..status },
        }
    }
}
