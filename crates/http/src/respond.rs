//! Responses that are no resource: JSON, text, and what `OPTIONS` is answered.

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

/// A body of `application/json`.
pub fn json(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = text("application/json", body.to_string());
    *response.status_mut() = status;
    response
}

/// 200 with a body of this media type.
pub(crate) fn text(media_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A status without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// 204 with `Allow`.
pub(crate) fn allow(methods: &str) -> Response<Body> {
    let mut response = empty(StatusCode::NO_CONTENT);
    response.headers_mut().extend(HeaderValue::from_str(methods).ok().map(|methods| (ALLOW, methods)));
    response
}
