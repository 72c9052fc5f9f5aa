//! The admin API: the log of events, subscriptions, dead letters, rebuilds and pauses.

mod dead_letters;
mod engines;
mod events;
mod rebuild;
mod record;
mod tail;

use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use driver::Engine;
use pabal_core::Input;
use serde_json::{Value, json};

pub(crate) use dead_letters::{Action as DeadLetterAction, request_schema as dead_letter_request_schema};

use crate::context::RequestContext;
use crate::problem::Problem;
use crate::request::Params;
use crate::respond;
use crate::routing::AdminRoute;
use crate::server::Server;

/// Answers a route of the admin API.
pub(crate) async fn answer(
    route: AdminRoute<'_>,
    server: &Server,
    parts: &Parts,
    body: Body,
    context: &RequestContext,
) -> Result<Response<Body>, Problem> {
    let params = Params::parse(parts.uri.query())?;
    match route {
        AdminRoute::Events => events::events(server, parts, &params).await,
        AdminRoute::Subscriptions => Ok(subscriptions(server)),
        AdminRoute::DeadLetters => dead_letters::list(server, &params).await,
        AdminRoute::Redrive => dead_letters::apply(DeadLetterAction::Redrive, server, parts, body, context).await,
        AdminRoute::Discard => dead_letters::apply(DeadLetterAction::Discard, server, parts, body, context).await,
        AdminRoute::Rebuild(view) => rebuild::start(server, &params, view, context).await,
        AdminRoute::Pause(service) => pause(server, &params, service, true, context),
        AdminRoute::Resume(service) => pause(server, &params, service, false, context),
    }
}

/// `GET /admin/subscriptions`.
fn subscriptions(server: &Server) -> Response<Body> {
    let status =
        |engine: &Arc<Engine>| json!({"system": engine.model().system.name, "name": engine.name(), "status": engine.status()});
    let systems: Vec<Value> = server.engines.iter().map(status).collect();
    respond::json(StatusCode::OK, &json!({"systems": systems}))
}

/// `POST /admin/services/{service}/pause` and `…/resume`.
fn pause(
    server: &Server,
    params: &Params,
    service: &str,
    paused: bool,
    context: &RequestContext,
) -> Result<Response<Body>, Problem> {
    let declares = |engine: &&Arc<Engine>| engine.model().system.services.iter().any(|declared| declared.name == service);
    let absent = || Problem::absent(format!("there is no service `{service}`"));
    let engine = engines::engine_declaring(server, params, declares).ok_or_else(absent)?;
    let (actor, request) = (&context.actor, &context.request_id);
    tracing::info!(service, paused, actor, request, "a service is paused or resumed");
    engines::accept(engine, Input::Pause { service: service.to_owned(), paused })
}
