//! `pabal serve`: services that stand alone, each with a store of its own, and Apache Kafka between them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use broker_kafka::{Admin, Generation, KafkaBroker, KafkaPublisher, TopicState};
use driver::{Engine, EngineOptions, RelayThread, SystemClock, Uuids};
use gateway::{ForwardOptions, Forwarding, Remote};
use http_api::HttpOptions;
use jiff::tz::TimeZone;
use kernel::System;
use pabal_core::Limits;
use ports::{Broker, Model, Outbox, Reader, Store};
use store_postgres::{PostgresOptions, PostgresStore};

use super::engines::{channels, limits};
use super::gauges::Gauges;
use super::serve::{self, Told};
use super::{seeds, sockets, warm};
use crate::config::{Config, Postgres};
use crate::failed::Failed;

/// What one process of a cluster is to run.
pub struct Chosen {
    /// All systems, as the gateway knows them.
    systems: Vec<System>,
    /// The services, each as a system of its own.
    services: Vec<System>,
    /// It is the door to all the others.
    gateway: bool,
}

impl Chosen {
    /// As they are named on the command line.
    pub fn of(systems: Vec<System>, names: &[String]) -> Result<Self, Failed> {
        let mut chosen = Self { systems, services: Vec::new(), gateway: false };
        for name in names {
            match name.split_once('/') {
                None if name == "gateway" => chosen.gateway = true,
                _ => {
                    let service = one(&chosen.systems, name)?;
                    chosen.services.push(service);
                }
            }
        }
        Ok(chosen)
    }
}

/// One service as a system of its own, by `<system>/<service>`.
pub fn one(systems: &[System], name: &str) -> Result<System, Failed> {
    let found = name
        .split_once('/')
        .and_then(|(system, service)| systems.iter().find(|other| other.name == system).and_then(|system| system.only(service)));
    found.ok_or_else(|| {
        let all = systems
            .iter()
            .flat_map(|system| system.services.iter().map(move |service| format!("{}/{}", system.name, service.name)));
        let all: Vec<String> = all.collect();
        Failed::config(format!("there is no service `{name}`; there is {}, and `gateway`", all.join(", ")))
    })
}

/// Starts it, serves, and stops in order.
pub async fn wired(config: &Config, chosen: Chosen) -> Result<(), Failed> {
    let (told, gives_up) = (Told::listen()?, Told::listen()?);
    let opened = sockets::open(config, &[], false).await?;
    let zone = TimeZone::get(&config.zone).map_err(|error| Failed::config(error.to_string()))?;
    let stop = Arc::new(AtomicBool::new(false));
    let starting = {
        let (config, zone, services, stop) = (as_declared(config, &chosen), zone.clone(), chosen.services.clone(), stop.clone());
        tokio::task::spawn_blocking(move || start(&config, &zone, &services, &stop))
    };
    let served = tokio::select! {
        started = starting => started.map_err(|error| Failed::unavailable(error.to_string()))??,
        () = gives_up.wait() => {
            stop.store(true, Ordering::Release);
            return Ok(());
        }
    };
    let ready = Arc::new(AtomicBool::new(true));
    let gauges = served.gauges();
    let options = serve::http_options(config, &opened, zone, &served.engines, gauges, ready.clone())?;
    if config.seed {
        for engine in &served.engines {
            seeds::sow(engine).await;
        }
    }
    // Not before: events that wait are judged by the rows of a first run, too.
    for engine in &served.engines {
        engine.join_broker().map_err(|error| Failed::unavailable(error.to_string()))?;
    }
    warm::up(&served.engines);
    let port = opened.first().map_or(0, |door| door.port);
    let names = served.engines.iter().map(|engine| engine.name()).collect::<Vec<_>>();
    tracing::info!(services = names.join(","), gateway = chosen.gateway, host = config.http.host, port, "running");
    let mut doors = serve::doors(opened, &served.engines, &options);
    if chosen.gateway {
        let forwarding = forwarding(config, &chosen, &options)?;
        for door in &mut doors {
            door.router = forwarding.around(std::mem::take(&mut door.router));
        }
    }
    let ended = gateway::serve(doors, serve::gateway_options(config, ready), told.wait()).await;
    served.stop(Duration::from_millis(config.gateway.grace_period_ms)).await;
    tracing::info!("stopped");
    ended.map_err(|error| Failed::unavailable(error.to_string()))
}

