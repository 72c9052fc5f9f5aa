#![doc = include_str!("../README.md")]

mod address;
mod admin;
mod answer;
mod asyncapi;
mod body;
mod conditional;
mod context;
mod csv;
mod dead_letters;
mod docs;
mod fit;
mod hal;
mod idempotency;
mod listing;
mod openapi;
mod ops;
mod options;
mod origin;
mod problem;
mod problem_pages;
pub mod problem_types;
mod query;
mod read;
mod rebuild;
mod shape;
mod site;
mod tail;
mod thing;
mod trail;
mod write;

use std::sync::Arc;

use axum::Router;
use driver::Engine;

pub use asyncapi::asyncapi;
pub use context::{Actor, RequestContext};
pub use idempotency::MADE_KEY_PREFIX;
pub use openapi::openapi;
pub use options::{Details, HttpOptions, RenderMetrics};
pub use origin::{Origin, host_of};
pub use problem::Problem;
pub use problem_types::ProblemType;
pub use shape::Shape;
pub use trail::Trail;

/// Every resource and view of these systems, with documents, health and the admin API.
pub fn router(engines: Vec<Arc<Engine>>, options: HttpOptions) -> Router {
    serve(site::Site::of(engines, None, options))
}

/// The resources and views of one service of a system, with documents, health and the admin API: for its own port.
pub fn router_for_service(engine: Arc<Engine>, service: &str, options: HttpOptions) -> Router {
    serve(site::Site::of(vec![engine], Some(service), options))
}

fn serve(site: site::Site) -> Router {
    // One fallback instead of a route each: the same look-up then tells 404, 405 and 300 apart for every path.
    Router::new().fallback(answer::answer).with_state(Arc::new(site))
}
