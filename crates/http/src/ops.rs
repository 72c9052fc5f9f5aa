//! What those who run it ask: health, metrics, documents, and the door to the admin API.

use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response, StatusCode};
use driver::Engine;
use pabal_core::Status;
use serde_json::{Value, json};

use crate::admin::{self, Admin};
use crate::answer::options;
use crate::context::RequestContext;
use crate::problem::Problem;
use crate::site::Site;
use crate::{asyncapi, docs, openapi, problem_pages};

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
    Admin(Admin<'a>),
}

impl<'a> Operation<'a> {
    /// What a path names, if it names one of these.
    pub fn of(path: &'a str, site: &Site) -> Option<Self> {
        Some(match path.trim_end_matches('/') {
            "/livez" | "/actuator/health/liveness" => Self::Live,
            "/readyz" | "/actuator/health/readiness" => Self::Ready,
            "/startupz" => Self::Started,
            "/actuator/health" => Self::Health,
            "/metrics" if site.options.metrics.is_some() => Self::Metrics,
            "/openapi.json" => Self::OpenApi,
            "/asyncapi.json" => Self::AsyncApi,
            "/docs" => Self::Docs,
            "/problems" => Self::Problems,
            path if path.starts_with("/problems/") => Self::Problem(path.strip_prefix("/problems/")?),
            path => Self::Admin(Admin::of(path.strip_prefix("/admin/").filter(|_| site.options.admin)?)?),
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
            Self::Admin(admin) => admin.template(),
        }
    }

    /// Answers it.
    pub async fn answer(
        self,
        site: &Site,
        parts: &Parts,
        body: Body,
        context: &RequestContext,
    ) -> Result<Response<Body>, Problem> {
        let allow = match &self {
            Self::Admin(admin) if admin.changes() => "POST, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        };
        match parts.method.as_str() {
            "OPTIONS" => return options(allow),
            method if !allow.split(", ").any(|allowed| allowed == method) => {
                return Err(Problem::method_not_allowed(allow.to_owned()));
            }
            _ => {}
        }
        match self {
            Self::Live => Ok(verdict(&stuck(site))),
            Self::Ready => Ok(verdict(&unready(site))),
            Self::Started => Ok(verdict(&unstarted(site))),
            Self::Health => Ok(health(site)),
            Self::Metrics => Ok(text("text/plain; version=0.0.4", site.options.metrics.as_ref().map(|render| render()))),
            Self::OpenApi => Ok(text("application/json", Some(openapi::of(site).to_string()))),
            Self::AsyncApi => Ok(text("application/json", Some(asyncapi::of(site).to_string()))),
            Self::Docs => Ok(text("text/html; charset=utf-8", Some(docs::PAGE.to_owned()))),
            Self::Problems => Ok(problem_pages::index(&parts.headers)),
            Self::Problem(slug) => problem_pages::one(slug, &parts.headers),
            Self::Admin(call) => admin::answer(call, site, parts, body, context).await,
        }
    }
}

/// Systems whose writer has not gone round for too long. A neighbour that is down is none of them.
fn stuck(site: &Site) -> Vec<String> {
    let is_stuck = |engine: &&std::sync::Arc<Engine>| {
        let pulse_ms = engine.status().pulse_ms;
        // Before its first round a writer is starting, which is the start-up probe's business.
        pulse_ms > 0 && engine.now().as_millisecond() - pulse_ms > site.options.stuck_after_ms
    };
    site.engines.iter().filter(is_stuck).map(|engine| format!("{} does not go round", engine.name())).collect()
}

fn unready(site: &Site) -> Vec<String> {
    let mut reasons: Vec<String> = site.engines.iter().filter_map(|engine| trouble(engine, &engine.status())).collect();
    if !site.options.ready.load(Ordering::Relaxed) {
        reasons.push("it is not to get requests now".to_owned());
    }
    reasons
}

fn unstarted(site: &Site) -> Vec<String> {
    let starting = site.engines.iter().filter(|engine| engine.status().pulse_ms == 0);
    starting.map(|engine| format!("{} is starting", engine.name())).collect()
}

fn trouble(engine: &Engine, status: &Status) -> Option<String> {
    let why = status.trouble.as_deref().unwrap_or("it is starting");
    (!status.healthy).then(|| format!("{}: {why}", engine.name()))
}

fn verdict(reasons: &[String]) -> Response<Body> {
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = if reasons.is_empty() { "UP" } else { "DOWN" };
    answer(status, &json!({"status": word, "reasons": reasons}))
}

/// As the probes of Spring Boot read it.
fn health(site: &Site) -> Response<Body> {
    let component = |engine: &std::sync::Arc<Engine>| {
        let status = engine.status();
        let word = if status.healthy { "UP" } else { "DOWN" };
        let mut details = json!({"lastSeq": status.last_seq, "deadKeys": status.dead_keys, "trouble": status.trouble});
        if let Some(Value::Object(more)) = site.options.details.as_ref().and_then(|more| more(engine.name())) {
            more.into_iter().for_each(|(name, value)| details[name] = value);
        }
        (engine.name().to_owned(), json!({"status": word, "details": details}))
    };
    let components: serde_json::Map<String, Value> = site.engines.iter().map(component).collect();
    let up = unready(site).is_empty() && stuck(site).is_empty();
    let status = if up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer(status, &json!({"status": if up { "UP" } else { "DOWN" }, "components": components}))
}

/// An answer in JSON.
pub(crate) fn answer(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = text("application/json", Some(body.to_string()));
    *response.status_mut() = status;
    response
}

fn text(media_type: &'static str, body: Option<String>) -> Response<Body> {
    let mut response = Response::new(Body::from(body.unwrap_or_default()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
