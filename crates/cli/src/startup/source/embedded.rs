//! Embedded engines: one SQLite file a system, and events that stay in the process.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use driver::{Engine, EngineOptions, Topics};
use jiff::tz::TimeZone;
use kernel::System;
use ports::{Model, Reader};
use store_sqlite::{DataDir, SqliteStore};

use super::EngineSource;
use super::settings::EngineSettings;
use crate::channels::Channels;
use crate::config::Config;
use crate::failed::Failed;
use crate::startup::engines::Engines;
use crate::startup::sockets::Addresses;
use crate::startup::{disk, greeting};

/// Systems on one data directory, which is locked for as long as this lives.
pub struct EmbeddedSource {
    systems: Vec<System>,
    settings: EngineSettings,
    dir: DataDir,
    min_free_bytes: u64,
    /// Each service listens at its own port, too.
    own_ports: bool,
}

impl EmbeddedSource {
    /// Locks the data directory.
    pub fn open(config: &Config, systems: Vec<System>, own_ports: bool, channels: Channels) -> Result<Self, Failed> {
        Ok(Self {
            systems,
            settings: EngineSettings::new(config, channels)?,
            dir: DataDir::lock(&config.data.dir).map_err(|error| Failed::unavailable(error.to_string()))?,
            min_free_bytes: config.limits.min_free_disk_bytes,
            own_ports,
        })
    }
}

impl EngineSource for EmbeddedSource {
    fn zone(&self) -> &TimeZone {
        &self.settings.zone
    }

    fn own_ports(&self) -> Vec<(&'static str, u16)> {
        let systems = self.systems.iter().filter(|_| self.own_ports);
        systems.flat_map(|system| &system.services).map(|service| (service.name, service.port)).collect()
    }

    /// Opens all stores, then starts all engines: the log that a subscription consumes must be open, whichever comes first.
    fn start(&self, _cancelled: &AtomicBool) -> Result<Engines, Failed> {
        let topics = Topics::default();
        let mut opened = Vec::new();
        for system in self.systems.iter().cloned() {
            let model = Model::new(system).map_err(|error| Failed::config(error.to_string()))?;
            let path = self.dir.file_of(model.system.name);
            let (store, reader) = SqliteStore::open(path, &model).map_err(|error| Failed::unavailable(error.to_string()))?;
            let reader: Arc<dyn Reader> = Arc::new(reader);
            topics.add(model.system.topic, reader.clone());
            opened.push((model, store, reader));
        }
        let mut engines = Engines::default();
        for (model, store, reader) in opened {
            let options = EngineOptions {
                broker: Some(Arc::new(topics.clone())),
                join_later: false,
                ..self.settings.options(&model, Box::new(store), reader)?
            };
            let started = Engine::start(options);
            let engine = started.map_err(|error| Failed::unavailable(format!("{}: {error}", model.system.name)))?;
            notify(&engine, model.system.topic, topics.clone());
            engines.running.push(engine);
        }
        disk::watch(self.dir.path(), self.min_free_bytes);
        Ok(engines)
    }

    fn announce(&self, engines: &Engines, addresses: &Addresses) {
        greeting::announce(&engines.running, addresses, self.dir.path());
    }
}

/// Notifies subscribers in other systems of each commit.
fn notify(engine: &Engine, topic: &'static str, topics: Topics) {
    let mut committed = engine.committed();
    tokio::spawn(async move {
        while committed.changed().await.is_ok() {
            topics.committed(topic);
        }
    });
}
