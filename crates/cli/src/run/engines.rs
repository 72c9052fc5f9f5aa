//! One engine a system: its file, its reading side for the others, its limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use driver::{Engine, EngineOptions, SystemClock, Topics, Uuids};
use jiff::tz::TimeZone;
use kernel::System;
use pabal_core::Limits;
use ports::{Channel, Model, Reader};
use store_sqlite::{DataDir, SqliteStore};

use super::ledger::LedgerChannel;
use crate::config::Config;
use crate::failed::Failed;

const DAY_MS: i64 = 86_400_000;

/// Opens all stores, then starts all engines: a follower must find the log that it follows, whichever comes first.
pub fn start(config: &Config, dir: &DataDir, zone: &TimeZone, systems: Vec<System>) -> Result<Vec<Arc<Engine>>, Failed> {
    let topics = Topics::default();
    let mut opened = Vec::new();
    for system in systems {
        let model = Model::new(system).map_err(|error| Failed::config(error.to_string()))?;
        let path = dir.file_of(model.system.name);
        let (store, reader) = SqliteStore::open(path, &model).map_err(|error| Failed::unavailable(error.to_string()))?;
        let reader: Arc<dyn Reader> = Arc::new(reader);
        topics.add(model.system.topic, reader.clone());
        opened.push((model, store, reader));
    }
    let mut engines = Vec::new();
    for (model, store, reader) in opened {
        let (name, topic) = (model.system.name, model.system.topic);
        let options = EngineOptions {
            channels: channels(config, &model)?,
            model,
            store: Box::new(store),
            reader,
            clock: Arc::new(SystemClock),
            ids: Arc::new(Uuids),
            zone: zone.clone(),
            limits: limits(config),
            broker: Some(Arc::new(topics.clone())),
            group: None,
            join_later: false,
        };
        let engine = Engine::start(options).map_err(|error| Failed::unavailable(format!("{name}: {error}")))?;
        pass_on(&engine, topic, topics.clone());
        engines.push(engine);
    }
    Ok(engines)
}

/// Tells followers in other systems that a log has more.
fn pass_on(engine: &Engine, topic: &'static str, topics: Topics) {
    let mut committed = engine.committed();
    tokio::spawn(async move {
        while committed.changed().await.is_ok() {
            topics.committed(topic);
        }
    });
}

/// Far sides that keep a ledger, where the settings say so.
pub fn channels(config: &Config, model: &Model) -> Result<BTreeMap<String, Arc<dyn Channel>>, Failed> {
    let mut channels: BTreeMap<String, Arc<dyn Channel>> = BTreeMap::new();
    for def in model.system.services.iter().flat_map(|service| &service.effect_handlers) {
        let ledger = config.ports.get(def.port).map(|port| port.ledger.as_path());
        if let Some(path) = ledger.filter(|path| !path.as_os_str().is_empty()) {
            channels.insert(def.port.to_owned(), Arc::new(LedgerChannel::open(def.clone(), path)?));
        }
    }
    Ok(channels)
}

/// What the settings say about bounds.
pub fn limits(config: &Config) -> Limits {
    let ours = &config.limits;
    let lanes = config.ports.iter().flat_map(|(port, settings)| {
        settings.lanes.iter().map(|(lane, rate)| (port.clone(), lane.clone(), rate.per_second, rate.burst))
    });
    Limits {
        queue: ours.queue,
        batch_items: ours.batch_items,
        rows: ours.cached_rows,
        calls: ours.calls,
        attempts: ours.call_attempts,
        event_retries_ms: ours.event_retries_ms.clone(),
        retention_ms: (config.retention.log_days > 0).then(|| i64::from(config.retention.log_days) * DAY_MS),
        lanes: lanes.collect(),
        ..Limits::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_limits_are_the_machines_own() {
        let (ours, machine) = (limits(&Config::default()), Limits::default());
        assert_eq!(format!("{ours:?}"), format!("{machine:?}"));
    }
}
