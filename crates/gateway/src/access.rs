//! The access log, target `access`: a line for what somebody may want to find again, and no line for what nobody will.
//!
//! | answered | level |
//! |---|---|
//! | 5xx | `WARN` |
//! | 4xx, and every change (`POST`, `PUT`, `PATCH`, `DELETE`) | `INFO` |
//! | reads that went well | `DEBUG` |
//!
//! Reads are most of the load, and each line costs a write and a place on a disk; `/metrics` counts them per route all the
//! same. Changes keep their line however many they are: the log of one thing is found by its key, and from the line by the
//! request id on every event that came of it. Sampling would lose just the one that is looked for. `log.level =
//! "info,access=debug"` shows reads too, `"info,access=warn"` only what failed.
//!
//! No line has personal data: the route's template stands for the path, there is no query, and keys are masked.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Response};
use http_api::{RequestContext, Trail};
use tracing::Level;

use crate::forward::Forwarded;
use crate::mask;

/// Writes the line of a request, if it is to have one.
pub(crate) fn log(method: &Method, path: &str, context: &RequestContext, response: &Response<Body>, took: Duration) {
    macro_rules! line {
        ($level:ident, $sentence:literal) => {
            if tracing::enabled!(target: "access", Level::$level) {
                let Line { route, status, service, key, took_us } = Line::of(path, response, took);
                let (request, trace) = (&context.request_id, &context.traceparent);
                tracing::event!(target: "access", Level::$level, %method, route, status, took_us, service, key, request, trace, $sentence);
            }
        };
    }
    // The level of a call site is fixed, so there is one for each.
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

/// What a line says besides what is at hand.
struct Line {
    route: String,
    status: u16,
    service: Option<&'static str>,
    key: Option<String>,
    took_us: u64,
}

impl Line {
    fn of(path: &str, response: &Response<Body>, took: Duration) -> Self {
        let trail = response.extensions().get::<Trail>();
        let forwarded = response.extensions().get::<Forwarded>();
        let route = trail.and_then(Trail::route).or_else(|| forwarded.map(|forwarded| &forwarded.route));
        let service = trail.and_then(Trail::service).or_else(|| forwarded.map(|forwarded| forwarded.service));
        Self {
            route: route.map_or_else(|| mask::path(path), ToString::to_string),
            status: response.status().as_u16(),
            service: service.filter(|service| !service.is_empty()),
            key: trail.and_then(Trail::key).map(mask::key),
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_and_failures_have_a_line_and_quiet_reads_have_none() {
        assert_eq!(level(&Method::POST, 201), Level::INFO);
        assert_eq!(level(&Method::GET, 404), Level::INFO);
        assert_eq!(level(&Method::GET, 503), Level::WARN);
        assert_eq!(level(&Method::GET, 304), Level::DEBUG);
        assert_eq!(level(&Method::OPTIONS, 204), Level::DEBUG);
    }
}
