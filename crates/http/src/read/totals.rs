//! `GET /things/totals`: the number of rows, in all, per value of each counted field, and per counted pair.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use kernel::field::Ask;
use ports::{Reader, StoreError};
use serde_json::{Value, json};

use super::hal;
use super::rows::blocking;
use crate::call::Call;
use crate::problem::Problem;
use crate::resource::Resource;

/// Answers it.
pub(crate) async fn totals(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let resource = call.resource.clone();
    let read = move |reader: &dyn Reader| count(&resource, reader);
    let mut totals = blocking(call.resource, read).await?;
    let href = format!("{}/totals", call.address().collection(call.resource.route.name));
    totals["_links"] = json!({"self": {"href": href}});
    Ok(hal::respond(StatusCode::OK, totals.to_string().into_bytes()))
}

fn count(resource: &Resource, reader: &dyn Reader) -> Result<Value, StoreError> {
    let table = resource.model.table_of(resource.table);
    let total: u64 = reader.counters(resource.table, "")?.iter().map(|(_, rows)| rows).sum();
    let mut by = serde_json::Map::new();
    for field in resource.fields.iter().filter(|field| field.info.ask == Ask::Counted) {
        let counted = reader.counters(resource.table, field.info.name)?.into_iter().filter(|(_, rows)| *rows > 0);
        let values: Vec<Value> = counted.map(|(value, rows)| json!({"value": value, "rows": rows})).collect();
        by.insert(field.info.name.into(), values.into());
    }
    let mut pairs = Vec::new();
    for (first, second) in &table.crossed {
        let (first, second) = (table.fields[*first].name, table.fields[*second].name);
        let counted = reader.counters(resource.table, &format!("{first}*{second}"))?.into_iter().filter(|(_, rows)| *rows > 0);
        let values = counted.map(|(value, rows)| {
            let (one, other) = value.split_once('\u{1f}').unwrap_or((&value, ""));
            json!({"values": [one, other], "rows": rows})
        });
        pairs.push(json!({"fields": [first, second], "totals": values.collect::<Vec<_>>()}));
    }
    Ok(json!({"total": total, "by": by, "pairs": pairs}))
}
