//! What the settings say about every engine, whatever its store.

use std::sync::Arc;

use driver::{EngineOptions, SystemClock, Uuids};
use jiff::tz::TimeZone;
use pabal_core::Limits;
use ports::{Model, Reader, Store};

use crate::channels::Channels;
use crate::config::Config;
use crate::failed::Failed;

const DAY_MS: i64 = 86_400_000;

/// Settings of engines.
pub struct EngineSettings {
    /// Bounds of the core.
    pub limits: Limits,
    /// The zone of bare dates.
    pub zone: TimeZone,
    channels: Channels,
}

impl EngineSettings {
    /// As they are configured; `channels` are the adapters of this binary.
    pub fn new(config: &Config, channels: Channels) -> Result<Self, Failed> {
        let zone = TimeZone::get(&config.zone).map_err(|error| Failed::config(error.to_string()))?;
        Ok(Self { limits: limits(config), zone, channels })
    }

    /// The options of one engine, without a broker.
    pub fn options(&self, model: &Arc<Model>, store: Box<dyn Store>, reader: Arc<dyn Reader>) -> Result<EngineOptions, Failed> {
        Ok(EngineOptions {
            model: model.clone(),
            store,
            reader,
            clock: Arc::new(SystemClock),
            ids: Arc::new(Uuids),
            zone: self.zone.clone(),
            limits: self.limits.clone(),
            channels: self.channels.open(&model.system)?,
            broker: None,
            group: None,
            join_later: true,
        })
    }
}

fn limits(config: &Config) -> Limits {
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
    fn the_documented_limits_are_the_cores_defaults() {
        let (ours, core) = (limits(&Config::default()), Limits::default());
        assert_eq!(format!("{ours:?}"), format!("{core:?}"));
    }
}
