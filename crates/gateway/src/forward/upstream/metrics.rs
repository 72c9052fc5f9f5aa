//! Metrics of upstreams. Every label's values come from the configuration and the protocol, never from a client.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use http_api::status_class;
use metrics::{Label, SharedString, counter, gauge, histogram};

use super::breaker::BreakerState;
use super::failure::Failure;

/// The metrics of one upstream.
pub(crate) struct UpstreamMetrics {
    labels: Vec<Label>,
}

impl UpstreamMetrics {
    pub fn new(system: &'static str, service: &'static str, upstream: &str) -> Self {
        let upstream = SharedString::from_shared(Arc::from(upstream));
        Self {
            labels: vec![
                Label::from_static_parts("system", system),
                Label::from_static_parts("service", service),
                Label::new("upstream", upstream),
            ],
        }
    }

    fn with(&self, name: &'static str, value: &'static str) -> Vec<Label> {
        let mut labels = self.labels.clone();
        labels.push(Label::from_static_parts(name, value));
        labels
    }

    /// An attempt that brought a response.
    pub fn record_response(&self, status: StatusCode, took: Duration) {
        counter!("gateway_upstream_requests_total", self.with("status", status_class(status))).increment(1);
        histogram!("gateway_upstream_request_duration_seconds", self.labels.clone()).record(took);
    }

    /// An attempt that brought none.
    pub fn record_no_response(&self, failure: Failure) {
        counter!("gateway_upstream_requests_total", self.with("status", "none")).increment(1);
        self.record_failure(failure.label());
    }

    /// A failure of this kind.
    pub fn record_failure(&self, kind: &'static str) {
        counter!("gateway_upstream_failures_total", self.with("kind", kind)).increment(1);
    }

    /// 0 is closed, 1 half-open, 2 open.
    pub fn set_breaker(&self, state: BreakerState) {
        let value = match state {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open => 2.0,
        };
        gauge!("gateway_upstream_breaker_state", self.labels.clone()).set(value);
    }

    /// The result of a health check.
    pub fn set_up(&self, up: bool) {
        gauge!("gateway_upstream_up", self.labels.clone()).set(if up { 1.0 } else { 0.0 });
    }

    /// Requests in flight.
    #[allow(clippy::cast_precision_loss)] // a bounded number of requests
    pub fn set_in_flight(&self, requests: usize) {
        gauge!("gateway_upstream_in_flight", self.labels.clone()).set(requests as f64);
    }
}

/// A retry of a request of a service.
pub(crate) fn record_retry(system: &'static str, service: &'static str) {
    counter!("gateway_repeated_total", "system" => system, "service" => service).increment(1);
}

/// A request of a service, or a retry, that was not attempted.
pub(crate) fn record_refusal(system: &'static str, service: &'static str, reason: &'static str) {
    counter!("gateway_refused_total", "system" => system, "service" => service, "reason" => reason).increment(1);
}
