//! Calls of external systems: handlers that come with a service run in place, channels on the tokio runtime.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use kernel::Reaction;
use kernel::service::EffectHandlerDef;
use pabal_core::{EffectJob, Input};
use ports::Channel;
use tokio::runtime::Handle;

use crate::message::Message;

/// How often a full inbox is tried again.
const INBOX_RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// Carries out effects, and collects the results of those that ran in place.
pub(crate) struct Effects {
    handlers: HashMap<String, EffectHandlerDef>,
    channels: BTreeMap<String, Arc<dyn Channel>>,
    /// Where results of channels go.
    inbox: SyncSender<Message>,
    /// Without a runtime, handlers replace channels.
    runtime: Option<Handle>,
    /// Results of handlers: given to the core before its next turn.
    results: Vec<Input>,
}

impl Effects {
    pub fn new(
        handlers: HashMap<String, EffectHandlerDef>,
        channels: BTreeMap<String, Arc<dyn Channel>>,
        inbox: SyncSender<Message>,
        runtime: Option<Handle>,
    ) -> Self {
        Self { handlers, channels, inbox, runtime, results: Vec::new() }
    }

    /// The results that have come since the last call of this.
    pub fn take_results(&mut self) -> Vec<Input> {
        std::mem::take(&mut self.results)
    }

    /// Whether there are results to be taken.
    pub fn has_results(&self) -> bool {
        !self.results.is_empty()
    }

    /// Carries out an effect; its result comes with [`Self::take_results`] or through the inbox.
    pub fn call(&mut self, job: EffectJob) {
        if let (Some(channel), Some(runtime)) = (self.channels.get(&job.port), &self.runtime) {
            spawn(runtime, channel.clone(), self.inbox.clone(), job);
            return;
        }
        let reaction = self.handle(&job);
        self.results.push(Input::EffectResult { number: job.number, attempt: job.attempt, reaction });
    }

    fn handle(&self, job: &EffectJob) -> Reaction<Vec<u8>> {
        let Some(handler) = self.handlers.get(&job.port) else { return Reaction::Unreachable };
        let call = job.call();
        match catch_unwind(AssertUnwindSafe(|| handler.call(&job.payload, &call))) {
            Ok(Ok(reaction)) => reaction,
            Ok(Err(error)) => {
                tracing::error!(effect = job.id, %error, "the effect handler cannot decode its effect");
                Reaction::Unreachable
            }
            // A handler that panicked may have taken effect: the outcome is unknown.
            Err(_panic) => Reaction::TimedOut,
        }
    }
}

fn spawn(runtime: &Handle, channel: Arc<dyn Channel>, inbox: SyncSender<Message>, job: EffectJob) {
    let (number, attempt) = (job.number, job.attempt);
    let calling = runtime.spawn(async move {
        let call = job.call();
        channel.call(&job.payload, call).await
    });
    runtime.spawn(async move {
        // A channel that panicked may have taken effect: the outcome is unknown.
        let reaction = calling.await.unwrap_or(Reaction::TimedOut);
        deliver(&inbox, Message::Input(Box::new(Input::EffectResult { number, attempt, reaction }))).await;
    });
}

/// A result is never dropped: a full inbox is waited for.
async fn deliver(inbox: &SyncSender<Message>, mut message: Message) {
    while let Err(TrySendError::Full(back)) = inbox.try_send(message) {
        message = back;
        tokio::time::sleep(INBOX_RETRY_INTERVAL).await;
    }
}
