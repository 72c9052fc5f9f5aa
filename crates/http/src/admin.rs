//! The admin API: the log of events, what is parked or dead, who follows and how far, rebuilds and pauses.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::ACCEPT;
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use driver::Engine;
use kernel::Timestamp;
use pabal_core::Input;
use ports::{LogQuery, Record};
use serde_json::{Value, json};

use crate::context::RequestContext;
use crate::listing::read_instant;
use crate::ops::answer as json_answer;
use crate::problem::Problem;
use crate::query::Params;
use crate::site::Site;
use crate::{dead_letters, rebuild, tail};

/// A route of the admin API.
pub(crate) enum Admin<'a> {
    Events,
    Followers,
    DeadLetters,
    Redrive,
    Discard,
    Rebuild(&'a str),
    /// A service, and whether it stops or starts.
    Pause(&'a str, bool),
}

/// Entries of a list where nothing is said, and at most.
const DEFAULT_LIMIT: u64 = 100;
const LARGEST_LIMIT: u64 = 1000;

impl<'a> Admin<'a> {
    /// What a path below `/admin/` names.
    pub fn of(path: &'a str) -> Option<Self> {
        let mut segments = path.split('/');
        let words = (segments.next()?, segments.next(), segments.next(), segments.next());
        Some(match words {
            ("events", None, ..) => Self::Events,
            ("followers", None, ..) => Self::Followers,
            ("dead-letters", None, ..) => Self::DeadLetters,
            ("dead-letters", Some("redrive"), None, _) => Self::Redrive,
            ("dead-letters", Some("discard"), None, _) => Self::Discard,
            ("views", Some(view), Some("rebuild"), None) => Self::Rebuild(view),
            ("services", Some(service), Some("pause"), None) => Self::Pause(service, true),
            ("services", Some(service), Some("resume"), None) => Self::Pause(service, false),
            _ => return None,
        })
    }

    /// Its route template.
    pub fn template(&self) -> &'static str {
        match self {
            Self::Events => "/admin/events",
            Self::Followers => "/admin/followers",
            Self::DeadLetters => "/admin/dead-letters",
            Self::Redrive => "/admin/dead-letters/redrive",
            Self::Discard => "/admin/dead-letters/discard",
            Self::Rebuild(_) => "/admin/views/{view}/rebuild",
            Self::Pause(_, true) => "/admin/services/{service}/pause",
            Self::Pause(_, false) => "/admin/services/{service}/resume",
        }
    }

    /// Whether it changes something: then it is `POST`, else `GET`.
    pub fn changes(&self) -> bool {
        !matches!(self, Self::Events | Self::Followers | Self::DeadLetters)
    }
}

/// Answers it.
pub(crate) async fn answer(
    admin: Admin<'_>,
    site: &Site,
    parts: &Parts,
    body: Body,
    context: &RequestContext,
) -> Result<Response<Body>, Problem> {
    let params = Params::parse(parts.uri.query())?;
    match admin {
        Admin::Events => events(site, parts, &params).await,
        Admin::Followers => {
            let status = |engine: &Arc<Engine>| json!({"system": engine.model().system.name, "name": engine.name(), "status": engine.status()});
            let systems: Vec<Value> = site.engines.iter().map(status).collect();
            Ok(json_answer(StatusCode::OK, &json!({"systems": systems})))
        }
        Admin::DeadLetters => dead_letters::list(site, &params).await,
        Admin::Redrive => dead_letters::decide(site, parts, body, context, false).await,
        Admin::Discard => dead_letters::decide(site, parts, body, context, true).await,
        Admin::Rebuild(view) => rebuild::start(site, &params, view, context).await,
        Admin::Pause(service, paused) => {
            let knows = |engine: &&Arc<Engine>| engine.model().system.services.iter().any(|known| known.name == service);
            let absent = || Problem::absent(format!("there is no service `{service}`"));
            let engine = engine_with(site, &params, knows).ok_or_else(absent)?;
            tracing::info!(
                service,
                paused,
                actor = context.actor,
                request = context.request_id,
                "a service is paused or resumed"
            );
            tell(engine, Input::Pause { service: service.to_owned(), paused })
        }
    }
}

/// Gives the system something to do.
pub(crate) fn tell(engine: &Engine, input: Input) -> Result<Response<Body>, Problem> {
    engine.tell(input)?;
    Ok(json_answer(StatusCode::ACCEPTED, &json!({"accepted": true})))
}

