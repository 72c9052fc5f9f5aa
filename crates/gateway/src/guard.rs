//! The way through the door: one layer, because each step needs what the ones before have found out.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, Response};
use axum::middleware::{Next, from_fn_with_state};
use futures_util::FutureExt;
use http_api::{MADE_KEY_PREFIX, Problem, RequestContext, problem_types};
use http_body_util::Limited;
use uuid::Uuid;

use crate::access;
use crate::cors;
use crate::options::GatewayOptions;
use crate::rate::Rates;

/// Whose connection a request came by; in its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

pub(crate) struct Guard {
    options: GatewayOptions,
    pub rates: Option<Rates>,
}

impl Guard {
    pub fn of(options: GatewayOptions) -> Arc<Self> {
        Arc::new(Self { rates: options.rate.map(|rate| Rates::of(rate, &options)), options })
    }
}

/// The router behind the door, for tests and for processes that have sockets of their own.
pub fn guarded(router: Router, options: GatewayOptions) -> Router {
    behind(router, Guard::of(options))
}

pub(crate) fn behind(router: Router, guard: Arc<Guard>) -> Router {
    router.layer(from_fn_with_state(guard, pass))
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

async fn pass(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response<Body> {
    let started = Instant::now();
    let context = RequestContext::of(request.headers(), request.extensions());
    let grant = guard.options.origins.grant(request.headers());
    let method = request.method().clone();
    // Needed only for what is refused or not explained by a route; short enough to be taken along.
    let path = request.uri().path().to_owned();
    let mut response = match guard.admit(request, context.clone(), next).await {
        Ok(response) => response,
        Err(problem) => problem.respond(&context, &path),
    };
    cors::put(grant, response.headers_mut());
    if let Ok(id) = HeaderValue::from_str(&context.request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    access::log(&method, &path, &context, &response, started.elapsed());
    response
}

impl Guard {
    async fn admit(&self, request: Request, mut context: RequestContext, next: Next) -> Result<Response<Body>, Problem> {
        let (mut parts, body) = request.into_parts();
        if let Some(answer) = self.options.origins.preflight(&parts) {
            return answer;
        }
        self.check_header(&parts)?;
        self.check_rate(&parts)?;
        let identity = self.options.authenticate.authenticate(&parts).await?;
        if let Some(actor) = &identity.actor {
            context.actor = actor.to_string();
        }
        let body = self.bound(&parts, body)?;
        if self.options.add_idempotency_keys && parts.method == Method::POST && !parts.headers.contains_key(&IDEMPOTENCY_KEY) {
            // Not the request id: clients may use that for several requests, and a key is for one.
            let key = HeaderValue::try_from(format!("{MADE_KEY_PREFIX}{}", Uuid::now_v7().simple()));
            parts.headers.extend(key.ok().map(|key| (IDEMPOTENCY_KEY, key)));
        }
        parts.extensions.insert(identity);
        parts.extensions.insert(context);
        let answer = AssertUnwindSafe(next.run(Request::from_parts(parts, body))).catch_unwind();
        match tokio::time::timeout(self.options.request_timeout, answer).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(_panic)) => Err(Problem::fault(&"a route behind the door panicked")),
            Err(_elapsed) => {
                let detail = "it took too long; it may still come about";
                Err(Problem::of(problem_types::TIMED_OUT, detail).retry_after(1))
            }
        }
    }

    fn check_header(&self, parts: &Parts) -> Result<(), Problem> {
        let fields: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
        if fields + target <= self.options.header_limit_bytes {
            return Ok(());
        }
        let detail = format!("a request's header may have at most {} bytes", self.options.header_limit_bytes);
        Err(Problem::of(problem_types::HEADER_TOO_LARGE, detail))
    }

    fn check_rate(&self, parts: &Parts) -> Result<(), Problem> {
        let Some(rates) = &self.rates else { return Ok(()) };
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.ip());
        rates.check(peer, &parts.headers).map_err(|wait| {
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            Problem::of(problem_types::TOO_MANY_REQUESTS, "slower, please").retry_after(seconds)
        })
    }

    /// A body of announced length is judged by that; one without is cut off where the limit is.
    fn bound(&self, parts: &Parts, body: Body) -> Result<Body, Problem> {
        let limit = self.options.body_limit_bytes;
        let announced =
            parts.headers.get(CONTENT_LENGTH).map(|length| length.to_str().ok().and_then(|text| text.parse::<usize>().ok()));
        match announced {
            Some(Some(length)) if length <= limit => Ok(body),
            Some(Some(_)) => {
                let detail = format!("a body may have at most {limit} bytes");
                Err(Problem::of(problem_types::TOO_LARGE, detail))
            }
            _ => Ok(Body::new(Limited::new(body, limit))),
        }
    }
}
