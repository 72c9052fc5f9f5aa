//! What an installation decides. `config.default.toml` says what each setting is for; here are its types.

mod bind;
#[cfg(feature = "cluster")]
mod cluster;
mod env;
mod layers;
mod masked;
mod tree;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[cfg(feature = "cluster")]
pub use cluster::{Cluster, Postgres};
pub use layers::{EffectiveConfig, Flags, Source, load};
pub use masked::masked;

/// Everything that can be set, but for what systems declare themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The zone of bare dates.
    pub zone: String,
    /// Empty collections are seeded.
    pub seed: bool,
    /// Development mode.
    pub dev: bool,
    /// Where the data is.
    pub data: Data,
    /// The gateway's socket and its links.
    pub http: Http,
    /// The gateway's limits.
    pub gateway: Gateway,
    /// Who may do what.
    pub auth: Auth,
    /// What is logged.
    pub log: Log,
    /// How long what is kept.
    pub retention: Retention,
    /// Bounds.
    pub limits: Limits,
    /// Rates of effects, by port.
    pub ports: BTreeMap<String, Port>,
    /// Where services are that run alone.
    #[cfg(feature = "cluster")]
    pub cluster: Cluster,
    /// Where these keep their rows.
    #[cfg(feature = "cluster")]
    pub postgres: Postgres,
    /// Where their events are.
    #[cfg(feature = "cluster")]
    pub kafka: broker_kafka::Options,
}

/// `[data]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// The directory.
    pub dir: PathBuf,
}

/// `[http]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// The address.
    pub host: String,
    /// The gateway's port.
    pub port: u16,
    /// Scheme and authority of links; empty = from host and port.
    pub public_url: String,
    /// Believe what a proxy says.
    pub trust_forwarded: bool,
    /// Serve `/admin`.
    pub admin: bool,
}

/// `[gateway]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gateway {
    /// Web origins.
    pub allowed_origins: Vec<String>,
    /// Longest body.
    pub body_limit_bytes: usize,
    /// Requests per second and client, 0 = no limit.
    pub rate_limit_per_second: u32,
    /// Requests at once and client, 0 = as many as per second.
    pub rate_limit_burst: u32,
    /// Clients on this machine are counted too.
    pub rate_limit_loopback: bool,
    /// Longest request.
    pub request_timeout_ms: u64,
    /// Open connections.
    pub max_connections: usize,
    /// Time for load balancers to notice.
    pub drain_ms: u64,
    /// Time to finish in.
    pub grace_period_ms: u64,
    /// The system that a shared resource name means, empty = none.
    pub default_system: String,
}

/// `[auth]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// The mode.
    pub mode: AuthMode,
    /// The demo mode may listen beyond loopback.
    pub allow_remote: bool,
}

/// `auth.mode`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// Everybody may do everything.
    #[default]
    Demo,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A filter.
    pub level: String,
    /// For whom.
    pub format: LogFormat,
}

/// `log.format`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// `[retention]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Days that events are kept, 0 = for ever.
    pub log_days: u32,
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Commands that wait.
    pub queue: usize,
    /// Items of one batch.
    pub batch_items: usize,
    /// States in memory.
    pub cached_rows: usize,
    /// Calls at once.
    pub calls: usize,
    /// Calls of one effect.
    pub call_attempts: u32,
    /// Pauses between tries of an event.
    pub event_retries_ms: Vec<i64>,
    /// When a writer is stuck.
    pub stuck_after_ms: i64,
    /// When the disk is nearly full.
    pub min_free_disk_bytes: u64,
}

/// `[ports.<port>]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Port {
    /// Rates by lane.
    pub lanes: BTreeMap<String, Lane>,
}

/// `[ports.<port>.lanes.<lane>]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lane {
    /// Calls per second.
    pub per_second: f64,
    /// Calls at once.
    pub burst: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            zone: "Asia/Seoul".to_owned(),
            seed: true,
            dev: false,
            data: Data::default(),
            http: Http::default(),
            gateway: Gateway::default(),
            auth: Auth::default(),
            log: Log::default(),
            retention: Retention::default(),
            limits: Limits::default(),
            ports: BTreeMap::new(),
            #[cfg(feature = "cluster")]
            cluster: Cluster::default(),
            #[cfg(feature = "cluster")]
            postgres: Postgres::default(),
            #[cfg(feature = "cluster")]
            kafka: broker_kafka::Options::default(),
        }
    }
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: PathBuf::from("pabal-data") }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: 8088, public_url: String::new(), trust_forwarded: false, admin: true }
    }
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            allowed_origins: ["http://localhost:8088", "http://127.0.0.1:8088"].map(str::to_owned).to_vec(),
            body_limit_bytes: 1_048_576,
            rate_limit_per_second: 10_000,
            rate_limit_burst: 10_000,
            rate_limit_loopback: false,
            request_timeout_ms: 30_000,
            max_connections: 10_000,
            drain_ms: 0,
            grace_period_ms: 10_000,
            default_system: String::new(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue: 4096,
            batch_items: 512,
            cached_rows: 50_000,
            calls: 512,
            call_attempts: 8,
            event_retries_ms: vec![1_000, 10_000, 60_000],
            stuck_after_ms: 15_000,
            min_free_disk_bytes: 512 << 20,
        }
    }
}

impl Default for Lane {
    fn default() -> Self {
        Self { per_second: 1.0, burst: 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With what a build with the cluster's drivers has beside it.
    fn default_file() -> String {
        let cluster = if cfg!(feature = "cluster") { include_str!("../../config.cluster.toml") } else { "" };
        [include_str!("../../config.default.toml"), cluster].concat()
    }

    #[test]
    fn the_default_file_says_what_the_program_does() {
        let file: Config = toml::from_str(&default_file()).unwrap();
        assert_eq!(file, Config::default());
    }

    #[test]
    fn the_default_file_documents_every_setting() {
        let written: toml::Table = toml::from_str(&default_file()).unwrap();
        let all = serde_json::to_value(Config::default()).unwrap();
        for key in tree::leaves(&all).into_keys().filter(|key| key != "ports") {
            let found = key.split('.').try_fold(&toml::Value::Table(written.clone()), |at, part| at.get(part)).is_some();
            assert!(found, "{key} is not in config.default.toml");
        }
    }
}
