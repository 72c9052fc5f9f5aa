//! Health and readiness of the door: those of this process, and what it knows of the services behind.
//!
//! A service that is down makes the door neither unready nor unwell: it answers for all the others. It is shown.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::Shared;

/// What this process says of itself is not longer than this.
const LONGEST_VERDICT: usize = 1024 * 1024;

/// Answers what does not go elsewhere; to probes with what is known of the upstreams.
pub(crate) async fn told(shared: &Shared, local: Router, request: Request) -> Response<Body> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let probe = match request.uri().path().trim_end_matches('/') {
        "/readyz" | "/actuator/health/readiness" if reads => Some(Probe::Ready),
        "/actuator/health" if reads => Some(Probe::Health),
        _ => None,
    };
    let is_head = request.method() == Method::HEAD;
    let response = local.oneshot(request).await.unwrap_or_else(|never| match never {});
    match probe {
        // Of `HEAD` only the status can be told.
        Some(Probe::Ready) => ready(shared, response),
        Some(Probe::Health) if !is_head => health(shared, response).await,
        _ => response,
    }
}

enum Probe {
    Ready,
    Health,
}

/// The routes are known once every upstream has been asked.
fn ready(shared: &Shared, response: Response<Body>) -> Response<Body> {
    let unknown = shared.unknown();
    if unknown.is_empty() || !response.status().is_success() {
        return response;
    }
    let reason = |name: String| format!("the upstreams of {name} have not been asked yet");
    let reasons: Vec<String> = unknown.into_iter().map(reason).collect();
    json_answer(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "DOWN", "reasons": reasons}))
}

async fn health(shared: &Shared, response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let said = to_bytes(body, LONGEST_VERDICT).await.unwrap_or_default();
    let Ok(Value::Object(mut verdict)) = serde_json::from_slice(&said) else {
        return Response::from_parts(parts, Body::from(said));
    };
    if let Value::Object(components) = verdict.entry("components").or_insert_with(|| json!({})) {
        components.extend(shared.components());
    }
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(Value::Object(verdict).to_string()))
}

fn json_answer(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
