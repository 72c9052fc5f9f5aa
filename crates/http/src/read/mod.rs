//! Reading: one entity, a page of them, a search, the totals. Every response comes from what is committed.

mod csv;
mod hal;
mod listing;
mod rows;
mod totals;

use axum::body::Body;
use axum::http::header::{ACCEPT, ETAG};
use axum::http::{Response, StatusCode};
use ports::Reader;
use serde_json::json;

pub(crate) use hal::{Entity, members};
pub(crate) use listing::parse_instant;
pub(crate) use rows::row;
pub(crate) use totals::totals;

use crate::call::Call;
use crate::problem::Problem;
use crate::request::{Params, etag, has_current_version};
use crate::respond;
use listing::Listing;
use rows::blocking;

/// `GET /things/{id}`.
pub(crate) async fn entity(call: &Call<'_>, id: u64) -> Result<Response<Body>, Problem> {
    let row = row(call.resource, id).await?;
    if has_current_version(call.headers, row.version) {
        let mut response = respond::empty(StatusCode::NOT_MODIFIED);
        response.headers_mut().extend(etag(row.version).map(|tag| (ETAG, tag)));
        return Ok(response);
    }
    Entity::from_row(call.resource, &row, id)?.respond(call.resource, &call.address(), StatusCode::OK)
}

/// `GET /things`.
pub(crate) async fn list(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let params = Params::parse(call.uri.query())?;
    page(call, params, "").await
}

/// `GET /things/search/findBy<Field>?<field>=`.
pub(crate) async fn search(call: &Call<'_>, field: usize) -> Result<Response<Body>, Problem> {
    let params = Params::parse(call.uri.query())?;
    let field = &call.resource.fields[field];
    if params.get(field.info.name).is_none() {
        return Err(Problem::field(field.info.name, "missing", "is required"));
    }
    let below = format!("/search/{}", field.find_by.as_deref().unwrap_or_default());
    page(call, params, &below).await
}

async fn page(call: &Call<'_>, params: Params, below: &str) -> Result<Response<Body>, Problem> {
    let csv = wants_csv(call, &params)?;
    let opened_by_link = params.get("format").is_some();
    let listing = Listing::try_new(call.resource, params, &call.server.options.zone)?;
    if csv {
        return Ok(csv::export(call.resource, listing.query, opened_by_link));
    }
    let (table, query) = (call.resource.table, listing.query.clone());
    let read = move |reader: &dyn Reader| Ok((reader.page(table, &query)?, reader.total(table, &query)?));
    let (page, total) = blocking(call.resource, read).await?;
    let name = call.resource.route.name;
    let href = call.address().collection(name);
    let mut out = Vec::with_capacity(256 + 512 * page.rows.len());
    out.extend_from_slice(format!(r#"{{"_embedded":{{"{name}":["#).as_bytes());
    let mut first = true;
    for row in &page.rows {
        let Some(id) = row.id else { continue };
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        Entity::from_row(call.resource, row, id)?.write(&href, &mut out)?;
    }
    let links = listing.links(&format!("{href}{below}"), total, page.next.as_ref());
    out.extend_from_slice(format!(r#"]}},"_links":{links},"page":{}}}"#, listing.page(total)).as_bytes());
    Ok(hal::respond(StatusCode::OK, out))
}

fn wants_csv(call: &Call<'_>, params: &Params) -> Result<bool, Problem> {
    match params.get("format") {
        Some("csv") => Ok(true),
        Some("json") => Ok(false),
        Some(_) => Err(Problem::field("format", "enum", "must be one of csv, json")),
        None => Ok(call.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(prefers_csv)),
    }
}

/// CSV only where `Accept` names it and no JSON: browsers and clients that send `*/*` get JSON.
fn prefers_csv(accept: &str) -> bool {
    let mut types = accept.split(',').filter_map(|part| part.split(';').next()).map(str::trim);
    types.clone().any(|name| name == "text/csv") && !types.any(|name| name.ends_with("json"))
}

/// `GET /things/search`: links to the searches.
pub(crate) fn search_index(call: &Call<'_>) -> Response<Body> {
    let href = call.address().collection(call.resource.route.name);
    let mut links = serde_json::Map::new();
    links.insert("self".into(), json!({"href": format!("{href}/search")}));
    for field in &call.resource.fields {
        if let Some(find_by) = &field.find_by {
            let template = format!("{href}/search/{find_by}{{?{}}}", field.info.name);
            links.insert(find_by.clone(), json!({"href": template, "templated": true}));
        }
    }
    hal::respond(StatusCode::OK, json!({"_links": links}).to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_sent_only_where_it_is_accepted_by_name() {
        assert!(prefers_csv("text/csv") && prefers_csv("text/csv;q=0.9, */*"));
        assert!(!prefers_csv("*/*") && !prefers_csv("application/json, text/csv"));
    }
}
