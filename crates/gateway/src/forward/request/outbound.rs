//! The attempts of one request, retried where that has no further effect.
//!
//! | outcome | what is retried |
//! |---|---|
//! | no connection, or none free | every request of whose body nothing was sent |
//! | broken off, timed out, 502, 503, 504 | `GET`, `HEAD`, `OPTIONS`, and what carries an idempotency key, if the body is buffered |
//! | 409 "in flight" after one of those | the same: the request in flight is this one's first attempt |

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, IF_MATCH, RETRY_AFTER};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use http_api::{IDEMPOTENCY_KEY, Problem, generated_idempotency_key};
use hyper::body::Incoming;
use ports::Backoff;
use tokio::sync::OwnedSemaphorePermit;

use super::body::RequestBody;
use super::response_body::ResponseBody;
use super::{headers, problems};
use crate::forward::jitter;
use crate::forward::options::ForwardOptions;
use crate::forward::routes::Endpoint;
use crate::forward::upstream::{Failure, Pool, Tried, Upstream, metrics};

/// A request that is to be sent, and its limits.
pub(super) struct OutboundRequest<'a> {
    pub options: &'a ForwardOptions,
    pub pool: &'a Pool,
    pub method: Method,
    pub target: PathAndQuery,
    pub headers: HeaderMap,
    pub body: RequestBody,
    pub endpoint: Endpoint,
    /// When all attempts must have ended.
    pub deadline: Instant,
}

/// How one attempt ended.
enum Outcome {
    /// With a response, which occupies its connection.
    Response(Response<Incoming>, Arc<Upstream>, OwnedSemaphorePermit),
    /// Without one.
    Failed(Failure),
}

