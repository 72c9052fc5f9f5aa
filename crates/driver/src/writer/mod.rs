//! The writer thread: feeds the core, carries out its actions, and sleeps until there is something to do.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use kernel::service::EffectHandlerDef;
use kernel::{EffectCall, Reaction, RetrySafety};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use super::{Engine, Message, membership};
use pabal_core::{Action, CommandError, CommandOutcome, Core, CoreOptions, EffectJob, Input, Limits, QueuedCommand, Status};
use ports::model::Model;
use ports::{Broker, Channel, Clock, Ids, Partition, Reader, Store, StoreError};

/// What an engine is made of.
pub struct EngineOptions {
    /// The declarations.
    pub model: Arc<Model>,
    /// The store's writing side.
    pub store: Box<dyn Store>,
    /// The store's reading side.
    pub reader: Arc<dyn Reader>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes keys.
    pub ids: Arc<dyn Ids>,
    /// The zone of the installation.
    pub zone: TimeZone,
    /// Bounds of the core.
    pub limits: Limits,
    /// Far sides by port, where another is wanted than the one that comes with the service.
    pub channels: BTreeMap<String, Arc<dyn Channel>>,
    /// What events of other logs come from.
    pub broker: Option<Arc<dyn Broker>>,
    /// The group under which the broker shares its partitions among the processes of this service. With one, the own topic
    /// comes from the broker, too; without, followers read the log itself.
    pub group: Option<String>,
    /// Nothing of a broker is read before [`Engine::follow`]: what events are judged by may have to be there first.
    pub follow_later: bool,
}

/// An engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Other systems' topics cannot be read.
    #[error(transparent)]
    Broker(#[from] ports::BrokerError),
    /// The machine has no thread for it.
    #[error("the writer thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Requests that wait for their answer, at most; each holds some memory of its client's.
const OPEN_REQUESTS: usize = 16_384;

/// The longest sleep: a pulse for the watchdog even where nothing happens.
const PULSE: Duration = Duration::from_secs(1);

/// Status is published at most so often, in milliseconds, while there is work.
const STATUS_MS: i64 = 100;

impl Engine {
    /// Starts the writer thread of one system. Must be called within a tokio runtime, on which slow channels run.
    pub fn start(options: EngineOptions) -> Result<Arc<Self>, StartError> {
        let EngineOptions { model, store, reader, clock, ids, zone, limits, channels, broker, group, follow_later } = options;
        let (inbox, messages) = sync_channel(limits.queue);
        let effect_handlers: HashMap<String, EffectHandlerDef> = effect_handlers(&model);
        let mut ports: BTreeMap<String, RetrySafety> =
            effect_handlers.iter().map(|(port, def)| (port.clone(), def.repeat)).collect();
        ports.extend(channels.iter().map(|(port, channel)| (port.clone(), channel.repeat())));
        let topics = topics_of(&model, group.is_some());
        let core = Core::new(CoreOptions { model: model.clone(), store, zone, limits, ports, by_broker: group.is_some() })?;
        if let Some(broker) = &broker {
            for topic in &topics {
                broker.watch(topic, waker(&inbox));
            }
        }
        let name = group.clone().unwrap_or_else(|| model.system.name.to_owned());
        let of_broker = broker.clone().map(|broker| Following { broker, group: group.clone(), topics });
        let (committed_in, committed) = watch::channel(core.status().last_seq);
        let (status_in, status) = watch::channel(core.status());
        let writer = Writer {
            core,
            clock: clock.clone(),
            messages,
            inbox: inbox.clone(),
            effect_handlers,
            channels,
            broker,
            group,
            tickets: HashMap::new(),
            next_ticket: 0,
            reactions: Vec::new(),
            committed: committed_in,
            status: status_in,
            status_ms: 0,
            stopping: None,
            handle: Handle::try_current().ok(),
        };
        std::thread::Builder::new().name(format!("pabal-{name}")).spawn(move || writer.run())?;
        let engine = Self { name, model, reader, clock, ids, inbox, committed, status, following: Mutex::new(of_broker) };
        if !follow_later {
            engine.follow()?;
        }
        Ok(Arc::new(engine))
    }
}

/// What an engine is to follow.
pub(crate) struct Following {
    broker: Arc<dyn Broker>,
    group: Option<String>,
    topics: Vec<String>,
}

impl Engine {
    /// Begins to read what comes from the broker; a second time nothing happens.
    pub fn follow(&self) -> Result<(), StartError> {
        let following = self.following.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Following { broker, group, topics }) = following else { return Ok(()) };
        let seat = membership::Seat::new(self.inbox.clone(), &broker, group);
        Ok(broker.join(&self.name, &topics, Box::new(seat))?)
    }
}

