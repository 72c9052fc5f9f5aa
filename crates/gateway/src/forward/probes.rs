//! Health and readiness of the gateway: those of this process, with its upstreams.
//!
//! A service that is down is shown, but makes the gateway neither unready nor down, since it serves all others.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Method, Response, StatusCode};
use http_api::json_response;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::upstream::Pools;

/// Bytes of this process's own health response, at most.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Answers a request of this process; probes include the upstreams.
pub(super) async fn answer(pools: &Pools, local: Router, request: Request) -> Response<Body> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let probe = match request.uri().path().trim_end_matches('/') {
        "/readyz" | "/actuator/health/readiness" if reads => Some(Probe::Ready),
        "/actuator/health" if reads => Some(Probe::Health),
        _ => None,
    };
    let is_head = request.method() == Method::HEAD;
    let response = local.oneshot(request).await.unwrap_or_else(|never| match never {});
    match probe {
        // A response to `HEAD` has no body to extend.
        Some(Probe::Ready) => ready(pools, response),
        Some(Probe::Health) if !is_head => health(pools, response).await,
        _ => response,
    }
}

enum Probe {
    Ready,
    Health,
}

/// Not ready before every upstream has been checked once.
fn ready(pools: &Pools, response: Response<Body>) -> Response<Body> {
    let unchecked = pools.unchecked();
    if unchecked.is_empty() || !response.status().is_success() {
        return response;
    }
    let reason = |name: String| format!("the upstreams of {name} have not been checked yet");
    let reasons: Vec<String> = unchecked.into_iter().map(reason).collect();
    json_response(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "DOWN", "reasons": reasons}))
}

async fn health(pools: &Pools, response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let said = to_bytes(body, MAX_BODY_BYTES).await.unwrap_or_default();
    let Ok(Value::Object(mut verdict)) = serde_json::from_slice(&said) else {
        return Response::from_parts(parts, Body::from(said));
    };
    if let Value::Object(components) = verdict.entry("components").or_insert_with(|| json!({})) {
        components.extend(pools.health());
    }
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(Value::Object(verdict).to_string()))
}
