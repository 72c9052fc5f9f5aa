//! The entry of every request: finds what its path leads to, dispatches it, and completes the response.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use axum::http::{Method, Response};
use futures_util::FutureExt;
use tower::ServiceExt;

use crate::call::Call;
use crate::context::RequestContext;
use crate::operations::Operation;
use crate::origin::Origin;
use crate::problem::Problem;
use crate::request_log::RequestLog;
use crate::request_metrics::record_request;
use crate::resource::Endpoint;
use crate::routing::Match;
use crate::server::Server;
use crate::{read, respond, write};

/// Answers a request.
pub(crate) async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    let started = Instant::now();
    let context = RequestContext::from_request(request.headers(), request.extensions());
    let (parts, body) = request.into_parts();
    let log = RequestLog::default();
    let handled = AssertUnwindSafe(dispatch(&server, &parts, body, &context, &log)).catch_unwind().await;
    let result = handled.unwrap_or_else(|panic| Err(Problem::fault(&panic_message(&*panic))));
    let mut response = result.unwrap_or_else(|problem| problem.respond(&context, parts.uri.path()));
    if parts.method == Method::HEAD {
        without_body(&mut response);
    }
    context.stamp(response.headers_mut());
    record_request(&parts.method, log.route(), response.status(), started.elapsed());
    response.extensions_mut().insert(log);
    response
}

async fn dispatch(
    server: &Arc<Server>,
    parts: &Parts,
    body: Body,
    context: &RequestContext,
    log: &RequestLog,
) -> Result<Response<Body>, Problem> {
    match server.routes.find(&parts.uri, &parts.headers) {
        Match::One { target: resource, form, system } => {
            let endpoint = Endpoint::resolve(resource, form).ok_or_else(nothing_here)?;
            log.record_route(resource.route.templates.of(form).clone(), resource.route.service);
            let call = Call { server, resource, system, uri: &parts.uri, headers: &parts.headers, context, log };
            serve(&call, endpoint, &parts.method, body).await
        }
        Match::Ambiguous(candidates) => {
            let options = &server.options;
            let origin = Origin::new(&parts.uri, &parts.headers, &options.public_url, options.trust_forwarded);
            Err(Problem::ambiguous(&origin, candidates.iter().map(|resource| &resource.route)))
        }
        Match::None => {
            if let Some(operation) = Operation::parse(parts.uri.path(), &server.options) {
                log.record_route(Arc::from(operation.template()), "");
                return operation.answer(server, parts, body, context).await;
            }
            front(server, parts, body).await
        }
    }
}

async fn serve(call: &Call<'_>, endpoint: Endpoint, method: &Method, body: Body) -> Result<Response<Body>, Problem> {
    let resource = call.resource;
    match (method.as_str(), endpoint) {
        ("OPTIONS", _) => Ok(respond::allow(&endpoint.allow(resource))),
        ("GET" | "HEAD", Endpoint::Collection) => read::list(call).await,
        ("GET" | "HEAD", Endpoint::Entity(id)) => read::entity(call, id).await,
        ("GET" | "HEAD", Endpoint::Totals) => read::totals(call).await,
        ("GET" | "HEAD", Endpoint::SearchIndex) => Ok(read::search_index(call)),
        ("GET" | "HEAD", Endpoint::Search(field)) => read::search(call, field).await,
        ("POST", Endpoint::Collection) if resource.create.is_some() => write::create(call, body).await,
        ("PUT", Endpoint::Entity(id)) if resource.replace.is_some() => write::replace(call, body, id).await,
        ("PATCH", Endpoint::Entity(id)) if resource.replace.is_some() => write::merge(call, body, id).await,
        ("DELETE", Endpoint::Entity(id)) if resource.delete.is_some() => write::delete(call, id).await,
        ("PUT" | "PATCH" | "POST", Endpoint::Action(id, action)) => write::act(call, body, id, action, method).await,
        _ => Err(Problem::method_not_allowed(endpoint.allow(resource))),
    }
}

/// A path that is no resource and no operation goes to the front, if there is one.
async fn front(server: &Server, parts: &Parts, body: Body) -> Result<Response<Body>, Problem> {
    match &server.options.front {
        Some(front) if matches!(parts.method, Method::GET | Method::HEAD) => {
            let request = Request::from_parts(parts.clone(), body);
            Ok(front.clone().oneshot(request).await.unwrap_or_else(|never| match never {}))
        }
        _ => Err(nothing_here()),
    }
}

fn nothing_here() -> Problem {
    Problem::absent("there is nothing at this path")
}

/// The response to `HEAD` is that to `GET` without its body.
fn without_body(response: &mut Response<Body>) {
    if let Some(length) = response.body().size_hint().exact().filter(|length| *length > 0) {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    *response.body_mut() = Body::empty();
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a handler panicked: {}", text.unwrap_or_default())
}