/// The system that is named, or the only one; where its services stand alone, the one of them.
pub(crate) fn engine_named<'a>(site: &'a Site, system: Option<&str>, service: Option<&str>) -> Result<&'a Arc<Engine>, Problem> {
    let mut left: Vec<&Arc<Engine>> = site.engines.iter().collect();
    if let Some(name) = system {
        left.retain(|engine| engine.model().system.name == name);
        if left.is_empty() {
            return Err(Problem::field("system", "enum", format!("there is no system `{name}`")));
        }
    }
    if let Some(name) = service {
        left.retain(|engine| engine.model().system.services.iter().any(|service| service.name == name));
        if left.is_empty() {
            return Err(Problem::field("service", "enum", format!("there is no service `{name}`")));
        }
    }
    match left.as_slice() {
        [only] => Ok(only),
        [first, rest @ ..] if rest.iter().all(|engine| engine.model().system.name == first.model().system.name) => {
            Err(Problem::field("service", "missing", "is required where several services stand alone"))
        }
        _ => Err(Problem::field("system", "missing", "is required where several systems run")),
    }
}

/// The first system that knows it, of those that `?system=` lets through.
pub(crate) fn engine_with<'a>(
    site: &'a Site,
    params: &Params,
    knows: impl Fn(&&'a Arc<Engine>) -> bool,
) -> Option<&'a Arc<Engine>> {
    let named = |engine: &&Arc<Engine>| params.get("system").is_none_or(|name| name == engine.model().system.name);
    site.engines.iter().filter(named).find(knows)
}

/// `?limit=`, within bounds.
pub(crate) fn limit(params: &Params) -> Result<usize, Problem> {
    let limit = params.number("limit")?.unwrap_or(DEFAULT_LIMIT).clamp(1, LARGEST_LIMIT);
    usize::try_from(limit).map_err(|error| Problem::fault(&error))
}

/// `GET /admin/events`: records of the log in order, or, as `text/event-stream`, those to come.
async fn events(site: &Site, parts: &Parts, params: &Params) -> Result<Response<Body>, Problem> {
    let engine = engine_named(site, params.get("system"), params.get("service"))?;
    let instant = |name: &str| params.get(name).map(|text| read_instant(name, text, &site.options.zone)).transpose();
    let query = LogQuery {
        after: params.number("after")?.unwrap_or(0),
        limit: limit(params)?,
        event_type: params.get("type").map(str::to_owned),
        key: params.get("key").map(str::to_owned),
        request: params.get("request").map(str::to_owned),
        from_ms: instant("from")?,
        until_ms: instant("to")?,
    };
    let accept = parts.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/event-stream") {
        return tail::follow(engine, query, &parts.headers, params.get("after").is_some(), site.options.ready.clone()).await;
    }
    let (reader, full) = (engine.reader().clone(), query.limit);
    let read =
        tokio::task::spawn_blocking(move || Ok::<_, Problem>((reader.log(&query)?, reader.first_seq()?, reader.last_seq()?)));
    let (records, first, last) = read.await.map_err(|error| Problem::fault(&error))??;
    let mut links = json!({"self": {"href": format!("/admin/events{}", params.link(&[], &[]))}});
    if let Some(record) = records.last().filter(|_| records.len() == full) {
        let next = params.link(&["after"], &[("after", &record.seq.to_string())]);
        links["next"] = json!({"href": format!("/admin/events{next}")});
    }
    let events: Vec<Value> = records.iter().map(shown).collect();
    Ok(json_answer(
        StatusCode::OK,
        &json!({"_embedded": {"events": events}, "firstSeq": first, "lastSeq": last, "_links": links}),
    ))
}

/// A record as people and pages read it.
pub(crate) fn shown(record: &Record) -> Value {
    // A payload that is no JSON is shown as the text it is: whoever looks at it wants to see just that.
    let data: Value = serde_json::from_slice(&record.data).unwrap_or_else(|_| String::from_utf8_lossy(&record.data).into());
    json!({
        "seq": record.seq,
        "id": record.id,
        "source": record.source,
        "type": record.event_type,
        "version": record.version,
        "key": record.key,
        "time": time(record.time_ms),
        "data": data,
        "cause": record.cause,
    })
}

/// An instant as people read it.
pub(crate) fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_admin_are_told_apart() {
        assert_eq!(Admin::of("events").unwrap().template(), "/admin/events");
        assert_eq!(Admin::of("views/things/rebuild").unwrap().template(), "/admin/views/{view}/rebuild");
        assert!(Admin::of("dead-letters/other").is_none() && Admin::of("events/1").is_none() && Admin::of("").is_none());
    }
}
