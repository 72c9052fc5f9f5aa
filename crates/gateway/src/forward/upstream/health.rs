//! Health checks: each upstream is checked every few seconds, and at once when a connection to it fails.

use std::sync::Arc;
use std::time::Duration;

use axum::http::uri::PathAndQuery;
use http_body_util::{BodyExt, Limited};
use tokio::task::JoinSet;

use super::pools::Pools;
use super::replica::{Health, Upstream};
use crate::forward::jitter;
use crate::forward::options::HealthOptions;

/// The shortest interval between two checks of one upstream, however many are requested.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of a health response that are read.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Starts the checks of all upstreams; they end with the set.
pub(crate) fn start_checks(pools: &Pools, options: &HealthOptions) -> JoinSet<()> {
    let mut checks = JoinSet::new();
    let path = options.path.parse().unwrap_or_else(|_| PathAndQuery::from_static("/readyz"));
    for upstream in pools.upstreams() {
        checks.spawn(keep_checking(upstream.clone(), path.clone(), options.clone()));
    }
    checks
}

async fn keep_checking(upstream: Arc<Upstream>, path: PathAndQuery, options: HealthOptions) {
    loop {
        let healthy = tokio::time::timeout(options.timeout, check(&upstream, &path)).await.unwrap_or(false);
        upstream.record_check(healthy, options.down_after);
        upstream.metrics.set_up(upstream.health() == Health::Up);
        upstream.metrics.set_breaker(upstream.breaker.state());
        upstream.metrics.set_in_flight(upstream.in_flight());
        tokio::time::sleep(MIN_INTERVAL.min(options.every)).await;
        tokio::select! {
            () = tokio::time::sleep(jitter::interval(options.every)) => {}
            () = upstream.check_requested() => {}
        }
    }
}

async fn check(upstream: &Upstream, path: &PathAndQuery) -> bool {
    let Some(response) = upstream.get(path).await else { return false };
    let healthy = response.status().is_success();
    // Read to its end, so that the connection can be reused.
    let read = Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await;
    healthy && read.is_ok()
}
