//! What an installation decides about its broker.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[kafka]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Some brokers, `host:port`, separated by commas; they name the others.
    pub bootstrap: String,
    /// What the broker calls this program in its logs and quotas; also the group id of the reading client, which never joins.
    pub client_id: String,
    /// Encryption and authentication.
    pub security: Security,
    /// The topics.
    pub topics: Topics,
    /// Time-outs and rhythms.
    pub times: Times,
    /// Records of a partition that are prefetched, at most.
    pub prefetch_records: u32,
    /// The same in kilobytes.
    pub prefetch_kb: u32,
    /// Records of a partition that a new relay looks back at, at most, for what the one before it has sent.
    pub look_back: u64,
    /// `none`, `gzip`, `snappy`, `lz4`: of what is published.
    pub compression: String,
}

/// `[kafka.security]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    /// Whether connections are encrypted and authenticated.
    pub protocol: Protocol,
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: String,
    /// The name.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// Authorities that the broker's certificate is checked against (PEM); empty = those of the machine.
    pub ca: PathBuf,
    /// This program's certificate (PEM).
    pub certificate: PathBuf,
    /// Its key (PEM).
    pub key: PathBuf,
    /// The key's password.
    pub key_password: Secret,
}

/// `kafka.security.protocol`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Neither encrypted nor authenticated.
    #[default]
    Plaintext,
    /// Encrypted.
    Ssl,
    /// Authenticated.
    SaslPlaintext,
    /// Both.
    SaslSsl,
}

impl Protocol {
    /// As the client calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    pub(crate) fn is_encrypted(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    pub(crate) fn has_name(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// `[kafka.topics]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Topics {
    /// Partitions of a topic that is created; 0 = one.
    pub partitions: u32,
    /// Replication factor of a topic that is created; 0 = the broker's default.
    pub replication: u16,
    /// Which generation of existing services lives on a topic; the new one where nothing is said.
    pub generation: BTreeMap<String, Generation>,
}

impl Topics {
    /// The generation of services on a topic.
    pub fn generation(&self, topic: &str) -> Generation {
        self.generation.get(topic).copied().unwrap_or(Generation::New)
    }
}

/// Existing services of a topic were built with one of two frameworks, which read headers differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Generation {
    /// Spring Boot 2.1: headers beside `contentType` are not declared to it.
    Old,
    /// Spring Boot 2.3: the header `type` selects the handler.
    New,
}

/// `[kafka.times]`, all in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Times {
    /// A request to the broker times out.
    pub request_ms: u64,
    /// A record that is not acknowledged within this time has failed.
    pub delivery_ms: u64,
    /// How long a record waits for others of its batch.
    pub linger_ms: u64,
    /// The session time-out of a group's member.
    pub session_ms: u64,
    /// The interval of its heartbeats.
    pub heartbeat_ms: u64,
    /// The interval at which a group's offsets are committed to the broker.
    pub commit_ms: u64,
    /// The interval at which metadata (topics and partitions) is refreshed.
    pub metadata_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bootstrap: "127.0.0.1:9092".to_owned(),
            client_id: "pabal".to_owned(),
            security: Security::default(),
            topics: Topics::default(),
            times: Times::default(),
            prefetch_records: 10_000,
            prefetch_kb: 8_192,
            look_back: 100_000,
            compression: "none".to_owned(),
        }
    }
}

impl Default for Times {
    fn default() -> Self {
        Self {
            request_ms: 5_000,
            delivery_ms: 30_000,
            linger_ms: 1,
            session_ms: 10_000,
            heartbeat_ms: 2_000,
            commit_ms: 1_000,
            metadata_ms: 30_000,
        }
    }
}

impl Options {
    /// For these brokers; the rest by default.
    pub fn at(bootstrap: &str) -> Self {
        Self { bootstrap: bootstrap.to_owned(), ..Self::default() }
    }

    pub(crate) fn request(&self) -> Duration {
        Duration::from_millis(self.times.request_ms)
    }
}

/// A value that is never printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the client.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "********" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let security = Security { password: Secret::new("s3cr3t"), key_password: Secret::new("k3y"), ..Security::default() };
        let printed = format!("{:?}", Options { security, ..Options::default() });
        assert!(!printed.contains("s3cr3t") && !printed.contains("k3y") && printed.contains("********"), "{printed}");
    }

    #[test]
    fn a_topic_is_of_the_new_generation_unless_it_is_said_otherwise() {
        let topics = Topics { generation: BTreeMap::from([("orders".into(), Generation::Old)]), ..Topics::default() };
        assert_eq!(["orders", "offers"].map(|topic| topics.generation(topic)), [Generation::Old, Generation::New]);
    }

    #[test]
    fn options_are_read_by_their_names() {
        let text = r#"{"bootstrap":"k:9092","security":{"protocol":"sasl_ssl","mechanism":"PLAIN","password":"x"},
            "topics":{"partitions":4,"generation":{"a":"old"}},"times":{"linger_ms":3}}"#;
        let options: Options = serde_json::from_str(text).unwrap();
        assert_eq!((options.security.protocol, options.topics.partitions, options.times.linger_ms), (Protocol::SaslSsl, 4, 3));
        assert!(serde_json::from_str::<Options>(r#"{"bootstap":"k:9092"}"#).is_err(), "a misspelt name is an error");
    }
}
