//! How engines and relays are doing, as metrics and for `/actuator/health`: read when somebody asks, so never out of date.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use driver::{Engine, RelayWatch};
use metrics::{counter, gauge};
use serde_json::{Value, json};

/// What this process runs.
#[derive(Clone, Default)]
pub struct Gauges {
    engines: Vec<Arc<Engine>>,
    /// By the name of their engine.
    relays: Vec<(String, RelayWatch)>,
    /// Follower, topic and partition of the last time: what was given away since is not behind any more.
    followed: Arc<Mutex<BTreeSet<(String, String, u32)>>>,
}

impl Gauges {
    /// Of these engines and the relays that publish for them.
    pub fn of(engines: &[Arc<Engine>], relays: Vec<(String, RelayWatch)>) -> Self {
        Self { engines: engines.to_vec(), relays, followed: Arc::default() }
    }

    /// Puts down what is so now.
    pub fn put_down(&self) {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        for (subscription, topic, partition) in std::mem::take(&mut *followed) {
            lag(subscription, topic, partition).set(0.0);
        }
        for engine in &self.engines {
            let (name, status) = (engine.name().to_owned(), engine.status());
            gauge!("pabal_up", "service" => name.clone()).set(if status.healthy { 1.0 } else { 0.0 });
            gauge!("pabal_open_effects", "service" => name.clone()).set(shown(status.effects as u64));
            gauge!("pabal_parked_keys", "service" => name.clone()).set(shown(status.parked_keys as u64));
            gauge!("pabal_dead_keys", "service" => name).set(shown(status.dead_keys as u64));
            for place in status.subscriptions {
                lag(place.name.clone(), place.topic.clone(), place.partition).set(shown(place.lag));
                followed.insert((place.name, place.topic, place.partition));
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

    /// What health tells of an engine beside its own state: its relay. One that fails keeps no request from being taken, as
    /// what is committed waits in the store, so it is no reason not to be ready.
    pub fn details(&self, engine: &str) -> Option<Value> {
        let (_, relay) = self.relays.iter().find(|(name, _)| name == engine)?;
        let status = relay.status();
        let word = if status.failing { "DOWN" } else { "UP" };
        Some(json!({"relay": {"status": word, "leading": status.leading, "published": status.sent, "errors": status.errors}}))
    }
}

fn lag(subscription: String, topic: String, partition: u32) -> metrics::Gauge {
    gauge!("pabal_follower_lag", "follower" => subscription, "topic" => topic, "partition" => partition.to_string())
}

/// A gauge is a float; no count here is so large that it matters.
#[allow(clippy::cast_precision_loss)]
fn shown(count: u64) -> f64 {
    count as f64
}