impl OutboundRequest<'_> {
    /// Attempts it until there is a response to hand back.
    pub async fn send(mut self) -> Result<Response<Body>, Problem> {
        let (system, service) = (self.pool.system, self.pool.service);
        let Ok(bulkhead) = self.pool.in_flight.clone().try_acquire_owned() else {
            metrics::record_refusal(system, service, "bulkhead");
            return Err(problems::bulkhead_full(self.pool));
        };
        let retryable = self.make_retryable();
        let (mut tried, mut uncertain, mut retrying) = (Tried::default(), false, None);
        let mut attempts = 1;
        loop {
            let outcome = self.attempt(&mut tried, retryable).await;
            if let Some(error) = self.body.error() {
                return Err(problems::bad_body(error));
            }
            let retry = self.may_retry(&outcome, retryable, uncertain);
            uncertain |= outcome.is_uncertain();
            if !retry || attempts >= self.options.attempts {
                return self.finish(outcome, uncertain, bulkhead);
            }
            let delay = self.delay(&outcome, tried, attempts);
            if Instant::now() + delay >= self.deadline {
                return self.finish(outcome, uncertain, bulkhead);
            }
            // An immediate attempt at another replica is no retry: nothing has been done for the request yet.
            if retrying.is_none() && delay > Duration::ZERO {
                retrying = self.pool.retrying.try_acquire().ok();
            }
            if retrying.is_none() && delay > Duration::ZERO {
                metrics::record_refusal(system, service, "repeating");
                return self.finish(outcome, uncertain, bulkhead);
            }
            // Frees its connection for the time of the delay.
            drop(outcome);
            tokio::time::sleep(delay).await;
            metrics::record_retry(system, service);
            attempts += 1;
        }
    }

    /// Whether it may be sent again when the effect of an attempt is unknown. A change gets an idempotency key, if it can.
    fn make_retryable(&mut self) -> bool {
        if !self.body.is_buffered() {
            return false;
        }
        let key_suffices = match self.method {
            Method::GET | Method::HEAD | Method::OPTIONS => return true,
            _ if self.endpoint == Endpoint::Admin => return false,
            // Services store the responses of POST; repeating other changes of an entity has no further effect.
            Method::POST => true,
            Method::PUT | Method::PATCH | Method::DELETE => {
                let is_idempotent = self.endpoint == Endpoint::Resource && !self.headers.contains_key(IF_MATCH);
                is_idempotent || self.options.keys_heeded_everywhere
            }
            _ => return false,
        };
        if self.options.add_idempotency_keys && !self.headers.contains_key(IDEMPOTENCY_KEY) {
            self.headers.extend(generated_idempotency_key().map(|key| (IDEMPOTENCY_KEY, key)));
        }
        key_suffices && self.headers.contains_key(IDEMPOTENCY_KEY)
    }

    async fn attempt(&self, tried: &mut Tried, retryable: bool) -> Outcome {
        let started = Instant::now();
        let Some((index, mut attempt)) = self.pool.pick(*tried, started) else {
            metrics::record_refusal(self.pool.system, self.pool.service, "breaker");
            return Outcome::Failed(Failure::CircuitOpen);
        };
        tried.add(index);
        let remaining = self.deadline.saturating_duration_since(started);
        // The only attempt of a request gets all the time there is.
        let timeout = if retryable { self.options.per_try.min(remaining) } else { remaining };
        let upstream = attempt.upstream.clone();
        match upstream.send(&self.target, self.request(), timeout).await {
            Ok((response, permit)) => {
                upstream.metrics.record_response(response.status(), started.elapsed());
                if self.is_failure(&response) {
                    upstream.metrics.record_failure("gateway_error");
                    attempt.record_failure();
                } else {
                    attempt.record_success();
                }
                Outcome::Response(response, upstream, permit)
            }
            Err(failure) => {
                upstream.metrics.record_no_response(failure);
                // No result for the breaker: connections that are all in use, a client that broke off its own body, and a
                // service that closes the connection while a body is being sent that it does not want.
                if self.body.error().is_none() && !self.body.is_partly_sent() && failure != Failure::Busy {
                    attempt.record_failure();
                }
                Outcome::Failed(failure)
            }
        }
    }

    /// The request of one attempt.
    fn request(&self) -> Request<Body> {
        let mut request = self.body.request();
        *request.method_mut() = self.method.clone();
        self.headers.clone_into(request.headers_mut());
        request.headers_mut().extend(self.body.expect_header());
        request
    }

    /// A 503 with `Retry-After` is the service's own response, not a failure of the upstream.
    fn is_failure(&self, response: &Response<Incoming>) -> bool {
        let is_own = response.status() == StatusCode::SERVICE_UNAVAILABLE && response.headers().contains_key(RETRY_AFTER);
        self.is_gateway_error(response.status()) && !is_own
    }

    fn is_gateway_error(&self, status: StatusCode) -> bool {
        matches!(status.as_u16(), 502..=504) || (self.options.distrust_500 && status == StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn may_retry(&self, outcome: &Outcome, retryable: bool, uncertain: bool) -> bool {
        match outcome {
            Outcome::Failed(Failure::CircuitOpen) => false,
            Outcome::Failed(failure) if failure.is_before_sending() => self.body.is_unsent(),
            Outcome::Failed(_) => retryable,
            Outcome::Response(response, ..) if self.is_gateway_error(response.status()) => retryable,
            Outcome::Response(response, ..) => retryable && uncertain && is_in_flight(response.status(), response.headers()),
        }
    }

    /// The service's `Retry-After`, else the backoff's delay with jitter; none where another upstream is usable.
    fn delay(&self, outcome: &Outcome, tried: Tried, attempts: u32) -> Duration {
        match outcome {
            Outcome::Response(response, ..) => {
                if let Some(delay) = retry_after(response.headers()) {
                    return delay;
                }
            }
            Outcome::Failed(failure) => {
                if failure.is_before_sending() && self.pool.has_untried(tried, Instant::now()) {
                    return Duration::ZERO;
                }
            }
        }
        jitter::delay(Backoff::new(self.options.backoff, self.options.longest_backoff).delay(attempts))
    }

    fn finish(&self, outcome: Outcome, uncertain: bool, bulkhead: OwnedSemaphorePermit) -> Result<Response<Body>, Problem> {
        let (response, upstream, connection) = match outcome {
            Outcome::Response(response, upstream, connection) => (response, upstream, connection),
            Outcome::Failed(failure) => return Err(problems::no_response(self.pool, failure, uncertain)),
        };
        let (mut parts, body) = response.into_parts();
        if uncertain && is_in_flight(parts.status, &parts.headers) {
            // The first attempt is still in progress; the client has sent one request only.
            return Err(problems::no_response(self.pool, Failure::TimedOut, true));
        }
        if matches!(parts.status.as_u16(), 502..=504) && !is_json(&parts.headers) {
            return Err(problems::gateway_error(self.pool, parts.status, uncertain));
        }
        headers::prepare_response(&mut parts.headers);
        let body = ResponseBody::new(body, upstream, [connection, bulkhead], self.options.idle_timeout);
        let mut response = Response::new(Body::new(body));
        *response.status_mut() = parts.status;
        *response.headers_mut() = parts.headers;
        Ok(response)
    }
}

impl Outcome {
    /// Whether the request may have taken effect although there is no response that says so.
    fn is_uncertain(&self) -> bool {
        match self {
            Self::Failed(failure) => !failure.is_before_sending(),
            Self::Response(response, ..) => matches!(response.status().as_u16(), 500..=504),
        }
    }
}

/// The response to a retry whose first attempt is still in progress.
fn is_in_flight(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::CONFLICT && headers.contains_key(RETRY_AFTER)
}

/// In seconds; a date would need synchronised clocks.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Whether the body is JSON of some kind, as problems are.
fn is_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok()).is_some_and(|media| media.contains("json"))
}
