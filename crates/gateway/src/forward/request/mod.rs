//! A request on its way to a service: its headers and body are prepared, it is attempted, and the response is handed back.

mod body;
mod headers;
mod outbound;
mod problems;
mod response_body;

use std::time::Instant;

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use axum::http::uri::PathAndQuery;
use http_api::{Origin, Problem, RequestContext};

use super::options::ForwardOptions;
use super::routes::Endpoint;
use super::upstream::Pool;
use crate::peer::Peer;
use body::{BodyError, RequestBody};
use headers::ForwardedOrigin;
use outbound::OutboundRequest;

/// Forwards a request to a service.
pub(super) async fn forward(
    options: &ForwardOptions,
    pool: &Pool,
    endpoint: Endpoint,
    request: Request,
    context: &RequestContext,
) -> Result<Response<Body>, Problem> {
    let deadline = Instant::now() + options.overall;
    let (mut parts, body) = request.into_parts();
    let origin = Origin::new(&parts.uri, &parts.headers, &options.public_url, options.trust_forwarded);
    let origin = ForwardedOrigin::from(origin);
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
    headers::prepare_request(&mut parts.headers, &origin, peer, options.trust_forwarded, context);
    // Before the request counts as in flight: a slow client must not occupy the service's share.
    let reading = tokio::time::timeout_at(deadline.into(), RequestBody::read(body, options.buffer_bytes));
    let body = reading.await.unwrap_or(Err(BodyError::Incomplete)).map_err(problems::bad_body)?;
    let target = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let (method, headers) = (parts.method, parts.headers);
    OutboundRequest { options, pool, method, target, headers, body, endpoint, deadline }.send().await
}
