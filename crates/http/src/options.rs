//! What an installation decides about its HTTP face.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use jiff::tz::TimeZone;
use serde_json::Value;

/// Writes the metrics as a Prometheus scrape.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What is told of an engine in `/actuator/health` beside its own state, by its name.
pub type Details = Arc<dyn Fn(&str) -> Option<Value> + Send + Sync>;

/// The HTTP face's settings, with defaults for a laptop.
#[derive(Clone)]
pub struct HttpOptions {
    /// Whose resource a shared bare name means, where neither header nor host name says so.
    pub default_system: Option<String>,
    /// Scheme and authority of links where a request names no host, e.g. `http://localhost:8088`.
    pub public_url: String,
    /// Believe `Forwarded` and `X-Forwarded-*`: only behind a proxy that sets them itself.
    pub trust_forwarded: bool,
    /// Longest request body.
    pub body_limit_bytes: usize,
    /// The zone in which bare dates of a query are meant.
    pub zone: TimeZone,
    /// Whether this process should get requests; cleared when it begins to stop.
    pub ready: Arc<AtomicBool>,
    /// A change that waits for the outside is answered by then, settled or not; it goes on by itself. Shorter than the
    /// gateway's deadline, so that the client learns which of the two it was.
    pub settle_within_ms: i64,
    /// A writer that has not gone round for so long is stuck.
    pub stuck_after_ms: i64,
    /// The text of `/metrics`; without it there is no such route.
    pub metrics: Option<RenderMetrics>,
    /// More for `/actuator/health`. It says nothing about whether the process is ready.
    pub details: Option<Details>,
    /// Whether the admin API is served.
    pub admin: bool,
    /// Where `GET` of a path that is no resource goes; without it that is 404.
    pub front: Option<Router>,
    /// The version that the documents name.
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
