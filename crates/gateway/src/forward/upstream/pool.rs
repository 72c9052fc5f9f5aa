//! The upstreams of one service: which one an attempt goes to, and the limits on concurrent requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::attempt::Attempt;
use super::metrics::UpstreamMetrics;
use super::replica::{Health, Upstream};
use crate::forward::options::{ForwardError, ForwardOptions, MAX_ADDRESSES, Remote};

/// The upstreams of one service.
pub(crate) struct Pool {
    pub system: &'static str,
    pub service: &'static str,
    pub upstreams: Vec<Arc<Upstream>>,
    /// The bulkhead: a service that hangs occupies no more of the gateway than this.
    pub in_flight: Arc<Semaphore>,
    /// Requests that are being retried.
    pub retrying: Semaphore,
    next: AtomicUsize,
}

/// The upstreams that were tried, one bit each.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tried(u64);

impl Tried {
    pub fn has(self, index: usize) -> bool {
        self.0 & (1 << index) != 0
    }

    pub fn add(&mut self, index: usize) {
        self.0 |= 1 << index;
    }
}

impl Pool {
    pub fn try_new(
        system: &'static str,
        service: &'static str,
        remote: &Remote,
        options: &ForwardOptions,
    ) -> Result<Self, ForwardError> {
        let count = remote.addresses.len();
        if !(1..=MAX_ADDRESSES).contains(&count) {
            return Err(ForwardError::Addresses { service: service.to_owned(), count });
        }
        let upstream = |address: &String| {
            let upstream = Upstream::try_new(address, |name| UpstreamMetrics::new(system, service, name), options).map(Arc::new);
            upstream.ok_or_else(|| ForwardError::Address { service: service.to_owned(), address: address.clone() })
        };
        Ok(Self {
            system,
            service,
            upstreams: remote.addresses.iter().map(upstream).collect::<Result<_, _>>()?,
            in_flight: Arc::new(Semaphore::new(options.max_in_flight)),
            retrying: Semaphore::new(options.max_retrying),
            next: AtomicUsize::new(0),
        })
    }

    /// The upstream for an attempt, among those whose breakers admit it: one that is up before one that is down, an untried one
    /// before a tried one, then the one with the fewest requests in flight, and round robin among equals. One that is down is the
    /// last resort, because a health check may be wrong; only the breaker excludes.
    pub fn pick(&self, tried: Tried, now: Instant) -> Option<(usize, Attempt)> {
        let count = self.upstreams.len();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut refused = Tried::default();
        for _ in 0..count {
            let candidates = (0..count).map(|offset| first.wrapping_add(offset) % count).filter(|index| !refused.has(*index));
            let admitting = candidates.filter(|index| self.upstreams[*index].breaker.admits(now));
            let best = admitting.min_by_key(|index| {
                let upstream = &self.upstreams[*index];
                (upstream.health() == Health::Down, tried.has(*index), upstream.is_full(), upstream.in_flight())
            })?;
            if let Some(attempt) = Attempt::try_start(&self.upstreams[best], now) {
                return Some((best, attempt));
            }
            // The breaker has admitted another request in between.
            refused.add(best);
        }
        None
    }

    /// Whether a usable upstream was not tried.
    pub fn has_untried(&self, tried: Tried, now: Instant) -> bool {
        let mut upstreams = self.upstreams.iter().enumerate();
        upstreams.any(|(index, upstream)| !tried.has(index) && upstream.is_usable(now))
    }

    /// How long until the first breaker admits an attempt.
    pub fn retry_in(&self, now: Instant) -> Duration {
        self.upstreams.iter().map(|upstream| upstream.breaker.retry_in(now)).min().unwrap_or_default()
    }
}
