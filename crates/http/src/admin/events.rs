//! `GET /admin/events`: records of the log, in order, or as server-sent events while it grows.

use axum::body::Body;
use axum::http::header::ACCEPT;
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use ports::LogQuery;
use serde_json::{Value, json};

use super::engines::{engine_named, limit};
use super::record::record_json;
use super::tail;
use crate::problem::Problem;
use crate::read::parse_instant;
use crate::request::Params;
use crate::respond;
use crate::server::Server;

/// Answers it.
pub(super) async fn events(server: &Server, parts: &Parts, params: &Params) -> Result<Response<Body>, Problem> {
    let engine = engine_named(server, params.get("system"), params.get("service"))?;
    let instant = |name: &str| params.get(name).map(|text| parse_instant(name, text, &server.options.zone)).transpose();
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
        return tail::stream(engine, query, &parts.headers, params.get("after").is_some(), server.options.ready.clone()).await;
    }
    let (reader, limit) = (engine.reader().clone(), query.limit);
    let read =
        tokio::task::spawn_blocking(move || Ok::<_, Problem>((reader.log(&query)?, reader.first_seq()?, reader.last_seq()?)));
    let (records, first, last) = read.await.map_err(|error| Problem::fault(&error))??;
    let mut links = json!({"self": {"href": format!("/admin/events{}", params.link(&[], &[]))}});
    if let Some(record) = records.last().filter(|_| records.len() == limit) {
        let next = params.link(&["after"], &[("after", &record.seq.to_string())]);
        links["next"] = json!({"href": format!("/admin/events{next}")});
    }
    let events: Vec<Value> = records.iter().map(record_json).collect();
    let body = json!({"_embedded": {"events": events}, "firstSeq": first, "lastSeq": last, "_links": links});
    Ok(respond::json(StatusCode::OK, &body))
}
