//! The upstreams of one service: which of them a try goes to, and how much of everything there may be at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::measure::Labels;
use super::options::{ForwardError, ForwardOptions, MOST_ADDRESSES, Remote};
use super::upstream::{Health, Pass, Upstream};

pub(crate) struct Pool {
    pub system: &'static str,
    pub service: &'static str,
    pub upstreams: Vec<Arc<Upstream>>,
    /// The bulkhead: a service that hangs takes no more of the door than this.
    pub in_flight: Arc<Semaphore>,
    /// Requests that are being repeated.
    pub repeating: Semaphore,
    turn: AtomicUsize,
}

/// Which upstreams were tried, a bit each.
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
    pub fn of(
        system: &'static str,
        service: &'static str,
        remote: &Remote,
        options: &ForwardOptions,
    ) -> Result<Self, ForwardError> {
        let count = remote.addresses.len();
        if !(1..=MOST_ADDRESSES).contains(&count) {
            return Err(ForwardError::Addresses { service: service.to_owned(), count });
        }
        let upstream = |address: &String| {
            let upstream = Upstream::of(address, |name| Labels::of(system, service, name), options).map(Arc::new);
            upstream.ok_or_else(|| ForwardError::Address { service: service.to_owned(), address: address.clone() })
        };
        Ok(Self {
            system,
            service,
            upstreams: remote.addresses.iter().map(upstream).collect::<Result<_, _>>()?,
            in_flight: Arc::new(Semaphore::new(options.max_in_flight)),
            repeating: Semaphore::new(options.max_repeating),
            turn: AtomicUsize::new(0),
        })
    }

    /// The upstream for a try, of those whose breakers let something through: a healthy one rather than one that is not, one
    /// that was not tried rather than one that was, then the one with the least to do, and in turn where all are equal. One
    /// that health checks find down is a last resort, because a check may be wrong; the breaker is what refuses.
    pub fn pick(&self, tried: Tried, now: Instant) -> Option<(usize, Pass)> {
        let count = self.upstreams.len();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut refused = Tried::default();
        for _ in 0..count {
            let candidates = (0..count).map(|place| (turn.wrapping_add(place)) % count).filter(|index| !refused.has(*index));
            let allowed = candidates.filter(|index| self.upstreams[*index].breaker.allows(now));
            let best = allowed.min_by_key(|index| {
                let upstream = &self.upstreams[*index];
                (upstream.health() == Health::Down, tried.has(*index), upstream.is_full(), upstream.in_flight())
            })?;
            if let Some(pass) = Pass::of(&self.upstreams[best], now) {
                return Some((best, pass));
            }
            // Another request was let through in between.
            refused.add(best);
        }
        None
    }

    /// Whether there is one that seems to be well and was not tried.
    pub fn has_fresh(&self, tried: Tried, now: Instant) -> bool {
        let fresh = |(index, upstream): (usize, &Arc<Upstream>)| {
            !tried.has(index) && upstream.health() != Health::Down && upstream.breaker.allows(now)
        };
        self.upstreams.iter().enumerate().any(fresh)
    }

    /// When the first breaker lets something through again.
    pub fn opens_in(&self, now: Instant) -> Duration {
        self.upstreams.iter().map(|upstream| upstream.breaker.opens_in(now)).min().unwrap_or_default()
    }
}