/// The settings, with what the systems say themselves where the settings say nothing.
fn as_declared(config: &Config, chosen: &Chosen) -> Config {
    let mut config = config.clone();
    for system in chosen.services.iter().filter(|system| system.bare_headers) {
        config.kafka.topics.generation.entry(system.topic.to_owned()).or_insert(Generation::Old);
    }
    config
}

/// The way to the services that run elsewhere: all that the settings name and this process does not run itself.
fn forwarding(config: &Config, chosen: &Chosen, options: &HttpOptions) -> Result<Forwarding, Failed> {
    let here: Vec<String> = chosen.services.iter().map(|system| format!("{}/{}", system.name, system.services[0].name)).collect();
    let elsewhere = config.cluster.services.iter().filter(|(name, _)| !here.contains(name));
    let remotes: Result<Vec<Remote>, Failed> = elsewhere
        .map(|(name, addresses)| {
            let (system, service) = name.split_once('/').ok_or_else(|| {
                Failed::config(format!("`cluster.services`: `{name}` is no service; name it as `<system>/<service>`"))
            })?;
            Ok(Remote { system: system.to_owned(), service: service.to_owned(), addresses: addresses.clone() })
        })
        .collect();
    let forward = ForwardOptions {
        default_system: options.default_system.clone(),
        public_url: options.public_url.clone(),
        trust_forwarded: options.trust_forwarded,
        admin: options.admin,
        ..ForwardOptions::default()
    };
    Forwarding::of(&chosen.systems, &remotes?, forward).map_err(|error| Failed::config(format!("`cluster.services`: {error}")))
}

/// `<system>.<service>`, which is also the name of its consumer group.
pub fn name_of(model: &Model) -> String {
    let service = model.system.services.first().map_or("", |service| service.name);
    format!("{}.{service}", model.system.name)
}

/// Services at work.
#[derive(Default)]
struct Served {
    engines: Vec<Arc<Engine>>,
    relays: Vec<RelayThread>,
    /// One for each engine: two groups of one partition would get in each other's way in one.
    brokers: Vec<Arc<KafkaBroker>>,
}

/// A store in its three parts.
type Opened = (Box<dyn Store>, Arc<dyn Reader>, Box<dyn Outbox>);

/// Bytes of one event: a broker takes a mebibyte by default, headers included.
const EVENT_BYTES: usize = 900_000;

/// The first pause before a server that does not answer is tried again; it doubles up to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Opens everything and starts it. Servers that do not answer are waited for: an orchestrator starts all at once.
fn start(config: &Config, zone: &TimeZone, services: &[System], stop: &AtomicBool) -> Result<Served, Failed> {
    let mut served = Served::default();
    if services.is_empty() {
        return Ok(served);
    }
    let topics: BTreeSet<String> = services.iter().map(|system| system.topic.to_owned()).collect();
    let topics: Vec<String> = topics.into_iter().collect();
    let admin = Admin::new(&config.kafka).map_err(|error| Failed::config(format!("`kafka`: {error}")))?;
    let found = insist(stop, "Kafka", || admin.ensure(&topics).map_err(Trouble::later))?;
    for warning in found.iter().filter_map(TopicState::warning) {
        tracing::warn!("{warning}");
    }
    for system in services {
        let model = model(config, system.clone())?;
        let options = postgres_options(&config.postgres)?;
        let opened = insist(stop, "PostgreSQL", || open(&options, &model))?;
        served.put(config, zone, &model, opened)?;
    }
    Ok(served)
}

