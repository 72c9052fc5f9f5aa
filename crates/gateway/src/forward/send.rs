//! A request on its way to a service: tried, and tried again where that can do no harm.
//!
//! | what happened | who is tried again |
//! |---|---|
//! | no connection, or none free | every request whose body has not been touched |
//! | broken off, too slow, 502, 503, 504 | `GET`, `HEAD`, `OPTIONS`, and what carries an idempotency key, if the body was kept |
//! | 409 "still in flight" after one of those | the same: it is our own first try that is in flight |

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_api::{MADE_KEY_PREFIX, Problem};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::headers::{self, IDEMPOTENCY_KEY};
use super::held::Held;
use super::load::Load;
use super::options::ForwardOptions;
use super::pool::{Pool, Tried};
use super::upstream::{Failure, Upstream};
use super::{health, measure, problems};

/// A request that is to be sent, with what it may cost.
pub(crate) struct Sending<'a> {
    pub options: &'a ForwardOptions,
    pub pool: &'a Pool,
    pub method: Method,
    pub target: PathAndQuery,
    pub headers: HeaderMap,
    pub load: Load,
    pub is_action: bool,
    /// When everything must be over.
    pub until: Instant,
}

/// How one try ended.
enum Outcome {
    /// By an answer, which holds its connection.
    Answer(Response<Incoming>, Arc<Upstream>, OwnedSemaphorePermit),
    /// By none.
    None(Failure),
}

