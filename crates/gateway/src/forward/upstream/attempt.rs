//! An attempt that the circuit breaker has admitted.

use std::sync::Arc;
use std::time::Instant;

use super::breaker::{Admission, Breaker, BreakerState};
use super::replica::Upstream;

/// An admitted attempt: its result is recorded at most once, and as cancelled when it is dropped without one, since a client
/// that disconnects says nothing about the upstream.
pub(crate) struct Attempt {
    pub upstream: Arc<Upstream>,
    admission: Option<Admission>,
}

impl Attempt {
    /// `None` where the breaker admits none now.
    pub fn try_start(upstream: &Arc<Upstream>, now: Instant) -> Option<Self> {
        let before = upstream.breaker.state();
        let admission = upstream.breaker.try_admit(now)?;
        let attempt = Self { upstream: upstream.clone(), admission: Some(admission) };
        attempt.report_change(before);
        Some(attempt)
    }

    pub fn record_success(&mut self) {
        self.record(|breaker, admission| breaker.record_success(admission, Instant::now()));
    }

    pub fn record_failure(&mut self) {
        self.record(|breaker, admission| breaker.record_failure(admission, Instant::now()));
    }

    fn record(&mut self, result: impl FnOnce(&Breaker, Admission)) {
        let Some(admission) = self.admission.take() else { return };
        let before = self.upstream.breaker.state();
        result(&self.upstream.breaker, admission);
        self.report_change(before);
    }

    fn report_change(&self, before: BreakerState) {
        let state = self.upstream.breaker.state();
        if state != before {
            let (upstream, from, to) = (self.upstream.address(), before.word(), state.word());
            tracing::warn!(upstream, from, to, "the circuit breaker of an upstream changed its state");
            self.upstream.metrics.set_breaker(state);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.record(Breaker::record_cancelled);
    }
}