fn effect_handlers(model: &Model) -> HashMap<String, EffectHandlerDef> {
    let defs = model.system.services.iter().flat_map(|service| service.effect_handlers.iter());
    defs.map(|def| (def.port.to_owned(), def.clone())).collect()
}

/// The topics that followers read from a broker.
fn topics_of(model: &Model, own_too: bool) -> Vec<String> {
    let mut topics: Vec<String> = model.subscriptions.iter().map(|subscription| subscription.topic.clone()).collect();
    topics.retain(|topic| own_too || topic != model.system.topic);
    topics.sort();
    topics.dedup();
    topics
}

fn waker(inbox: &SyncSender<Message>) -> Box<dyn Fn() + Send + Sync> {
    let inbox = inbox.clone();
    // A full inbox needs no waking.
    Box::new(move || drop(inbox.try_send(Message::Wake)))
}

struct Writer {
    core: Core,
    clock: Arc<dyn Clock>,
    messages: Receiver<Message>,
    inbox: SyncSender<Message>,
    effect_handlers: HashMap<String, EffectHandlerDef>,
    channels: BTreeMap<String, Arc<dyn Channel>>,
    broker: Option<Arc<dyn Broker>>,
    group: Option<String>,
    tickets: HashMap<u64, oneshot::Sender<Result<CommandOutcome, CommandError>>>,
    next_ticket: u64,
    /// Answers of far sides that are pure functions: fed back with the next turn.
    reactions: Vec<(u64, u32, Reaction<Vec<u8>>)>,
    committed: watch::Sender<u64>,
    status: watch::Sender<Status>,
    status_ms: i64,
    stopping: Option<oneshot::Sender<()>>,
    handle: Option<Handle>,
}

impl Writer {
    fn run(mut self) {
        let mut wait = Duration::ZERO;
        loop {
            self.take_messages(wait);
            let wanted = self.take_deliveries();
            for (number, attempt, reaction) in std::mem::take(&mut self.reactions) {
                self.accept(Input::EffectResult { number, attempt, reaction });
            }
            let turn = self.core.turn(self.clock.now());
            let quiet = turn.actions.is_empty();
            for action in turn.actions {
                self.act(action);
            }
            // Who wants more than before is given it at once: another system's topic may have more.
            let more = turn.more || !self.reactions.is_empty() || self.wants() != wanted;
            self.publish_status(!more);
            if !more
                && self.tickets.is_empty()
                && let Some(done) = self.stopping.take()
            {
                drop(self); // the store is closed and the inbox too before anybody hears of it
                let _ = done.send(());
                return;
            }
            wait = if more { Duration::ZERO } else { self.pause(turn.wake_ms, quiet) };
        }
    }

    /// How long to sleep. A wake time that has passed without anything to do must not become a busy loop.
    fn pause(&self, wake_ms: Option<i64>, quiet: bool) -> Duration {
        let now_ms = self.clock.now().as_millisecond();
        let until = wake_ms.map_or(PULSE, |at| Duration::from_millis(u64::try_from(at - now_ms).unwrap_or(0)));
        let least = if quiet { Duration::from_millis(2) } else { Duration::ZERO };
        until.clamp(least, PULSE)
    }

