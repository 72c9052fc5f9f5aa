//! One replica of a service: its connections, its circuit breaker and its health.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::breaker::{Admission, Breaker};
use super::failure::Failure;
use super::metrics::UpstreamMetrics;
use crate::forward::options::ForwardOptions;

/// One replica of a service.
pub(crate) struct Upstream {
    authority: Authority,
    pub metrics: UpstreamMetrics,
    client: Client<HttpConnector, Body>,
    pub breaker: Breaker,
    connections: Arc<Semaphore>,
    max_connections: usize,
    health: AtomicU8,
    /// Consecutive failed health checks.
    failed_checks: AtomicU32,
    /// Requests a health check before the next one is due.
    check_now: Notify,
}

/// How long an idle connection is kept. Services keep theirs longer, so that none is closed while a request is being sent.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The result of the last health checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Unknown,
    Up,
    Down,
}

impl Upstream {
    /// At an address of the form `http://host:port`; `None` where it is not.
    pub fn try_new(address: &str, metrics: impl FnOnce(&str) -> UpstreamMetrics, options: &ForwardOptions) -> Option<Self> {
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
            .pool_idle_timeout(KEEP_ALIVE)
            .pool_max_idle_per_host(options.max_connections)
            .build(connector);
        Some(Self {
            metrics: metrics(authority.as_str()),
            authority: authority.clone(),
            client,
            breaker: Breaker::new(options.breaker.clone(), Instant::now()),
            connections: Arc::new(Semaphore::new(options.max_connections)),
            max_connections: options.max_connections,
            health: AtomicU8::new(Health::Unknown as u8),
            failed_checks: AtomicU32::new(0),
            check_now: Notify::new(),
        })
    }

    pub fn address(&self) -> &str {
        self.authority.as_str()
    }

    /// Requests in flight.
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

    /// Records the result of a health check. A first failed check counts, later ones only after `down_after` in a row.
    pub fn record_check(&self, healthy: bool, down_after: u32) {
        let before = self.health();
        let upstream = self.address();
        if healthy {
            self.failed_checks.store(0, Ordering::Relaxed);
            if before != Health::Up {
                self.set_health(Health::Up);
                self.breaker.allow_probe();
                tracing::info!(upstream, "an upstream is up");
            }
            return;
        }
        let failed = self.failed_checks.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if before == Health::Unknown || (before == Health::Up && failed >= down_after) {
            self.set_health(Health::Down);
            tracing::warn!(upstream, "an upstream is down, and gets requests only where no other is up");
        }
    }

    /// Ends when a health check is requested before the next one is due.
    pub async fn check_requested(&self) {
        self.check_now.notified().await;
    }

    /// Whether requests may go to it now.
    pub fn is_usable(&self, now: Instant) -> bool {
        self.health() != Health::Down && self.breaker.admits(now)
    }

    /// Records that a response's body failed, whose head had succeeded.
    pub fn record_body_failure(&self, kind: &'static str) {
        self.metrics.record_failure(kind);
        self.breaker.record_failure(Admission::Normal, Instant::now());
    }

    fn set_health(&self, health: Health) {
        self.health.store(health as u8, Ordering::Relaxed);
    }

    /// Sends a request, and waits for the response's head. The permit is to be held until the response's body has ended.
    pub async fn send(
        &self,
        target: &PathAndQuery,
        request: Request<Body>,
        timeout: Duration,
    ) -> Result<(Response<Incoming>, OwnedSemaphorePermit), Failure> {
        let until = tokio::time::Instant::now() + timeout;
        let acquired = tokio::time::timeout_at(until, self.connections.clone().acquire_owned());
        let Ok(Ok(permit)) = acquired.await else { return Err(Failure::Busy) };
        let request = self.addressed(target, request).ok_or(Failure::NotConnected)?;
        match tokio::time::timeout_at(until, self.client.request(request)).await {
            Ok(Ok(response)) => Ok((response, permit)),
            Ok(Err(error)) => Err(self.failure(&error)),
            Err(_elapsed) => Err(Failure::TimedOut),
        }
    }

    /// Requests its health, outside of the limit on connections: a busy upstream is not down.
    pub async fn get(&self, path: &PathAndQuery) -> Option<Response<Incoming>> {
        let request = self.addressed(path, Request::new(Body::empty()))?;
        self.client.request(request).await.ok()
    }

    fn addressed(&self, target: &PathAndQuery, mut request: Request<Body>) -> Option<Request<Body>> {
        let uri = Uri::builder().scheme(Scheme::HTTP).authority(self.authority.clone()).path_and_query(target.clone());
        *request.uri_mut() = uri.build().ok()?;
        Some(request)
    }

    fn failure(&self, error: &Error) -> Failure {
        tracing::debug!(error.detail = ?error, upstream = self.address(), "an upstream did not respond");
        if error.is_connect() {
            // The health check need not wait for its interval.
            self.check_now.notify_one();
            return Failure::NotConnected;
        }
        Failure::Broken
    }
}
