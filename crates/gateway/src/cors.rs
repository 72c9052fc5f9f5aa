//! CORS. The literal `*` and credentials exclude each other in browsers, so an allowed origin is echoed.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_api::{Problem, problem_types};

/// Which pages of other origins may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// These, each as `scheme://host:port`.
    Listed(BTreeSet<String>),
    /// Any: for development.
    Any,
}

impl Default for Origins {
    fn default() -> Self {
        Self::Listed(BTreeSet::new())
    }
}

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
const EXPOSED: HeaderValue = HeaderValue::from_static("ETag, Location, Retry-After, X-Request-Id, Allow, Idempotency-Replayed");
const TRUE: HeaderValue = HeaderValue::from_static("true");
const A_DAY: HeaderValue = HeaderValue::from_static("86400");

impl Origins {
    /// The origin of the request, if its pages may ask.
    fn allowed<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        match self {
            Self::Any => Some(origin),
            Self::Listed(origins) => origin.to_str().is_ok_and(|name| origins.contains(name)).then_some(origin),
        }
    }

    /// The answer to a preflight, if the request is one. `OPTIONS` without it is an ordinary question.
    pub(crate) fn preflight(&self, parts: &Parts) -> Option<Result<Response<Body>, Problem>> {
        let headers = &parts.headers;
        let asked = parts.method == Method::OPTIONS && headers.contains_key(ORIGIN);
        if !asked || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        if self.allowed(headers).is_none() {
            let problem = Problem::of(problem_types::ORIGIN_NOT_ALLOWED, "pages of this origin may not ask here");
            return Some(Err(problem));
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let answer = response.headers_mut();
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        answer.insert(ACCESS_CONTROL_MAX_AGE, A_DAY);
        if let Some(wanted) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        Some(Ok(response))
    }

    /// What the browser must see on an answer; `None` where it need see nothing.
    pub(crate) fn grant(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        self.allowed(headers).cloned()
    }
}

/// Puts the grant on an answer.
pub(crate) fn put(grant: Option<HeaderValue>, headers: &mut HeaderMap) {
    let Some(origin) = grant else { return };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(VARY, HeaderValue::from_static("Origin"));
}
