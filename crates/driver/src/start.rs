//! Starting an engine: the core is opened on its store, then the writer thread runs it.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use jiff::tz::TimeZone;
use kernel::RetrySafety;
use kernel::service::EffectHandlerDef;
use pabal_core::{Core, CoreOptions, Limits};
use ports::model::{DeclarationError, Model, check_effects};
use ports::{Broker, BrokerError, Channel, Clock, Ids, Reader, Store, StoreError};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::engine::{Engine, PendingJoin};
use crate::message::Message;
use crate::writer::{BrokerSide, Effects, Writer};

/// What an engine is made of.
pub struct EngineOptions {
    /// The declarations.
    pub model: Arc<Model>,
    /// The store's writing side.
    pub store: Box<dyn Store>,
    /// The store's reading side.
    pub reader: Arc<dyn Reader>,
    /// The clock of deadlines and events.
    pub clock: Arc<dyn Clock>,
    /// Generates keys.
    pub ids: Arc<dyn Ids>,
    /// The time zone of the installation.
    pub zone: TimeZone,
    /// Bounds of the core.
    pub limits: Limits,
    /// Channels by port; each replaces the effect handler that the service declares for that port.
    pub channels: BTreeMap<String, Arc<dyn Channel>>,
    /// The broker that the events of other logs are consumed from.
    pub broker: Option<Arc<dyn Broker>>,
    /// The consumer group under which the broker shares its partitions among the processes of this service. With a group,
    /// the system's own topic is consumed from the broker as well; without one, subscriptions read the log itself.
    pub group: Option<String>,
    /// Consume nothing from the broker before [`Engine::join_broker`]: what decisions need may have to be loaded first.
    pub join_later: bool,
}

/// An engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An aggregate has effects that nothing carries out.
    #[error(transparent)]
    Declaration(#[from] DeclarationError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The topics of other systems cannot be consumed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The operating system gives no thread.
    #[error("the writer thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl Engine {
    /// Starts the writer thread of one system. Must be called within a tokio runtime, on which channels run.
    pub fn start(options: EngineOptions) -> Result<Arc<Self>, StartError> {
        let EngineOptions { model, store, reader, clock, ids, zone, limits, channels, broker, group, join_later } = options;
        check_effects(&model.system, |port| channels.contains_key(port))?;
        let (inbox, messages) = sync_channel(limits.queue);
        let handlers = effect_handlers(&model);
        let mut ports: BTreeMap<String, RetrySafety> = handlers.iter().map(|(port, def)| (port.clone(), def.repeat)).collect();
        ports.extend(channels.iter().map(|(port, channel)| (port.clone(), channel.repeat())));
        let topics = consumed_topics(&model, group.is_some());
        let core = Core::new(CoreOptions { model: model.clone(), store, zone, limits, ports, by_broker: group.is_some() })?;
        if let Some(broker) = &broker {
            for topic in &topics {
                broker.watch(topic, waker(&inbox));
            }
        }
        let name = group.clone().unwrap_or_else(|| model.system.name.to_owned());
        let pending_join = broker.clone().map(|broker| PendingJoin { broker, group: group.clone(), topics });
        let (committed_in, committed) = watch::channel(core.status().last_seq);
        let (status_in, status) = watch::channel(core.status());
        let effects = Effects::new(handlers, channels, inbox.clone(), Handle::try_current().ok());
        let broker = broker.map(|broker| BrokerSide { broker, group });
        let writer = Writer::new(core, clock.clone(), messages, effects, broker, committed_in, status_in);
        std::thread::Builder::new().name(format!("pabal-{name}")).spawn(move || writer.run())?;
        let pending_join = Mutex::new(pending_join);
        let engine = Self { name, model, reader, clock, ids, inbox, committed, status, pending_join };
        if !join_later {
            engine.join_broker()?;
        }
        Ok(Arc::new(engine))
    }
}

fn effect_handlers(model: &Model) -> HashMap<String, EffectHandlerDef> {
    let defs = model.system.services.iter().flat_map(|service| service.effect_handlers.iter());
    defs.map(|def| (def.port.to_owned(), def.clone())).collect()
}

/// The topics that subscriptions consume from a broker.
fn consumed_topics(model: &Model, own_too: bool) -> Vec<String> {
    let mut topics: Vec<String> = model.subscriptions.iter().map(|subscription| subscription.topic.clone()).collect();
    topics.retain(|topic| own_too || topic != model.system.topic);
    topics.sort();
    topics.dedup();
    topics
}

fn waker(inbox: &SyncSender<Message>) -> Box<dyn Fn() + Send + Sync> {
    let inbox = inbox.clone();
    // A full inbox wakes the writer anyway.
    Box::new(move || drop(inbox.try_send(Message::Wake)))
}
