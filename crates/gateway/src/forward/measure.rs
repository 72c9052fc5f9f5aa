//! What forwarding is measured by. Every label has as many values as the configuration and the protocol, never a client's.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Label, SharedString, counter, gauge, histogram};

use super::breaker::Stands;
use super::upstream::Failure;

/// The names of one upstream.
pub(crate) struct Labels {
    labels: Vec<Label>,
}

impl Labels {
    pub fn of(system: &'static str, service: &'static str, upstream: &str) -> Self {
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

    /// A try was answered.
    pub fn answered(&self, status: StatusCode, took: Duration) {
        counter!("gateway_upstream_requests_total", self.with("status", class(status))).increment(1);
        histogram!("gateway_upstream_request_duration_seconds", self.labels.clone()).record(took);
    }

    /// A try was not answered.
    pub fn failed(&self, failure: Failure) {
        counter!("gateway_upstream_requests_total", self.with("status", "none")).increment(1);
        self.failure(failure.word());
    }

    /// Something went wrong, of this kind.
    pub fn failure(&self, kind: &'static str) {
        counter!("gateway_upstream_failures_total", self.with("kind", kind)).increment(1);
    }

    /// 0 is closed, 1 half-open, 2 open.
    pub fn breaker(&self, stands: Stands) {
        let value = match stands {
            Stands::Closed => 0.0,
            Stands::HalfOpen => 1.0,
            Stands::Open => 2.0,
        };
        gauge!("gateway_upstream_breaker_state", self.labels.clone()).set(value);
    }

    /// What a health check found.
    pub fn up(&self, up: bool) {
        gauge!("gateway_upstream_up", self.labels.clone()).set(if up { 1.0 } else { 0.0 });
    }

    /// Requests at it now.
    #[allow(clippy::cast_precision_loss)] // a bounded number of requests
    pub fn in_flight(&self, requests: usize) {
        gauge!("gateway_upstream_in_flight", self.labels.clone()).set(requests as f64);
    }
}

/// A request of a service is repeated.
pub(crate) fn repeated(system: &'static str, service: &'static str) {
    counter!("gateway_repeated_total", "system" => system, "service" => service).increment(1);
}

/// A request of a service was not even tried.
pub(crate) fn refused(system: &'static str, service: &'static str, reason: &'static str) {
    counter!("gateway_refused_total", "system" => system, "service" => service, "reason" => reason).increment(1);
}

/// Rate, errors and duration of what was forwarded, as the resources themselves count what they answer.
pub(crate) fn request(method: &Method, route: Arc<str>, status: StatusCode, took: Duration) {
    let method = match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    };
    let route = SharedString::from_shared(route);
    counter!("http_requests_total", "method" => method, "route" => route.clone(), "status" => class(status)).increment(1);
    histogram!("http_request_duration_seconds", "method" => method, "route" => route).record(took);
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
