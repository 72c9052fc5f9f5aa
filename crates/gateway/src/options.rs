//! What an installation decides about its door.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::auth::{Anonymous, Authenticate};
use crate::cors::Origins;

/// The door's settings, with defaults for a laptop.
#[derive(Clone)]
#[allow(clippy::struct_excessive_bools)] // switches of the configuration, each independent of the others
pub struct GatewayOptions {
    /// Serve on addresses that others can reach. Off, such a listener is an error.
    pub allow_remote: bool,
    /// Which pages of other origins may ask.
    pub origins: Origins,
    /// How much one client may ask; `None` is without bound.
    pub rate: Option<Rate>,
    /// Whether clients on this machine are counted too.
    pub rate_loopback: bool,
    /// Believe `X-Forwarded-For`: only behind a proxy that sets it itself.
    pub trust_forwarded: bool,
    /// Longest request body. A resource may have a lower limit of its own.
    pub body_limit_bytes: usize,
    /// Longest request header, names and values together.
    pub header_limit_bytes: usize,
    /// A request that is not answered by then is given up.
    pub request_timeout: Duration,
    /// A header that is not complete by then, and a connection idle for so long, is closed.
    pub header_timeout: Duration,
    /// Open connections; more of them wait in the listener's queue.
    pub max_connections: usize,
    /// Give a `POST` without an idempotency key one, so that a proxy behind this door may repeat it.
    pub add_idempotency_keys: bool,
    /// Cleared when stopping begins, so that the readiness probe says so; share it with the HTTP face.
    pub ready: Arc<AtomicBool>,
    /// How long requests are still taken after that, until everybody has heard.
    pub drain: Duration,
    /// How long what is in flight may take to finish.
    pub grace: Duration,
    /// Who asks.
    pub authenticate: Arc<dyn Authenticate>,
}

/// Requests of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_second: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        let generous = NonZeroU32::MIN.saturating_add(9_999);
        Self {
            allow_remote: false,
            origins: Origins::default(),
            rate: Some(Rate { per_second: generous, burst: generous }),
            rate_loopback: false,
            trust_forwarded: false,
            body_limit_bytes: 16 * 1024 * 1024,
            header_limit_bytes: 16 * 1024,
            request_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_mins(1),
            max_connections: 10_000,
            add_idempotency_keys: false,
            ready: Arc::new(AtomicBool::new(true)),
            drain: Duration::ZERO,
            grace: Duration::from_secs(10),
            authenticate: Arc::new(Anonymous),
        }
    }
}
