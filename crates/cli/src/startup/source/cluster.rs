//! Engines of a cluster: a schema in PostgreSQL, a consumer group and a relay for each service, and Apache Kafka between them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use broker_kafka::{Admin, Generation, KafkaBroker, KafkaPublisher, Options, TopicState};
use driver::{Engine, EngineOptions, RelayThread};
use gateway::{ForwardOptions, Forwarding, Remote};
use http_api::HttpOptions;
use jiff::tz::TimeZone;
use kernel::System;
use ports::{Backoff, Broker, Model, Outbox, Reader, Store};
use store_postgres::{PostgresOptions, PostgresStore};

use super::EngineSource;
use super::settings::EngineSettings;
use crate::channels::Channels;
use crate::config::{Config, Postgres};
use crate::failed::Failed;
use crate::services::group_name;
use crate::startup::engines::Engines;
use crate::startup::sockets::Addresses;

/// The longest event: a broker takes a mebibyte by default, headers included.
const EVENT_BYTES: usize = 900_000;

/// Between two tries to reach a server that does not answer.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));

/// What one process of a cluster runs.
pub struct Services {
    /// Each as a system of its own.
    pub run: Vec<System>,
    /// All systems, where the process is the gateway to the services of the others.
    pub gateway: Option<Vec<System>>,
}

/// Services on PostgreSQL and Kafka.
pub struct ClusterSource {
    models: Vec<Arc<Model>>,
    settings: EngineSettings,
    kafka: Options,
    postgres: PostgresOptions,
    gateway: Option<Gateway>,
}

/// What the gateway forwards to.
struct Gateway {
    systems: Vec<System>,
    remotes: Vec<Remote>,
}

impl ClusterSource {
    /// Nothing is connected yet.
    pub fn new(config: &Config, services: Services, channels: Channels) -> Result<Self, Failed> {
        let mut settings = EngineSettings::new(config, channels)?;
        settings.limits.event_bytes = EVENT_BYTES;
        let mut kafka = config.kafka.clone();
        for system in services.run.iter().filter(|system| system.bare_headers) {
            kafka.topics.generation.entry(system.topic.to_owned()).or_insert(Generation::Old);
        }
        let gateway = match services.gateway {
            Some(systems) => Some(Gateway { systems, remotes: remotes(config, &services.run)? }),
            None => None,
        };
        let models = services.run.into_iter().map(|system| model(config, system)).collect::<Result<_, _>>()?;
        Ok(Self { models, settings, kafka, postgres: postgres_options(&config.postgres)?, gateway })
    }

    /// Starts one service on a store that is open.
    fn add(&self, engines: &mut Engines, model: &Arc<Model>, (store, reader, outbox): OpenStore) -> Result<(), Failed> {
        let name = group_name(&model.system);
        // One each: two groups of one partition would get in each other's way in one.
        let broker = Arc::new(KafkaBroker::new(&self.kafka).map_err(|error| Failed::config(error.to_string()))?);
        let publisher = KafkaPublisher::new(&self.kafka).map_err(|error| Failed::config(error.to_string()))?;
        let options = EngineOptions {
            broker: Some(broker.clone() as Arc<dyn Broker>),
            group: Some(name.clone()),
            ..self.settings.options(model, store, reader)?
        };
        let engine = Engine::start(options).map_err(|error| Failed::unavailable(format!("{name}: {error}")))?;
        let relay = RelayThread::start(model.system.topic, outbox, Box::new(publisher))?;
        engines.running.push(engine);
        engines.relays.push((name, relay));
        engines.leave_groups.push(Box::new(move || broker.close()));
        Ok(())
    }
}

impl EngineSource for ClusterSource {
    fn zone(&self) -> &TimeZone {
        &self.settings.zone
    }

    /// An orchestrator starts everything at once: servers that do not answer are waited for.
    fn start(&self, cancelled: &AtomicBool) -> Result<Engines, Failed> {
        let mut engines = Engines::default();
        if self.models.is_empty() {
            return Ok(engines);
        }
        let topics: BTreeSet<String> = self.models.iter().map(|model| model.system.topic.to_owned()).collect();
        let topics: Vec<String> = topics.into_iter().collect();
        let admin = Admin::new(&self.kafka).map_err(|error| Failed::config(format!("`kafka`: {error}")))?;
        let found = retry_until(cancelled, "Kafka", || admin.ensure(&topics).map_err(Fault::transient))?;
        for warning in found.iter().filter_map(TopicState::warning) {
            tracing::warn!("{warning}");
        }
        for model in &self.models {
            let store = retry_until(cancelled, "PostgreSQL", || connect(&self.postgres, model))?;
            self.add(&mut engines, model, store)?;
        }
        Ok(engines)
    }