    fn take_messages(&mut self, wait: Duration) {
        if !wait.is_zero() {
            match self.messages.recv_timeout(wait) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => return,
                // Cannot be: the writer holds a sender of its own. Sleeping keeps this from becoming a busy loop.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(wait),
            }
        }
        while let Ok(message) = self.messages.try_recv() {
            self.take(message);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::CommandRequest(_, sender) if self.stopping.is_some() => drop(sender.send(Err(super::stopping()))),
            Message::CommandRequest(_, sender) if self.tickets.len() >= OPEN_REQUESTS => {
                drop(sender.send(Err(CommandError::Overloaded)))
            }
            Message::CommandRequest(order, sender) => {
                self.next_ticket += 1;
                self.tickets.insert(self.next_ticket, sender);
                let request = QueuedCommand { ticket: self.next_ticket, order: *order };
                self.accept(Input::Command(Box::new(request)));
            }
            Message::Input(input) => self.accept(*input),
            Message::Wake => {}
            Message::Assigned { ends, handed } => {
                self.accept(Input::HandedOver { positions: handed });
                self.accept(Input::Assigned { partitions: ends });
            }
            Message::Revoked(partitions, done) => {
                // Between two turns nothing is under way: what is not committed by now never will be.
                self.report();
                self.accept(Input::Revoked { partitions });
                let _ = done.send(());
            }
            Message::Stop(done) => self.stopping = Some(done),
        }
    }

    fn accept(&mut self, input: Input) {
        let now = self.clock.now();
        if let Some(action) = self.core.accept(input, now) {
            self.act(action);
        }
    }

    /// What is wanted of a broker: partition, position behind which, and how many records.
    fn wants(&self) -> Vec<(Partition, u64, usize)> {
        if self.broker.is_some() { self.core.wants() } else { Vec::new() }
    }

    /// Fetches what is wanted, and says what that was.
    fn take_deliveries(&mut self) -> Vec<(Partition, u64, usize)> {
        let wanted = self.wants();
        let Some(broker) = self.broker.clone() else { return wanted };
        for (partition, after, limit) in &wanted {
            match broker.fetch(partition, *after, *limit) {
                Ok(deliveries) if deliveries.is_empty() => {}
                Ok(deliveries) => self.accept(Input::Delivered { partition: partition.clone(), deliveries }),
                Err(error) => tracing::warn!(%partition, %error, "its events wait"),
            }
        }
        wanted
    }

    /// Says to the broker how far the group has come, for those who watch it there.
    fn report(&self) {
        let (Some(broker), Some(group)) = (&self.broker, &self.group) else { return };
        let mut reached: BTreeMap<Partition, u64> = BTreeMap::new();
        for place in self.core.status().subscriptions {
            let partition = Partition { topic: place.topic, number: place.partition };
            let least = reached.entry(partition).or_insert(place.position);
            *least = place.position.min(*least);
        }
        broker.reached(group, &reached.into_iter().collect::<Vec<_>>());
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Reply { ticket, result } => {
                if let Some(sender) = self.tickets.remove(&ticket) {
                    let _ = sender.send(result); // the client may have gone; what was done stays done
                }
            }
            Action::Call(job) => self.call(job),
            Action::Committed { last_seq } => drop(self.committed.send(last_seq)),
        }
    }

    fn call(&mut self, job: EffectJob) {
        if let (Some(channel), Some(handle)) = (self.channels.get(&job.port).cloned(), self.handle.as_ref()) {
            let (inbox, number, attempt) = (self.inbox.clone(), job.number, job.attempt);
            let calling = handle.spawn(async move {
                let call = EffectCall { id: &job.id, attempt: job.attempt, asking: job.asking };
                channel.call(&job.payload, call).await
            });
            handle.spawn(async move {
                // A channel that panics has not said what came of the call.
                let reaction = calling.await.unwrap_or(Reaction::TimedOut);
                give(&inbox, Message::Input(Box::new(Input::EffectResult { number, attempt, reaction }))).await;
            });
            return;
        }
        let call = EffectCall { id: &job.id, attempt: job.attempt, asking: job.asking };
        let effect_handler = self.effect_handlers.get(&job.port);
        let reaction = match effect_handler
            .map(|effect_handler| catch_unwind(AssertUnwindSafe(|| effect_handler.call(&job.payload, &call))))
        {
            Some(Ok(Ok(reaction))) => reaction,
            Some(Err(_)) => Reaction::TimedOut, // it has not said what came of the call
            Some(Ok(Err(error))) => {
                tracing::error!(effect = job.id, %error, "the effect cannot be read by its far side");
                Reaction::Unreachable
            }
            None => Reaction::Unreachable,
        };
        self.reactions.push((job.number, job.attempt, reaction));
    }

    /// Before it rests always, or what came last would be seen only after the next pulse.
    fn publish_status(&mut self, resting: bool) {
        let now_ms = self.clock.now().as_millisecond();
        if resting || now_ms.saturating_sub(self.status_ms) >= STATUS_MS {
            self.status_ms = now_ms;
            let _ = self.status.send(self.core.status());
            self.report();
        }
    }
}

/// An answer of a far side is never dropped: a full inbox is waited for.
async fn give(inbox: &SyncSender<Message>, mut message: Message) {
    while let Err(std::sync::mpsc::TrySendError::Full(back)) = inbox.try_send(message) {
        message = back;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
