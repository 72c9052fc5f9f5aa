//! Admission: what every request passes before it reaches a route, in one layer, because each step needs what the ones before
//! it have found out.

mod cors;
mod rate;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use axum::http::{Method, Response};
use axum::middleware::{Next, from_fn_with_state};
use futures_util::FutureExt;
use http_api::{IDEMPOTENCY_KEY, Problem, RequestContext, generated_idempotency_key, problem_types};
use http_body_util::Limited;

use crate::access_log;
use crate::options::GatewayOptions;
use crate::peer::Peer;
use rate::RateLimits;

/// What admission decides by; shared by all listeners.
pub(crate) struct Guard {
    options: GatewayOptions,
    rates: Option<RateLimits>,
}

impl Guard {
    pub fn new(options: GatewayOptions) -> Arc<Self> {
        Arc::new(Self { rates: options.rate.map(|rate| RateLimits::new(rate, &options)), options })
    }

    /// Forgets idle clients, so that the memory for them stays bounded.
    pub fn forget_idle_clients(&self) {
        self.rates.iter().for_each(RateLimits::forget_idle);
    }
}

/// The router behind the gateway's admission, for tests and for processes with listeners of their own.
pub fn guarded(router: Router, options: GatewayOptions) -> Router {
    behind(router, Guard::new(options))
}

pub(crate) fn behind(router: Router, guard: Arc<Guard>) -> Router {
    router.layer(from_fn_with_state(guard, admit))
}

async fn admit(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response<Body> {
    let started = Instant::now();
    let context = RequestContext::from_request(request.headers(), request.extensions());
    let origin = cors::allowed_origin(&guard.options.origins, request.headers());
    let method = request.method().clone();
    // Used only where the request is rejected or has no route; a short copy.
    let path = request.uri().path().to_owned();
    let (parts, body) = request.into_parts();
    let handled = match cors::preflight(origin.as_ref(), &parts) {
        Some(answer) => answer,
        None => guard.handle(parts, body, context.clone(), next).await,
    };
    let mut response = handled.unwrap_or_else(|problem| problem.respond(&context, &path));
    cors::expose(origin, response.headers_mut());
    context.stamp(response.headers_mut());
    access_log::write(&method, &path, &context, &response, started.elapsed());
    response
}

impl Guard {
    async fn handle(
        &self,
        mut parts: Parts,
        body: Body,
        mut context: RequestContext,
        next: Next,
    ) -> Result<Response<Body>, Problem> {
        self.check_header(&parts)?;
        self.check_rate(&parts)?;
        let identity = self.options.authenticate.authenticate(&parts).await?;
        if let Some(actor) = &identity.actor {
            context.actor = actor.to_string();
        }
        let body = self.limit_body(&parts, body)?;
        if self.options.add_idempotency_keys && parts.method == Method::POST && !parts.headers.contains_key(IDEMPOTENCY_KEY) {
            parts.headers.extend(generated_idempotency_key().map(|key| (IDEMPOTENCY_KEY, key)));
        }
        parts.extensions.insert(identity);
        parts.extensions.insert(context);
        let answer = AssertUnwindSafe(next.run(Request::from_parts(parts, body))).catch_unwind();
        match tokio::time::timeout(self.options.request_timeout, answer).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(_panic)) => Err(Problem::fault(&"a route behind the gateway panicked")),
            Err(_elapsed) => {
                let detail = "the request timed out; it may still take effect";
                Err(Problem::of_type(problem_types::TIMED_OUT, detail).retry_after(1))
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
        Err(Problem::of_type(problem_types::HEADER_TOO_LARGE, detail))
    }

    fn check_rate(&self, parts: &Parts) -> Result<(), Problem> {
        let Some(rates) = &self.rates else { return Ok(()) };
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.ip());
        rates.check(peer, &parts.headers).map_err(|wait| {
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            Problem::of_type(problem_types::TOO_MANY_REQUESTS, "the request rate of this client is exceeded").retry_after(seconds)
        })
    }

    /// A body with `Content-Length` is judged by that; one without is cut off at the limit.
    fn limit_body(&self, parts: &Parts, body: Body) -> Result<Body, Problem> {
        let limit = self.options.body_limit_bytes;
        let announced =
            parts.headers.get(CONTENT_LENGTH).map(|length| length.to_str().ok().and_then(|text| text.parse::<usize>().ok()));
        match announced {
            Some(Some(length)) if length <= limit => Ok(body),
            Some(Some(_)) => {
                let detail = format!("a body may have at most {limit} bytes");
                Err(Problem::of_type(problem_types::TOO_LARGE, detail))
            }
            _ => Ok(Body::new(Limited::new(body, limit))),
        }
    }
}
