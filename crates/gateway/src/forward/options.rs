//! What an installation decides about forwarding: where services run, and how much patience they get.

use std::time::Duration;

/// A service that runs in other processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its system, as declared.
    pub system: String,
    /// Its name, as declared.
    pub service: String,
    /// Where its replicas listen, each as `http://host:port`; one name that stands for all of them is enough.
    pub addresses: Vec<String>,
}

/// Forwarding's settings. The defaults are for services of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // switches of the configuration, each independent of the others
pub struct ForwardOptions {
    /// Whose resource a shared bare name means, where neither header nor host name says so.
    pub default_system: Option<String>,
    /// Scheme and authority of links where a request names no host.
    pub public_url: String,
    /// Believe `Forwarded` and `X-Forwarded-*` of clients: only behind a proxy that sets them itself.
    pub trust_forwarded: bool,
    /// Whether the admin API of services is forwarded to.
    pub admin: bool,
    /// How often a request is tried at most, the first time included.
    pub attempts: u32,
    /// How long one try of a request that may be repeated waits for the answer's head. Longer than a service holds back
    /// answers that wait for something (`HttpOptions::settle_within_ms`).
    pub per_try: Duration,
    /// How long all tries and the pauses between them may take. Shorter than the door's `request_timeout`.
    pub overall: Duration,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// The pause before the second try; it doubles with each further one.
    pub backoff: Duration,
    /// The longest pause.
    pub longest_backoff: Duration,
    /// Requests of one service at once, waiting ones included; beyond it is 503.
    pub max_in_flight: usize,
    /// Requests at one upstream at once, each on a connection of its own; more of them wait, within their time. As many may
    /// stand idle, and one is for health checks.
    pub max_connections: usize,
    /// Requests of one service that are being repeated at once, so that repetitions cannot bury a service that is weak.
    pub max_repeating: usize,
    /// The longest body that is kept so that it can be sent again; a longer one passes through and is sent once.
    pub keep_bytes: usize,
    /// An answer's body that stands still for so long is broken off.
    pub idle_timeout: Duration,
    /// Give changes without an idempotency key one, so that they may be repeated.
    pub add_idempotency_keys: bool,
    /// Services heed idempotency keys of `PUT`, `PATCH` and `DELETE` as well as of `POST`. Without it, those of an action and
    /// those with `If-Match` are not repeated: the first could count twice, the second be refused for its own first try.
    pub keys_heeded_everywhere: bool,
    /// Take 500 for a failure of the upstream, too: such requests are repeated, and count against it.
    pub distrust_500: bool,
    /// When an upstream is let alone.
    pub breaker: BreakerOptions,
    /// How upstreams are looked after.
    pub health: HealthOptions,
}

/// When an upstream is let alone, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerOptions {
    /// So many failures without a success between them.
    pub consecutive: u32,
    /// Or this share of the requests of a window, in percent …
    pub percent: u32,
    /// … if there were at least so many.
    pub least: u32,
    /// How long a window is.
    pub window: Duration,
    /// How long it is let alone the first time; it doubles each further time.
    pub open: Duration,
    /// The longest it is let alone.
    pub longest_open: Duration,
}

/// How upstreams are looked after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthOptions {
    /// How often each is asked, give or take a fifth.
    pub every: Duration,
    /// An answer that takes longer is none.
    pub timeout: Duration,
    /// What it is asked for.
    pub path: String,
    /// So many bad answers in a row make it one to be left out.
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
            max_repeating: 64,
            keep_bytes: 64 * 1024,
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
            least: 20,
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

/// What is said about remote services cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardError {
    /// No system declares it.
    Unknown {
        /// The system that was named.
        system: String,
        /// The service that was named.
        service: String,
    },
    /// It is named twice.
    Twice {
        /// Whose it is.
        system: String,
        /// The service.
        service: String,
    },
    /// It has no address, or more of them than there may be.
    Addresses {
        /// The service.
        service: String,
        /// How many it has.
        count: usize,
    },
    /// An address is not `http://host:port`.
    Address {
        /// The service.
        service: String,
        /// What stands there.
        address: String,
    },
    /// A setting cannot be.
    Setting(&'static str),
}

impl std::fmt::Display for ForwardError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown { system, service } => write!(f, "no system that is known here declares `{system}/{service}`"),
            Self::Twice { system, service } => write!(f, "`{system}/{service}` is named twice"),
            Self::Addresses { service, count } => {
                write!(f, "`{service}` has {count} addresses; it takes 1 to {MOST_ADDRESSES}")
            }
            Self::Address { service, address } => write!(f, "`{address}` of `{service}` is not of the form http://host:port"),
            Self::Setting(sentence) => f.write_str(sentence),
        }
    }
}

impl std::error::Error for ForwardError {}

/// Addresses of one service: which of them were tried is kept in one word.
pub(crate) const MOST_ADDRESSES: usize = 64;

impl ForwardOptions {
    /// Refuses what would let nothing through.
    pub(crate) fn check(&self) -> Result<(), ForwardError> {
        let bounds = [self.attempts as usize, self.max_in_flight, self.max_connections];
        if bounds.contains(&0) {
            return Err(ForwardError::Setting("attempts, requests in flight and connections must be at least 1"));
        }
        if self.max_in_flight.max(self.max_connections).max(self.max_repeating) > tokio::sync::Semaphore::MAX_PERMITS {
            return Err(ForwardError::Setting("a bound of forwarding is larger than there can be"));
        }
        if [self.per_try, self.overall, self.connect_timeout, self.health.every, self.health.timeout].contains(&Duration::ZERO) {
            return Err(ForwardError::Setting("times of forwarding must be longer than nothing"));
        }
        if !self.health.path.starts_with('/') || self.health.path.parse::<axum::http::uri::PathAndQuery>().is_err() {
            return Err(ForwardError::Setting("the path that upstreams are asked for is no path"));
        }
        Ok(())
    }
}
