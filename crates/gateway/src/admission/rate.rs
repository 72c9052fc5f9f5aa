//! Rate limits per client.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use axum::http::HeaderMap;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::options::{GatewayOptions, Rate};

/// Counts requests by client.
pub(super) struct RateLimits {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
    loopback: bool,
    trust_forwarded: bool,
}

impl RateLimits {
    pub fn new(rate: Rate, options: &GatewayOptions) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self {
            limiter: RateLimiter::keyed(quota),
            clock: DefaultClock::default(),
            loopback: options.rate_loopback,
            trust_forwarded: options.trust_forwarded,
        }
    }

    /// Counts a request; the error is how long to wait where the limit is exceeded.
    pub fn check(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<(), Duration> {
        let client = if self.trust_forwarded { forwarded_for(headers).or(peer) } else { peer };
        // A request without a peer did not come by a socket: a test, or a router within the process.
        let Some(client) = client.filter(|client| self.loopback || !client.is_loopback()) else { return Ok(()) };
        self.limiter.check_key(&network(client)).map_err(|not_yet| not_yet.wait_time_from(self.clock.now()))
    }

    /// Forgets clients without recent requests, so that the memory for them stays bounded.
    pub fn forget_idle(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

/// The address that the nearest proxy saw: the last one, since a client can forge the ones before.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}

/// A household usually has an IPv6 /64; it counts as one client.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn rates(trust_forwarded: bool) -> RateLimits {
        let options = GatewayOptions { trust_forwarded, ..GatewayOptions::default() };
        RateLimits::new(Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN }, &options)
    }

    #[test]
    fn each_client_has_a_limit_of_its_own() {
        let rates = rates(false);
        let (one, other) = (Some("10.0.0.1".parse().unwrap()), Some("10.0.0.2".parse().unwrap()));
        assert!(rates.check(one, &HeaderMap::new()).is_ok());
        assert!(rates.check(one, &HeaderMap::new()).is_err());
        assert!(rates.check(other, &HeaderMap::new()).is_ok());
    }

    #[test]
    fn a_client_cannot_forge_its_address() {
        let headers = HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), "1.1.1.1, 10.0.0.1".parse().unwrap())]);
        assert_eq!(forwarded_for(&headers), Some("10.0.0.1".parse().unwrap()));
        assert!(rates(true).check(None, &headers).is_ok());
    }

    #[test]
    fn clients_on_this_machine_are_not_limited() {
        let rates = rates(false);
        let here = Some("127.0.0.1".parse().unwrap());
        assert!((0..10).all(|_| rates.check(here, &HeaderMap::new()).is_ok()));
    }
}
