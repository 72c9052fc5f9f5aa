//! Routes for operators: health, metrics, documents, problem pages, and the admin API.

mod health;

use axum::body::Body;
use axum::http::Response;
use axum::http::request::Parts;

use crate::context::RequestContext;
use crate::documents;
use crate::options::HttpOptions;
use crate::problem::{Problem, pages};
use crate::routing::AdminRoute;
use crate::server::Server;
use crate::{admin, respond};

/// A route that is no resource.
pub(crate) enum Operation<'a> {
    Live,
    Ready,
    Started,
    Health,
    Metrics,
    OpenApi,
    AsyncApi,
    Docs,
    Problems,
    Problem(&'a str),
    Admin(AdminRoute<'a>),
}

impl<'a> Operation<'a> {
    /// The operation of a path, if it is one and is served.
    pub fn parse(path: &'a str, options: &HttpOptions) -> Option<Self> {
        Some(match path.trim_end_matches('/') {
            "/livez" | "/actuator/health/liveness" => Self::Live,
            "/readyz" | "/actuator/health/readiness" => Self::Ready,
            "/startupz" => Self::Started,
            "/actuator/health" => Self::Health,
            "/metrics" if options.metrics.is_some() => Self::Metrics,
            "/openapi.json" => Self::OpenApi,
            "/asyncapi.json" => Self::AsyncApi,
            "/docs" => Self::Docs,
            "/problems" => Self::Problems,
            path if path.starts_with("/problems/") => Self::Problem(path.strip_prefix("/problems/")?),
            path => Self::Admin(AdminRoute::parse(path).filter(|_| options.admin)?),
        })
    }

    /// Its route template.
    pub fn template(&self) -> &'static str {
        match self {
            Self::Live => "/livez",
            Self::Ready => "/readyz",
            Self::Started => "/startupz",
            Self::Health => "/actuator/health",
            Self::Metrics => "/metrics",
            Self::OpenApi => "/openapi.json",
            Self::AsyncApi => "/asyncapi.json",
            Self::Docs => "/docs",
            Self::Problems => "/problems",
            Self::Problem(_) => "/problems/{slug}",
            Self::Admin(route) => route.template(),
        }
    }

    /// Answers it.
    pub async fn answer(
        self,
        server: &Server,
        parts: &Parts,
        body: Body,
        context: &RequestContext,
    ) -> Result<Response<Body>, Problem> {
        let allow = match &self {
            Self::Admin(route) if route.is_write() => "POST, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        };
        match parts.method.as_str() {
            "OPTIONS" => return Ok(respond::allow(allow)),
            method if !allow.split(", ").any(|allowed| allowed == method) => {
                return Err(Problem::method_not_allowed(allow.to_owned()));
            }
            _ => {}
        }
        match self {
            Self::Live => Ok(health::verdict(&health::stuck(server))),
            Self::Ready => Ok(health::verdict(&health::unready(server))),
            Self::Started => Ok(health::verdict(&health::starting(server))),
            Self::Health => Ok(health::details(server)),
            Self::Metrics => {
                let scrape = server.options.metrics.as_ref().map(|render| render());
                Ok(respond::text("text/plain; version=0.0.4", scrape.unwrap_or_default()))
            }
            Self::OpenApi => Ok(respond::text("application/json", documents::openapi_of(server).to_string())),
            Self::AsyncApi => Ok(respond::text("application/json", documents::asyncapi_of(server).to_string())),
            Self::Docs => Ok(respond::text("text/html; charset=utf-8", documents::PAGE.to_owned())),
            Self::Problems => Ok(pages::index(&parts.headers)),
            Self::Problem(slug) => pages::one(slug, &parts.headers),
            Self::Admin(route) => admin::answer(route, server, parts, body, context).await,
        }
    }
}
