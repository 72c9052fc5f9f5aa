//! The access log, target `access`: a line for every change and every failure.
//!
//! | response | level |
//! |---|---|
//! | 5xx | `WARN` |
//! | 4xx, and every change (`POST`, `PUT`, `PATCH`, `DELETE`) | `INFO` |
//! | successful reads | `DEBUG` |
//!
//! Reads are most of the load, and each line costs a write and disk space; `/metrics` counts them per route anyway. Changes
//! are always logged: the lines of an entity are found by its key, and its events by the request id in the line. Sampling
//! would lose the one that is looked for. `log.level = "info,access=debug"` shows reads too, `"info,access=warn"` only
//! failures.
//!
//! No line contains personal data: the route's template stands for the path, there is no query, and keys are masked.

mod mask;

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Response};
use http_api::{RequestContext, RequestLog};
use tracing::Level;

/// Writes the line of a request, if its level is enabled.
pub(crate) fn write(method: &Method, path: &str, context: &RequestContext, response: &Response<Body>, took: Duration) {
    macro_rules! line {
        ($level:ident, $sentence:literal) => {
            if tracing::enabled!(target: "access", Level::$level) {
                let Line { route, status, service, key, took_us } = Line::new(path, response, took);
                let (request, trace) = (&context.request_id, &context.traceparent);
                tracing::event!(target: "access", Level::$level, %method, route, status, took_us, service, key, request, trace, $sentence);
            }
        };
    }
    // The level of a call site is constant, so there is one for each.
    match level(method, response.status().as_u16()) {
        Level::WARN => line!(WARN, "request failed"),
        Level::INFO => line!(INFO, "request answered"),
        _ => line!(DEBUG, "request answered"),
    }
}

fn level(method: &Method, status: u16) -> Level {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    match status {
        500.. => Level::WARN,
        400.. => Level::INFO,
        _ if reads => Level::DEBUG,
        _ => Level::INFO,
    }
}

/// The fields of a line that come from the response.
struct Line {
    route: String,
    status: u16,
    service: Option<&'static str>,
    key: Option<String>,
    took_us: u64,
}

impl Line {
    fn new(path: &str, response: &Response<Body>, took: Duration) -> Self {
        let log = response.extensions().get::<RequestLog>();
        Self {
            route: log.and_then(RequestLog::route).map_or_else(|| mask::path(path), ToString::to_string),
            status: response.status().as_u16(),
            service: log.and_then(RequestLog::service).filter(|service| !service.is_empty()),
            key: log.and_then(RequestLog::key).map(mask::key),
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_and_failures_are_logged_and_successful_reads_only_at_debug() {
        assert_eq!(level(&Method::POST, 201), Level::INFO);
        assert_eq!(level(&Method::GET, 404), Level::INFO);
        assert_eq!(level(&Method::GET, 503), Level::WARN);
        assert_eq!(level(&Method::GET, 304), Level::DEBUG);
        assert_eq!(level(&Method::OPTIONS, 204), Level::DEBUG);
    }
}