    fn forwarding(&self, local: &HttpOptions) -> Result<Option<Forwarding>, Failed> {
        let Some(Gateway { systems, remotes }) = &self.gateway else { return Ok(None) };
        let options = ForwardOptions {
            default_system: local.default_system.clone(),
            public_url: local.public_url.clone(),
            trust_forwarded: local.trust_forwarded,
            admin: local.admin,
            ..ForwardOptions::default()
        };
        let forwarding = Forwarding::try_new(systems, remotes, options);
        forwarding.map(Some).map_err(|error| Failed::config(format!("`cluster.services`: {error}")))
    }

    fn announce(&self, engines: &Engines, addresses: &Addresses) {
        let names = engines.running.iter().map(|engine| engine.name()).collect::<Vec<_>>();
        tracing::info!(
            services = names.join(","),
            gateway = self.gateway.is_some(),
            host = addresses.host,
            port = addresses.port,
            "running"
        );
    }
}

/// The services of `cluster.services` that this process does not run itself.
fn remotes(config: &Config, local: &[System]) -> Result<Vec<Remote>, Failed> {
    let local: Vec<String> = local.iter().map(|system| format!("{}/{}", system.name, system.services[0].name)).collect();
    let remote = config.cluster.services.iter().filter(|(name, _)| !local.contains(name));
    remote
        .map(|(name, addresses)| {
            let (system, service) = name.split_once('/').ok_or_else(|| {
                Failed::config(format!("`cluster.services`: `{name}` is no service; name it as `<system>/<service>`"))
            })?;
            Ok(Remote { system: system.to_owned(), service: service.to_owned(), addresses: addresses.clone() })
        })
        .collect()
}

fn model(config: &Config, system: System) -> Result<Arc<Model>, Failed> {
    let shared = config.cluster.on_shared_topic.iter().any(|name| name == system.name);
    let model = if shared { Model::on_shared_topic(system) } else { Model::new(system) };
    model.map_err(|error| Failed::config(error.to_string()))
}

fn postgres_options(ours: &Postgres) -> Result<PostgresOptions, Failed> {
    let mut options = PostgresOptions::new(&ours.url).map_err(|error| Failed::config(format!("`postgres.url`: {error}")))?;
    options.readers = ours.readers;
    options.lease = Duration::from_millis(ours.lease_ms);
    options.relay_lease = options.lease;
    options.statement_timeout = Duration::from_millis(ours.statement_timeout_ms);
    Ok(options)
}

/// A store's writing side, its reading side, and its outbox.
type OpenStore = (Box<dyn Store>, Arc<dyn Reader>, Box<dyn Outbox>);

fn connect(options: &PostgresOptions, model: &Model) -> Result<OpenStore, Fault> {
    let opened = PostgresStore::connect(options, model);
    let (store, reader, outbox) =
        opened.map_err(|error| if error.may_pass() { Fault::transient(error) } else { Fault::Settings(error.to_string()) })?;
    Ok((Box::new(store), Arc::new(reader), Box::new(outbox)))
}

/// Why a server cannot be used.
enum Fault {
    /// It may pass: worth another try.
    Transient(String),
    /// The settings have to be changed.
    Settings(String),
}

impl Fault {
    fn transient(error: impl std::fmt::Display) -> Self {
        Self::Transient(error.to_string())
    }
}

/// Tries again until it works, or the fault is one of the settings, or the start is cancelled.
fn retry_until<T>(cancelled: &AtomicBool, server: &str, mut work: impl FnMut() -> Result<T, Fault>) -> Result<T, Failed> {
    let mut delays = BACKOFF.delays();
    loop {
        match work() {
            Ok(done) => return Ok(done),
            Err(Fault::Settings(error)) => return Err(Failed::config(format!("{server}: {error}"))),
            Err(Fault::Transient(error)) if cancelled.load(Ordering::Acquire) => {
                return Err(Failed::unavailable(format!("{server}: {error}")));
            }
            Err(Fault::Transient(error)) => tracing::warn!(error, "{server} is not ready; trying again"),
        }
        std::thread::sleep(delays.next().unwrap_or_default());
    }
}
