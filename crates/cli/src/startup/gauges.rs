//! Metrics: the recorder behind `/metrics`, and the state of engines and relays, read whenever they are asked for.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use driver::{Engine, RelayThread, RelayWatch};
use metrics::{counter, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};

use super::engines::Engines;
use crate::failed::Failed;

/// How often the histograms are drained.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The process's recorder of metrics.
pub struct Recorder(PrometheusHandle);

impl Recorder {
    /// Installs it, before anything is measured.
    pub fn install() -> Result<Self, Failed> {
        let handle = PrometheusBuilder::new().install_recorder().map_err(|error| Failed::no(error.to_string()))?;
        let upkeep = handle.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP_EVERY).await;
                upkeep.run_upkeep();
            }
        });
        Ok(Self(handle))
    }

    /// Everything as Prometheus reads it.
    pub fn render(&self) -> String {
        self.0.render()
    }
}

/// The state of what this process runs.
#[derive(Clone)]
pub struct Gauges {
    engines: Vec<Arc<Engine>>,
    /// By the name of their engine.
    relays: Vec<(String, RelayWatch)>,
    /// Subscription, topic and partition of the last reading: a partition that was revoked since has no lag here.
    assigned: Arc<Mutex<BTreeSet<(String, String, u32)>>>,
}

impl Gauges {
    /// The state of these engines and their relays.
    pub fn new(engines: &Engines) -> Self {
        let watch = |(name, relay): &(String, RelayThread)| (name.clone(), relay.watch());
        Self { engines: engines.running.clone(), relays: engines.relays.iter().map(watch).collect(), assigned: Arc::default() }
    }

    /// Records the present state as metrics.
    pub fn record(&self) {
        let mut assigned = self.assigned.lock().unwrap_or_else(PoisonError::into_inner);
        for (subscription, topic, partition) in std::mem::take(&mut *assigned) {
            lag(subscription, topic, partition).set(0.0);
        }
        for engine in &self.engines {
            let (name, status) = (engine.name().to_owned(), engine.status());
            gauge!("pabal_up", "service" => name.clone()).set(if status.healthy { 1.0 } else { 0.0 });
            gauge!("pabal_open_effects", "service" => name.clone()).set(to_f64(status.effects as u64));
            gauge!("pabal_parked_keys", "service" => name.clone()).set(to_f64(status.parked_keys as u64));
            gauge!("pabal_dead_keys", "service" => name).set(to_f64(status.dead_keys as u64));
            for one in status.subscriptions {
                lag(one.name.clone(), one.topic.clone(), one.partition).set(to_f64(one.lag));
                assigned.insert((one.name, one.topic, one.partition));
            }
        }
        for (name, relay) in &self.relays {
            let status = relay.status();
            gauge!("pabal_relay_leading", "service" => name.clone()).set(if status.leading { 1.0 } else { 0.0 });
            gauge!("pabal_relay_failing", "service" => name.clone()).set(if status.failing { 1.0 } else { 0.0 });
            counter!("pabal_relay_published_total", "service" => name.clone()).absolute(status.sent);
            counter!("pabal_relay_errors_total", "service" => name.clone()).absolute(status.errors);
        }
    }

    /// What `/actuator/health` shows of an engine beside its own state: its relay. A failing relay does not make the process
    /// unready, as commits go on and their events wait in the outbox.
    pub fn details(&self, engine: &str) -> Option<Value> {
        let (_, relay) = self.relays.iter().find(|(name, _)| name == engine)?;
        let status = relay.status();
        let word = if status.failing { "DOWN" } else { "UP" };
        Some(json!({"relay": {"status": word, "leading": status.leading, "published": status.sent, "errors": status.errors}}))
    }
}

fn lag(subscription: String, topic: String, partition: u32) -> metrics::Gauge {
    gauge!("pabal_subscription_lag", "subscription" => subscription, "topic" => topic, "partition" => partition.to_string())
}

/// A gauge is a float; no count here is so large that its precision matters.
#[allow(clippy::cast_precision_loss)]
fn to_f64(count: u64) -> f64 {
    count as f64
}
