//! How a core is doing, for health, metrics and people.

use serde::Serialize;

/// How a running system is doing.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Last position of the log.
    pub last_seq: u64,
    /// Each consumer with its position.
    pub subscriptions: Vec<ConsumerStatus>,
    /// Effects that have not ended.
    pub effects: usize,
    /// Parked keys, dead ones among them.
    pub parked_keys: usize,
    /// Keys whose head is a dead letter.
    pub dead_keys: usize,
    /// A view being built anew.
    pub rebuild: Option<RebuildStatus>,
    /// The last view that was built anew to its end, since the start.
    pub rebuilt: Option<RebuildDone>,
    /// The writer thread lives and the store takes commits.
    pub healthy: bool,
    /// Why it is not healthy.
    pub cause: Option<String>,
    /// When the writer last went round, milliseconds since 1970: for the watchdog.
    pub heartbeat_ms: i64,
}

/// How far a rebuild has come.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RebuildStatus {
    /// Counts the rebuilds since the start.
    pub number: u64,
    /// The view.
    pub view: String,
    /// The last position that is in it.
    pub position: u64,
    /// Why it failed.
    pub failed: Option<String>,
}

/// A rebuild that came to its end: the new rows serve.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RebuildDone {
    /// The number that it had while it ran.
    pub number: u64,
    /// The view.
    pub view: String,
    /// The last position that was in it.
    pub position: u64,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
}

/// A consumer's offset in the log.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerStatus {
    /// `<system>.<service>` or `<system>.<service>.<view>`.
    pub name: String,
    /// The topic.
    pub topic: String,
    /// The partition, 0 for an embedded log.
    pub partition: u32,
    /// The last position it has handled.
    pub position: u64,
    /// Positions it is behind by.
    pub lag: u64,
}
