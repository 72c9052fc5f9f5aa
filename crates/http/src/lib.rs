#![doc = include_str!("../README.md")]

mod address;
mod admin;
mod answer;
mod call;
mod context;
mod documents;
mod operations;
mod options;
mod origin;
mod problem;
mod read;
mod request;
mod request_log;
mod request_metrics;
mod resource;
mod respond;
pub mod routing;
mod server;
mod write;

use std::sync::Arc;

use axum::Router;
use driver::Engine;

pub use context::{Actor, RequestContext};
pub use documents::{asyncapi, openapi};
pub use options::{Details, HttpOptions, RenderMetrics};
pub use origin::{Origin, host_of};
pub use problem::{Problem, ProblemType, types as problem_types};
pub use request::{IDEMPOTENCY_KEY, Shape, generated_idempotency_key};
pub use request_log::RequestLog;
pub use request_metrics::{record_request, status_class};
pub use respond::json as json_response;

use server::Server;

/// Every resource and view of these systems, with documents, health and the admin API.
pub fn router(engines: Vec<Arc<Engine>>, options: HttpOptions) -> Router {
    serve(Server::new(engines, None, options))
}

/// The resources and views of one service of a system, with documents, health and the admin API: for a port of its own.
pub fn router_for_service(engine: Arc<Engine>, service: &str, options: HttpOptions) -> Router {
    serve(Server::new(vec![engine], Some(service), options))
}

fn serve(server: Server) -> Router {
    // One fallback instead of a route each: the same look-up then tells 404, 405 and 300 apart for every path.
    Router::new().fallback(answer::answer).with_state(Arc::new(server))
}