/// Why a server cannot be worked with.
enum Trouble {
    /// It may pass.
    Later(String),
    /// It does not without a person.
    Settings(String),
}

impl Trouble {
    fn later(error: impl std::fmt::Display) -> Self {
        Self::Later(error.to_string())
    }
}

/// Until it works, until nobody wants it any more, or until it is clear that waiting does not help.
fn insist<T>(stop: &AtomicBool, what: &str, mut work: impl FnMut() -> Result<T, Trouble>) -> Result<T, Failed> {
    let mut pause = RETRY.0;
    loop {
        match work() {
            Ok(done) => return Ok(done),
            Err(Trouble::Settings(error)) => return Err(Failed::config(format!("{what}: {error}"))),
            Err(Trouble::Later(error)) if stop.load(Ordering::Acquire) => {
                return Err(Failed::unavailable(format!("{what}: {error}")));
            }
            Err(Trouble::Later(error)) => tracing::warn!(error, "{what} is not ready; trying again"),
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(RETRY.1);
    }
}

fn model(config: &Config, system: System) -> Result<Arc<Model>, Failed> {
    let beside = config.cluster.on_shared_topic.iter().any(|name| name == system.name);
    let model = if beside { Model::on_shared_topic(system) } else { Model::new(system) };
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

fn open(options: &PostgresOptions, model: &Model) -> Result<Opened, Trouble> {
    let opened = PostgresStore::connect(options, model);
    let (store, reader, outbox) = opened.map_err(|error| {
        if error.may_pass() { Trouble::Later(error.to_string()) } else { Trouble::Settings(error.to_string()) }
    })?;
    Ok((Box::new(store), Arc::new(reader), Box::new(outbox)))
}

impl Served {
    fn put(
        &mut self,
        config: &Config,
        zone: &TimeZone,
        model: &Arc<Model>,
        (store, reader, outbox): Opened,
    ) -> Result<(), Failed> {
        let (name, topic) = (name_of(model), model.system.topic);
        let broker = Arc::new(KafkaBroker::new(&config.kafka).map_err(|error| Failed::config(error.to_string()))?);
        let publisher = KafkaPublisher::new(&config.kafka).map_err(|error| Failed::config(error.to_string()))?;
        let options = EngineOptions {
            model: model.clone(),
            store,
            reader,
            clock: Arc::new(SystemClock),
            ids: Arc::new(Uuids),
            zone: zone.clone(),
            limits: Limits { event_bytes: EVENT_BYTES, ..limits(config) },
            channels: channels(config, model)?,
            broker: Some(broker.clone() as Arc<dyn Broker>),
            group: Some(name.clone()),
            join_later: true,
        };
        let engine = Engine::start(options).map_err(|error| Failed::unavailable(format!("{name}: {error}")))?;
        self.relays.push(RelayThread::start(topic, outbox, Box::new(publisher))?);
        self.engines.push(engine);
        self.brokers.push(broker);
        Ok(())
    }

    fn gauges(&self) -> Gauges {
        let names = self.engines.iter().map(|engine| engine.name().to_owned());
        Gauges::of(&self.engines, names.zip(self.relays.iter().map(RelayThread::watch)).collect())
    }

    /// Partitions are handed back, engines answer what they have accepted, and the relays publish what they can in time; the
    /// rest is published by others, or after the next start.
    async fn stop(mut self, grace: Duration) {
        let closing = tokio::task::spawn_blocking(move || {
            for broker in self.brokers.drain(..) {
                broker.close();
            }
            self
        });
        let Ok(mut served) = closing.await else { return };
        super::stop(std::mem::take(&mut served.engines), grace).await;
        let relays = tokio::task::spawn_blocking(move || served.relays.iter_mut().for_each(RelayThread::stop));
        if tokio::time::timeout(grace, relays).await.is_err() {
            tracing::warn!("a relay did not stop in time; nothing is lost, another one goes on");
        }
    }
}
