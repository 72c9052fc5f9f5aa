//! CORS. Browsers do not accept `*` together with credentials, so an allowed origin is echoed.

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_api::{Problem, problem_types};

use crate::options::Origins;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
const EXPOSED: HeaderValue = HeaderValue::from_static("ETag, Location, Retry-After, X-Request-Id, Allow, Idempotency-Replayed");
const TRUE: HeaderValue = HeaderValue::from_static("true");
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("86400");

/// The origin of a request, if its pages may send requests.
pub(super) fn allowed_origin(origins: &Origins, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    let allowed = *origins == Origins::Any || origin.to_str().is_ok_and(|name| origins.allow(name));
    allowed.then(|| origin.clone())
}

/// The response to a preflight, if the request is one. `OPTIONS` without its headers is an ordinary request.
pub(super) fn preflight(allowed: Option<&HeaderValue>, parts: &Parts) -> Option<Result<Response<Body>, Problem>> {
    let headers = &parts.headers;
    let is_cross_origin = parts.method == Method::OPTIONS && headers.contains_key(ORIGIN);
    if !is_cross_origin || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    if allowed.is_none() {
        let problem = Problem::of_type(problem_types::ORIGIN_NOT_ALLOWED, "pages of this origin may not send requests here");
        return Some(Err(problem));
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let answer = response.headers_mut();
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    answer.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_S);
    if let Some(requested) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, requested.clone());
    }
    Some(Ok(response))
}

/// Lets pages of an allowed origin read the response.
pub(super) fn expose(allowed: Option<HeaderValue>, headers: &mut HeaderMap) {
    let Some(origin) = allowed else { return };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(VARY, HeaderValue::from_static("Origin"));
}
