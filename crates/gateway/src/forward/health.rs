//! Looking after upstreams: each is asked every few seconds, and at once when a connection to it has failed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::uri::PathAndQuery;
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::options::HealthOptions;
use super::pool::Pool;
use super::upstream::{Health, Upstream};

/// Between two checks of one upstream there is at least this, however many ask for one.
const AT_LEAST: Duration = Duration::from_millis(100);
/// A verdict is short; more of it is not read.
const LONGEST_VERDICT: usize = 64 * 1024;

/// Begins to look after all upstreams; it ends with the set.
pub(crate) fn look_after(pools: &[Pool], options: &HealthOptions) -> JoinSet<()> {
    let mut checks = JoinSet::new();
    let path = options.path.parse().unwrap_or_else(|_| PathAndQuery::from_static("/readyz"));
    for upstream in pools.iter().flat_map(|pool| &pool.upstreams) {
        checks.spawn(watch(upstream.clone(), path.clone(), options.clone()));
    }
    checks
}

async fn watch(upstream: Arc<Upstream>, path: PathAndQuery, options: HealthOptions) {
    loop {
        let well = tokio::time::timeout(options.timeout, check(&upstream, &path)).await.unwrap_or(false);
        note(&upstream, well, options.down_after);
        upstream.labels.up(upstream.health() == Health::Up);
        upstream.labels.breaker(upstream.breaker.stands());
        upstream.labels.in_flight(upstream.in_flight());
        tokio::time::sleep(AT_LEAST.min(options.every)).await;
        tokio::select! {
            () = tokio::time::sleep(jittered(options.every)) => {}
            () = upstream.look.notified() => {}
        }
    }
}

async fn check(upstream: &Upstream, path: &PathAndQuery) -> bool {
    let Some(response) = upstream.ask(path).await else { return false };
    let well = response.status().is_success();
    // Read to its end, so that the connection can be used again.
    let read = Limited::new(response.into_body(), LONGEST_VERDICT).collect().await;
    well && read.is_ok()
}

fn note(upstream: &Upstream, well: bool, down_after: u32) {
    let before = upstream.health();
    let address = upstream.address();
    if well {
        upstream.bad_checks.store(0, Ordering::Relaxed);
        if before != Health::Up {
            upstream.set_health(Health::Up);
            upstream.breaker.is_well();
            tracing::info!(upstream = address, "an upstream is well");
        }
        return;
    }
    let bad = upstream.bad_checks.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    // What was never seen well is not given the benefit of the doubt.
    if before == Health::Unknown || (before == Health::Up && bad >= down_after) {
        upstream.set_health(Health::Down);
        tracing::warn!(upstream = address, "an upstream is not well, and is left out");
    }
}

/// Give or take a fifth, so that many doors do not ask in step.
fn jittered(every: Duration) -> Duration {
    every.mul_f64(0.8 + 0.4 * chance())
}

/// From 0 to 1: the random end of an id.
#[allow(clippy::cast_precision_loss)] // 53 bits of chance are enough
pub(crate) fn chance() -> f64 {
    (Uuid::now_v7().as_u64_pair().1 << 2 >> 11) as f64 / (1u64 << 53) as f64
}

/// A service as `/actuator/health` shows it: up while there is one upstream that requests may go to.
pub(crate) fn component(pool: &Pool) -> Value {
    let now = std::time::Instant::now();
    let usable = |upstream: &Arc<Upstream>| upstream.health() != Health::Down && upstream.breaker.allows(now);
    let word = |up: bool| if up { "UP" } else { "DOWN" };
    let upstreams = pool.upstreams.iter().map(|upstream| {
        let checked = match upstream.health() {
            Health::Unknown => "UNKNOWN",
            health => word(health == Health::Up),
        };
        let (breaker, in_flight) = (upstream.breaker.stands().word(), upstream.in_flight());
        json!({"address": upstream.address(), "status": checked, "breaker": breaker, "inFlight": in_flight})
    });
    let details = json!({"upstreams": upstreams.collect::<Vec<_>>()});
    json!({"status": word(pool.upstreams.iter().any(usable)), "details": details})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_stays_within_its_bounds_and_varies() {
        let tries: Vec<f64> = (0..1000).map(|_| chance()).collect();
        assert!(tries.iter().all(|chance| (0.0..1.0).contains(chance)));
        let mean = tries.iter().sum::<f64>() / 1000.0;
        assert!((0.4..0.6).contains(&mean), "{mean}");
        assert!((Duration::from_millis(2400)..Duration::from_millis(3601)).contains(&jittered(Duration::from_secs(3))));
    }
}
