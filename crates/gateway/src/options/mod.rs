//! Settings of the gateway.

mod authenticate;
mod origins;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub use authenticate::{Anonymous, Authenticate, Authenticating, Identity};
pub use origins::Origins;

/// Settings of the gateway, with defaults for a laptop.
#[derive(Clone)]
#[allow(clippy::struct_excessive_bools)] // switches of the configuration, each independent of the others
pub struct GatewayOptions {
    /// Serve on addresses that other machines can reach. Otherwise such a listener is an error.
    pub allow_remote: bool,
    /// Origins whose pages may send requests.
    pub origins: Origins,
    /// The rate limit of one client; `None` is unlimited.
    pub rate: Option<Rate>,
    /// Whether the rate limit applies to clients on this machine.
    pub rate_loopback: bool,
    /// Trust `X-Forwarded-For`: only behind a proxy that sets it itself.
    pub trust_forwarded: bool,
    /// Longest request body. A resource may have a lower limit of its own.
    pub body_limit_bytes: usize,
    /// Longest request header, names and values together.
    pub header_limit_bytes: usize,
    /// How long a request may take; it is answered 503 then.
    pub request_timeout: Duration,
    /// How long a header may take to arrive, and a connection may be idle.
    pub header_timeout: Duration,
    /// Open connections; more wait in the listener's queue.
    pub max_connections: usize,
    /// Add an idempotency key to `POST` requests without one, so that a proxy behind this gateway may retry them.
    pub add_idempotency_keys: bool,
    /// Cleared when stopping begins; share it with `HttpOptions::ready`, so that the readiness probe shows it.
    pub ready: Arc<AtomicBool>,
    /// How long requests are still accepted after that, until load balancers have noticed.
    pub drain: Duration,
    /// How long requests in flight may take to finish.
    pub grace: Duration,
    /// Establishes the actor of requests.
    pub authenticate: Arc<dyn Authenticate>,
}

/// The rate limit of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests per second on average.
    pub per_second: NonZeroU32,
    /// Requests at once.
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
