//! What an installation decides about a cluster: where its services keep their rows, and where they find each other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `[cluster]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// Systems on whose topics other programs write, too.
    pub on_shared_topic: Vec<String>,
    /// Where services are, by `<system>/<service>`: for the gateway.
    pub services: BTreeMap<String, Vec<String>>,
}

/// `[postgres]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Postgres {
    /// Where the database is.
    pub url: String,
    /// Connections that read, per service.
    pub readers: usize,
    /// A process that does not renew its lease for so long is fenced.
    pub lease_ms: u64,
    /// A statement's longest time.
    pub statement_timeout_ms: u64,
}

impl Default for Cluster {
    fn default() -> Self {
        Self { on_shared_topic: vec!["rcs".to_owned()], services: BTreeMap::new() }
    }
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            url: "postgres://postgres@127.0.0.1:5432/pabal".to_owned(),
            readers: 4,
            lease_ms: 10_000,
            statement_timeout_ms: 10_000,
        }
    }
}
