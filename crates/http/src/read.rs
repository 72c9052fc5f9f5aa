//! Reading: one entity, a page of them, a search, the totals. Every answer comes from what is committed.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{ACCEPT, ETAG};
use axum::http::{Response, StatusCode};
use kernel::field::Ask;
use ports::{Reader, StoreError, StoredRow};
use serde_json::{Value, json};

use crate::answer::Call;
use crate::conditional::{etag, is_known};
use crate::csv;
use crate::hal::{self, Entity};
use crate::listing::Listing;
use crate::problem::Problem;
use crate::query::Params;
use crate::site::Served;
use crate::thing::Thing;

/// `GET /things/{id}`.
pub(crate) async fn entity(call: &Call<'_>, id: u64) -> Result<Response<Body>, Problem> {
    let row = row(call.thing, id).await?;
    if is_known(call.headers, row.version) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().extend(etag(row.version).map(|tag| (ETAG, tag)));
        return Ok(response);
    }
    Entity::of_row(call.thing, &row, id)?.respond(call.thing, &call.address(), StatusCode::OK)
}

/// One row by its id, 404 where there is none.
pub(crate) async fn row(thing: &Arc<Served>, id: u64) -> Result<StoredRow, Problem> {
    let table = thing.table;
    let found = if thing.engine.reader().is_remote() {
        blocking(thing, move |reader| reader.by_id(table, id)).await?
    } else {
        // Too short a read to be worth another thread.
        thing.engine.reader().by_id(table, id)?
    };
    found.ok_or_else(|| Problem::absent(format!("there is no {id} in {}", thing.name)))
}

/// `GET /things`.
pub(crate) async fn list(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let params = Params::parse(call.uri.query())?;
    page(call, params, "").await
}

/// `GET /things/search/findBy<Field>?<field>=`.
pub(crate) async fn search(call: &Call<'_>, field: usize) -> Result<Response<Body>, Problem> {
    let params = Params::parse(call.uri.query())?;
    let field = &call.thing.fields[field];
    if params.get(field.info.name).is_none() {
        return Err(Problem::field(field.info.name, "missing", "is required"));
    }
    let below = format!("/search/{}", field.find_by.as_deref().unwrap_or_default());
    page(call, params, &below).await
}

async fn page(call: &Call<'_>, params: Params, below: &str) -> Result<Response<Body>, Problem> {
    let csv = wants_csv(call, &params)?;
    let opened_by_link = params.get("format").is_some();
    let listing = Listing::of(call.thing, params, &call.site.options.zone)?;
    if csv {
        return Ok(csv::export(call.thing, listing.query, opened_by_link));
    }
    let (table, query) = (call.thing.table, listing.query.clone());
    let read = move |reader: &dyn Reader| Ok((reader.page(table, &query)?, reader.total(table, &query)?));
    let (page, total) = blocking(call.thing, read).await?;
    let href = call.address().things(call.thing.name);
    let mut out = Vec::with_capacity(256 + 512 * page.rows.len());
    out.extend_from_slice(format!(r#"{{"_embedded":{{"{}":["#, call.thing.name).as_bytes());
    let mut first = true;
    for row in &page.rows {
        let Some(id) = row.id else { continue };
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        Entity::of_row(call.thing, row, id)?.write(&href, &mut out)?;
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

/// CSV only for who asks for nothing of ours besides: browsers and clients with `*/*` get JSON.
fn prefers_csv(accept: &str) -> bool {
    let mut types = accept.split(',').filter_map(|part| part.split(';').next()).map(str::trim);
    types.clone().any(|name| name == "text/csv") && !types.any(|name| name.ends_with("json"))
}

/// `GET /things/search`: which searches there are.
pub(crate) fn search_index(call: &Call<'_>) -> Response<Body> {
    let href = call.address().things(call.thing.name);
    let mut links = serde_json::Map::new();
    links.insert("self".into(), json!({"href": format!("{href}/search")}));
    for field in &call.thing.fields {
        if let Some(find_by) = &field.find_by {
            let template = format!("{href}/search/{find_by}{{?{}}}", field.info.name);
            links.insert(find_by.clone(), json!({"href": template, "templated": true}));
        }
    }
    hal::respond(StatusCode::OK, json!({"_links": links}).to_string().into_bytes())
}

/// `GET /things/totals`: how many rows there are, in all, per value of each counted field, per counted pair.
pub(crate) async fn totals(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let thing = call.thing.clone();
    let read = move |reader: &dyn Reader| count(&thing, reader);
    let mut totals = blocking(call.thing, read).await?;
    let href = format!("{}/totals", call.address().things(call.thing.name));
    totals["_links"] = json!({"self": {"href": href}});
    Ok(hal::respond(StatusCode::OK, totals.to_string().into_bytes()))
}

fn count(thing: &Thing, reader: &dyn Reader) -> Result<Value, StoreError> {
    let table = thing.model.table_of(thing.table);
    let total: u64 = reader.counters(thing.table, "")?.iter().map(|(_, rows)| rows).sum();
    let mut by = serde_json::Map::new();
    for field in thing.fields.iter().filter(|field| field.info.ask == Ask::Counted) {
        let counted = reader.counters(thing.table, field.info.name)?.into_iter().filter(|(_, rows)| *rows > 0);
        let values: Vec<Value> = counted.map(|(value, rows)| json!({"value": value, "rows": rows})).collect();
        by.insert(field.info.name.into(), values.into());
    }
    let mut pairs = Vec::new();
    for (first, second) in &table.crossed {
        let (first, second) = (table.fields[*first].name, table.fields[*second].name);
        let counted = reader.counters(thing.table, &format!("{first}*{second}"))?.into_iter().filter(|(_, rows)| *rows > 0);
        let values = counted.map(|(value, rows)| {
            let (one, other) = value.split_once('\u{1f}').unwrap_or((&value, ""));
            json!({"values": [one, other], "rows": rows})
        });
        pairs.push(json!({"fields": [first, second], "totals": values.collect::<Vec<_>>()}));
    }
    Ok(json!({"total": total, "by": by, "pairs": pairs}))
}

/// Runs a read that may take more than a moment where it keeps no request from moving.
pub(crate) async fn blocking<T: Send + 'static>(
    thing: &Arc<Served>,
    read: impl FnOnce(&dyn Reader) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let reader = thing.engine.reader().clone();
    let joined = tokio::task::spawn_blocking(move || read(&*reader)).await;
    Ok(joined.map_err(|error| Problem::fault(&error))??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_for_who_asks_for_it() {
        assert!(prefers_csv("text/csv") && prefers_csv("text/csv;q=0.9, */*"));
        assert!(!prefers_csv("*/*") && !prefers_csv("application/json, text/csv"));
    }
}
