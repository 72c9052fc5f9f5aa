//! Settings of the HTTP interface.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use jiff::tz::TimeZone;
use serde_json::Value;

/// Writes the metrics as a Prometheus scrape.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Further details of an engine in `/actuator/health`, by its name.
pub type Details = Arc<dyn Fn(&str) -> Option<Value> + Send + Sync>;

/// Settings of the HTTP interface, with defaults for a laptop.
#[derive(Clone)]
pub struct HttpOptions {
    /// The system that a name means which several systems declare, where neither the header nor the host name selects one.
    pub default_system: Option<String>,
    /// Scheme and authority of links where a request has no host, e.g. `http://localhost:8088`.
    pub public_url: String,
    /// Trust `Forwarded` and `X-Forwarded-*`: only behind a proxy that sets them itself.
    pub trust_forwarded: bool,
    /// Longest request body.
    pub body_limit_bytes: usize,
    /// The time zone of dates without one in queries.
    pub zone: TimeZone,
    /// Whether this process should receive requests; cleared when it begins to stop.
    pub ready: Arc<AtomicBool>,
    /// How long the response to a change waits for an external system; the change itself goes on after that. Shorter than the
    /// gateway's timeout, so that the client learns which of the two it was.
    pub settle_within_ms: i64,
    /// A writer whose heartbeat is older than this is stuck.
    pub stuck_after_ms: i64,
    /// The text of `/metrics`; without it the route does not exist.
    pub metrics: Option<RenderMetrics>,
    /// More for `/actuator/health`. It does not affect readiness.
    pub details: Option<Details>,
    /// Whether the admin API is served.
    pub admin: bool,
    /// Serves `GET` of paths that are no resource; without it they are 404.
    pub front: Option<Router>,
    /// The version in the documents.
    pub version: String,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            default_system: None,
            public_url: "http://localhost:8088".to_owned(),
            trust_forwarded: false,
            body_limit_bytes: 1024 * 1024,
            zone: TimeZone::get("Asia/Seoul").unwrap_or(TimeZone::UTC),
            ready: Arc::new(AtomicBool::new(true)),
            settle_within_ms: 5_000,
            stuck_after_ms: 15_000,
            metrics: None,
            details: None,
            admin: true,
            front: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
