//! Rate, errors and duration of requests, per route.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{SharedString, counter, histogram};

/// Counts a request that was answered. Requests without a route share one label, so that clients cannot create time series.
pub fn record_request(method: &Method, route: Option<&Arc<str>>, status: StatusCode, took: Duration) {
    let method = method_label(method);
    let route = route.map_or_else(|| "unmatched".into(), |route| SharedString::from_shared(route.clone()));
    let class = status_class(status);
    counter!("http_requests_total", "method" => method, "route" => route.clone(), "status" => class).increment(1);
    histogram!("http_request_duration_seconds", "method" => method, "route" => route).record(took);
}

/// `2xx`, as metrics name the classes of status codes.
pub fn status_class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        // Clients may invent methods, but not time series.
        _ => "other",
    }
}