impl Sending<'_> {
    /// Sends it until there is an answer that can be given.
    pub async fn send(mut self) -> Result<Response<Body>, Problem> {
        let Ok(place) = self.pool.in_flight.clone().try_acquire_owned() else {
            measure::refused(self.pool.system, self.pool.service, "bulkhead");
            return Err(problems::crowded(self.pool));
        };
        let repeatable = self.make_repeatable();
        let (mut tried, mut unsure, mut repeating) = (Tried::default(), false, None);
        let mut attempt = 1;
        loop {
            let outcome = self.try_once(&mut tried, repeatable).await;
            if let Some(fault) = self.load.fault() {
                return Err(problems::bad_body(fault));
            }
            let again = self.may_go_on(&outcome, repeatable, unsure);
            unsure |= outcome.is_unsure();
            if !again || attempt >= self.options.attempts {
                return self.finish(outcome, unsure, place);
            }
            let pause = self.pause(&outcome, tried, attempt);
            if Instant::now() + pause >= self.until {
                return self.finish(outcome, unsure, place);
            }
            if repeating.is_none() {
                repeating = self.pool.repeating.try_acquire().ok();
            }
            if repeating.is_none() {
                measure::refused(self.pool.system, self.pool.service, "repeating");
                return self.finish(outcome, unsure, place);
            }
            // Its connection is free while nothing is done.
            drop(outcome);
            tokio::time::sleep(pause).await;
            measure::repeated(self.pool.system, self.pool.service);
            attempt += 1;
        }
    }

    /// Whether it may be sent again when nobody knows what became of it; a change that may not gets a key, if it can.
    fn make_repeatable(&mut self) -> bool {
        if !self.load.is_kept() {
            return false;
        }
        let heeds_keys = match self.method {
            Method::GET | Method::HEAD | Method::OPTIONS => return true,
            // Services remember the answers of POST. PUT, PATCH and DELETE of an entity come to the same when they come twice.
            Method::POST => true,
            Method::PUT | Method::PATCH => !self.is_action || self.options.repeat_put_actions,
            Method::DELETE => true,
            _ => return false,
        };
        if self.options.add_idempotency_keys && !self.headers.contains_key(IDEMPOTENCY_KEY) {
            let key = HeaderValue::try_from(format!("{MADE_KEY_PREFIX}{}", Uuid::now_v7().simple()));
            self.headers.extend(key.ok().map(|key| (IDEMPOTENCY_KEY, key)));
        }
        heeds_keys && self.headers.contains_key(IDEMPOTENCY_KEY)
    }

    async fn try_once(&self, tried: &mut Tried, repeatable: bool) -> Outcome {
        let started = Instant::now();
        let Some((index, mut pass)) = self.pool.pick(*tried, started) else {
            measure::refused(self.pool.system, self.pool.service, "breaker");
            return Outcome::None(Failure::NotConnected);
        };
        tried.add(index);
        let remaining = self.until.saturating_duration_since(started);
        // What can be sent only once gets all the time there is.
        let within = if repeatable { self.options.per_try.min(remaining) } else { remaining };
        let upstream = pass.upstream.clone();
        let sent = upstream.send(&self.method, &self.target, &self.headers, self.load.body(), within).await;
        match sent {
            Ok((response, permit)) => {
                upstream.labels.answered(response.status(), started.elapsed());
                if self.is_failure(&response) {
                    upstream.labels.failure("gateway_error");
                    pass.failed();
                } else {
                    pass.went_well();
                }
                Outcome::Answer(response, upstream, permit)
            }
            Err(failure) => {
                upstream.labels.failed(failure);
                // A client that broke off its own body, and connections that are all in use, say nothing about the upstream.
                if self.load.fault().is_none() && failure != Failure::Busy {
                    pass.failed();
                }
                Outcome::None(failure)
            }
        }
    }

    /// A service that says when to come again is there, and says so itself.
    fn is_failure(&self, response: &Response<Incoming>) -> bool {
        let says_when = response.status() == StatusCode::SERVICE_UNAVAILABLE && response.headers().contains_key(RETRY_AFTER);
        self.is_gateway_error(response.status()) && !says_when
    }

    fn is_gateway_error(&self, status: StatusCode) -> bool {
        matches!(status.as_u16(), 502..=504) || (self.options.distrust_500 && status == StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn may_go_on(&self, outcome: &Outcome, repeatable: bool, unsure: bool) -> bool {
        match outcome {
            Outcome::None(failure) if failure.is_before_sending() => self.load.is_whole(),
            Outcome::None(_) => repeatable,
            Outcome::Answer(response, ..) if self.is_gateway_error(response.status()) => repeatable,
            Outcome::Answer(response, ..) => repeatable && unsure && is_in_flight(response),
        }
    }

    /// As long as the service wants, else a little longer each time; no time at all where another upstream stands ready.
    fn pause(&self, outcome: &Outcome, tried: Tried, attempt: u32) -> Duration {
        match outcome {
            Outcome::Answer(response, ..) => {
                if let Some(wait) = retry_after(response.headers()) {
                    return wait;
                }
            }
            Outcome::None(failure) => {
                if failure.is_before_sending() && self.pool.has_fresh(tried, Instant::now()) {
                    return Duration::ZERO;
                }
            }
        }
        let doubled = self.options.backoff.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        doubled.min(self.options.longest_backoff).mul_f64(0.5 + 0.5 * health::chance())
    }

    fn finish(&self, outcome: Outcome, unsure: bool, place: OwnedSemaphorePermit) -> Result<Response<Body>, Problem> {
        let (response, upstream, permit) = match outcome {
            Outcome::Answer(response, upstream, permit) => (response, upstream, permit),
            Outcome::None(failure) => return Err(problems::unanswered(self.pool, failure, unsure)),
        };
        let (mut parts, body) = response.into_parts();
        if unsure && parts.status == StatusCode::CONFLICT && parts.headers.contains_key(RETRY_AFTER) {
            // The first try is still at it; the client knows of one request only.
            return Err(problems::unanswered(self.pool, Failure::TimedOut, true));
        }
        if matches!(parts.status.as_u16(), 502..=504) && !is_readable(&parts.headers) {
            return Err(problems::answered_badly(self.pool, parts.status, unsure));
        }
        headers::back(&mut parts.headers);
        let mut answer = Response::new(Body::new(Held::new(body, upstream, [permit, place], self.options.idle_timeout)));
        *answer.status_mut() = parts.status;
        *answer.headers_mut() = parts.headers;
        Ok(answer)
    }
}

impl Outcome {
    /// Whether the service may have done what was asked without our knowing.
    fn is_unsure(&self) -> bool {
        match self {
            Self::None(failure) => !failure.is_before_sending(),
            Self::Answer(response, ..) => matches!(response.status().as_u16(), 502 | 504),
        }
    }
}

/// The answer to a repetition of what is still being worked on.
fn is_in_flight(response: &Response<Incoming>) -> bool {
    response.status() == StatusCode::CONFLICT && response.headers().contains_key(RETRY_AFTER)
}

/// In seconds; a date would need a clock that both agree on.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Whether it is JSON of some sort, as problems are.
fn is_readable(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok()).is_some_and(|media| media.contains("json"))
}
