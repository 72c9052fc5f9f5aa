//! One upstream: its connections, its breaker, its health, and one try of a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{HeaderMap, Method, Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::breaker::{Breaker, Entry, Stands};
use super::measure::Labels;
use super::options::ForwardOptions;

pub(crate) struct Upstream {
    authority: Authority,
    pub labels: Labels,
    client: Client<HttpConnector, Body>,
    pub breaker: Breaker,
    connections: Arc<Semaphore>,
    max_connections: usize,
    health: AtomicU8,
    /// Bad answers to health checks in a row.
    pub bad_checks: AtomicU32,
    /// Asks for a health check before its time.
    pub look: Notify,
}

/// Connections that nothing was sent on for so long are closed; services keep them longer, so that none closes under a request.
const KEEP_IDLE: Duration = Duration::from_secs(30);

/// What the last health check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Unknown,
    Up,
    Down,
}

/// Why a try brought no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// All connections were in use for as long as it could wait. Nothing was sent.
    Busy,
    /// No connection came about. Nothing was sent.
    NotConnected,
    /// No answer came in time.
    TimedOut,
    /// The connection ended before the answer.
    Broken,
}

impl Failure {
    pub fn word(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::NotConnected => "not_connected",
            Self::TimedOut => "timed_out",
            Self::Broken => "broken",
        }
    }

    /// Whether the service cannot have seen the request.
    pub fn is_before_sending(self) -> bool {
        matches!(self, Self::Busy | Self::NotConnected)
    }
}

impl Upstream {
    /// At an address of the form `http://host:port`; `None` where it is not.
    pub fn of(address: &str, labels: impl FnOnce(&str) -> Labels, options: &ForwardOptions) -> Option<Self> {
        let uri: Uri = address.trim_end_matches('/').parse().ok()?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@') && !authority.host().is_empty())?;
        let bare = uri.scheme() == Some(&Scheme::HTTP) && uri.path() == "/" && uri.query().is_none();
        if !bare {
            return None;
        }
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(options.connect_timeout));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(KEEP_IDLE)
            .pool_max_idle_per_host(options.max_connections)
            .build(connector);
        Some(Self {
            labels: labels(authority.as_str()),
            authority: authority.clone(),
            client,
            breaker: Breaker::new(options.breaker.clone(), Instant::now()),
            connections: Arc::new(Semaphore::new(options.max_connections)),
            max_connections: options.max_connections,
            health: AtomicU8::new(Health::Unknown as u8),
            bad_checks: AtomicU32::new(0),
            look: Notify::new(),
        })
    }

    pub fn address(&self) -> &str {
        self.authority.as_str()
    }

    /// Requests that are at it now.
    pub fn in_flight(&self) -> usize {
        self.max_connections.saturating_sub(self.connections.available_permits())
    }

    pub fn is_full(&self) -> bool {
        self.connections.available_permits() == 0
    }

    pub fn health(&self) -> Health {
        match self.health.load(Ordering::Relaxed) {
            up if up == Health::Up as u8 => Health::Up,
            down if down == Health::Down as u8 => Health::Down,
            _ => Health::Unknown,
        }
    }

    pub fn set_health(&self, health: Health) {
        self.health.store(health as u8, Ordering::Relaxed);
    }

    /// Sends a request, for its answer's head. The permit is held until the answer's body has ended.
    pub async fn send(
        &self,
        method: &Method,
        target: &PathAndQuery,
        headers: &HeaderMap,
        body: Body,
        within: Duration,
    ) -> Result<(Response<Incoming>, OwnedSemaphorePermit), Failure> {
        let until = tokio::time::Instant::now() + within;
        let waiting = tokio::time::timeout_at(until, self.connections.clone().acquire_owned());
        let Ok(Ok(permit)) = waiting.await else { return Err(Failure::Busy) };
        let request = self.request(method, target, headers, body).ok_or(Failure::NotConnected)?;
        match tokio::time::timeout_at(until, self.client.request(request)).await {
            Ok(Ok(response)) => Ok((response, permit)),
            Ok(Err(error)) => Err(self.failure(&error)),
            Err(_elapsed) => Err(Failure::TimedOut),
        }
    }

    /// Asks for its health, apart from the bound on connections: a busy upstream is no dead one.
    pub async fn ask(&self, path: &PathAndQuery) -> Option<Response<Incoming>> {
        let request = self.request(&Method::GET, path, &HeaderMap::new(), Body::empty())?;
        self.client.request(request).await.ok()
    }

    fn request(&self, method: &Method, target: &PathAndQuery, headers: &HeaderMap, body: Body) -> Option<Request<Body>> {
        let uri = Uri::builder().scheme(Scheme::HTTP).authority(self.authority.clone()).path_and_query(target.clone());
        let mut request = Request::new(body);
        *request.uri_mut() = uri.build().ok()?;
        *request.method_mut() = method.clone();
        *request.headers_mut() = headers.clone();
        Some(request)
    }

    fn failure(&self, error: &Error) -> Failure {
        tracing::debug!(error.detail = ?error, upstream = self.address(), "an upstream did not answer");
        if error.is_connect() {
            // Whoever looks after it should know at once.
            self.look.notify_one();
            return Failure::NotConnected;
        }
        Failure::Broken
    }
}

/// A request that the breaker let through: how it went is said once, and nothing is said where its client gave it up.
pub(crate) struct Pass {
    pub upstream: Arc<Upstream>,
    entry: Option<Entry>,
}

impl Pass {
    pub fn of(upstream: &Arc<Upstream>, now: Instant) -> Option<Self> {
        let before = upstream.breaker.stands();
        let entry = upstream.breaker.enter(now)?;
        let pass = Self { upstream: upstream.clone(), entry: Some(entry) };
        pass.tell(before);
        Some(pass)
    }

    pub fn went_well(&mut self) {
        self.say(|breaker, entry| breaker.went_well(entry, Instant::now()));
    }

    pub fn failed(&mut self) {
        self.say(|breaker, entry| breaker.failed(entry, Instant::now()));
    }

    fn say(&mut self, how: impl FnOnce(&Breaker, Entry)) {
        let Some(entry) = self.entry.take() else { return };
        let before = self.upstream.breaker.stands();
        how(&self.upstream.breaker, entry);
        self.tell(before);
    }

    fn tell(&self, before: Stands) {
        let stands = self.upstream.breaker.stands();
        if stands != before {
            let (upstream, stands, before) = (self.upstream.address(), stands.word(), before.word());
            tracing::warn!(upstream, stands, before, "the circuit breaker of an upstream changed");
            self.upstream.labels.breaker(self.upstream.breaker.stands());
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.say(Breaker::said_nothing);
    }
}
