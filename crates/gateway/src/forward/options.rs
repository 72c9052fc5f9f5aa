//! Settings of forwarding: where services run, and the limits and timeouts of requests to them.

use std::time::Duration;

/// A service that runs in other processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its system, as declared.
    pub system: String,
    /// Its name, as declared.
    pub service: String,
    /// The addresses of its replicas, each as `http://host:port`; one host name that resolves to all of them is enough.
    pub addresses: Vec<String>,
}

/// Settings of forwarding. The defaults are for services of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // switches of the configuration, each independent of the others
pub struct ForwardOptions {
    /// The system that a name means which several systems declare, where neither the header nor the host name selects one.
    pub default_system: Option<String>,
    /// Scheme and authority of links where a request has no host.
    pub public_url: String,
    /// Trust `Forwarded` and `X-Forwarded-*` of clients: only behind a proxy that sets them itself.
    pub trust_forwarded: bool,
    /// Whether the admin API of services is forwarded.
    pub admin: bool,
    /// Attempts of a request, at most, the first one included.
    pub attempts: u32,
    /// How long one attempt of a request that may be retried waits for the response's head. Longer than a service waits for
    /// external systems (`HttpOptions::settle_within_ms`).
    pub per_try: Duration,
    /// How long all attempts and the delays between them may take. Shorter than the gateway's `request_timeout`.
    pub overall: Duration,
    /// How long a connection may take to be established.
    pub connect_timeout: Duration,
    /// The delay before the second attempt; it doubles with each further one.
    pub backoff: Duration,
    /// The longest delay.
    pub longest_backoff: Duration,
    /// Concurrent requests of one service, waiting ones included; more are 503.
    pub max_in_flight: usize,
    /// Concurrent requests at one upstream, each on a connection of its own; more wait, within their timeout. As many idle
    /// connections are kept, and one is for health checks.
    pub max_connections: usize,
    /// Concurrent retries of one service, so that retries cannot overload it.
    pub max_retrying: usize,
    /// The longest body that is buffered, so that it can be sent again; a longer one is streamed and sent once.
    pub buffer_bytes: usize,
    /// How long a response's body may be idle before it is broken off.
    pub idle_timeout: Duration,
    /// Add an idempotency key to changes without one, so that they may be retried.
    pub add_idempotency_keys: bool,
    /// Services support idempotency keys of `PUT`, `PATCH` and `DELETE` as well as of `POST`. Otherwise those of an action and
    /// those with `If-Match` are not retried: the former could take effect twice, the latter fail because of its own first attempt.
    pub keys_heeded_everywhere: bool,
    /// Treat 500 as a failure of the upstream: such requests are retried, and count for its circuit breaker.
    pub distrust_500: bool,
    /// When the circuit breaker of an upstream opens.
    pub breaker: BreakerOptions,
    /// Health checks of upstreams.
    pub health: HealthOptions,
}

/// When a circuit breaker opens, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerOptions {
    /// It opens after this many consecutive failures.
    pub consecutive: u32,
    /// Or after this share of failures in a window, in percent …
    pub percent: u32,
    /// … if the window has at least this many requests.
    pub min_requests: u32,
    /// The length of a window.
    pub window: Duration,
    /// How long it is open the first time; it doubles with each failed probe.
    pub open: Duration,
    /// The longest time that it is open.
    pub longest_open: Duration,
}

/// Health checks of upstreams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthOptions {
    /// The interval of checks, longer or shorter by up to a fifth.
    pub every: Duration,
    /// How long a check may take.
    pub timeout: Duration,
    /// The path that is requested.
    pub path: String,
    /// An upstream is down after this many consecutive failed checks.
    pub down_after: u32,
}

impl Default for ForwardOptions {
    fn default() -> Self {
        Self {
            default_system: None,
            public_url: "http://localhost:8088".to_owned(),
            trust_forwarded: false,
            admin: true,
            attempts: 3,
            per_try: Duration::from_secs(8),
            overall: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(1),
            backoff: Duration::from_millis(25),
            longest_backoff: Duration::from_millis(250),
            max_in_flight: 1024,
            max_connections: 256,
            max_retrying: 64,
            buffer_bytes: 64 * 1024,
            idle_timeout: Duration::from_mins(1),
            add_idempotency_keys: true,
            keys_heeded_everywhere: false,
            distrust_500: false,
            breaker: BreakerOptions::default(),
            health: HealthOptions::default(),
        }
    }
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            consecutive: 5,
            percent: 50,
            min_requests: 20,
            window: Duration::from_secs(10),
            open: Duration::from_secs(2),
            longest_open: Duration::from_secs(30),
        }
    }
}

impl Default for HealthOptions {
    fn default() -> Self {
        Self { every: Duration::from_secs(3), timeout: Duration::from_secs(1), path: "/readyz".to_owned(), down_after: 2 }
    }
}

/// The settings of forwarding are invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardError {
    /// No system declares the service.
    Unknown {
        /// The system that was named.
        system: String,
        /// The service that was named.
        service: String,
    },
    /// A service is configured twice.
    Twice {
        /// Its system.
        system: String,
        /// The service.
        service: String,
    },
    /// A service has no address, or too many.
    Addresses {
        /// The service.
        service: String,
        /// The number of its addresses.
        count: usize,
    },
    /// An address is not `http://host:port`.
    Address {
        /// The service.
        service: String,
        /// The configured value.
        address: String,
    },
    /// A setting is invalid.
    Setting(&'static str),
}

impl std::fmt::Display for ForwardError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown { system, service } => write!(f, "no known system declares `{system}/{service}`"),
            Self::Twice { system, service } => write!(f, "`{system}/{service}` is configured twice"),
            Self::Addresses { service, count } => {
                write!(f, "`{service}` has {count} addresses; it may have 1 to {MAX_ADDRESSES}")
            }
            Self::Address { service, address } => write!(f, "`{address}` of `{service}` is not of the form http://host:port"),
            Self::Setting(sentence) => f.write_str(sentence),
        }
    }
}

impl std::error::Error for ForwardError {}

/// Addresses of one service, at most: those that were tried are the bits of one integer.
pub(crate) const MAX_ADDRESSES: usize = 64;

impl ForwardOptions {
    /// Rejects settings with which nothing could be forwarded.
    pub(crate) fn check(&self) -> Result<(), ForwardError> {
        let bounds = [self.attempts as usize, self.max_in_flight, self.max_connections];
        if bounds.contains(&0) {
            return Err(ForwardError::Setting("attempts, requests in flight and connections must be at least 1"));
        }
        if self.max_in_flight.max(self.max_connections).max(self.max_retrying) > tokio::sync::Semaphore::MAX_PERMITS {
            return Err(ForwardError::Setting("a limit of forwarding is too large"));
        }
        if [self.per_try, self.overall, self.connect_timeout, self.health.every, self.health.timeout].contains(&Duration::ZERO) {
            return Err(ForwardError::Setting("timeouts of forwarding must be longer than zero"));
        }
        if !self.health.path.starts_with('/') || self.health.path.parse::<axum::http::uri::PathAndQuery>().is_err() {
            return Err(ForwardError::Setting("the path of health checks is not a path"));
        }
        Ok(())
    }
}
