//! Any list as CSV (RFC 4180): streamed in short pages by key, so that an export of millions neither fills the memory nor
//! occupies the store.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};
use futures_util::stream;
use ports::{Query, Start};
use serde_json::Value;

use super::hal::members;
use super::rows::blocking;
use crate::problem::Problem;
use crate::server::ServedResource;

/// Rows that are read, encoded and sent before the next ones are read.
const PAGE_ROWS: u32 = 500;

/// All rows of the query, from the first. `opened` marks the file for spreadsheets that open it.
pub(crate) fn export(resource: &Arc<ServedResource>, query: Query, opened: bool) -> Response<Body> {
    let first = Query { start: Start::Offset(0), limit: PAGE_ROWS, ..query };
    let mut head = Vec::new();
    if opened {
        // Spreadsheets assume the system's legacy code page unless the file begins with a byte order mark.
        head.extend_from_slice("\u{feff}".as_bytes());
    }
    write_line(&mut head, resource.columns.iter().map(String::as_str));
    let state = (resource.clone(), Some(first), head);
    let lines = stream::try_unfold(state, |(resource, query, mut out)| async move {
        let Some(query) = query else { return Ok::<_, std::io::Error>(None) };
        let next =
            append(&resource, query, &mut out).await.map_err(|problem| std::io::Error::other(problem.code().to_owned()))?;
        Ok(Some((Bytes::from(out), (resource, next, Vec::new()))))
    });
    let mut response = Response::new(Body::from_stream(lines));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    if let Ok(name) = HeaderValue::try_from(format!("attachment; filename=\"{}.csv\"", resource.route.name)) {
        response.headers_mut().insert(CONTENT_DISPOSITION, name);
    }
    response
}

/// Appends one page; returns the query of the next.
async fn append(resource: &Arc<ServedResource>, query: Query, out: &mut Vec<u8>) -> Result<Option<Query>, Problem> {
    let (table, asked) = (resource.table, query.clone());
    let page = blocking(resource, move |reader| reader.page(table, &asked)).await?;
    for row in &page.rows {
        let Some(id) = row.id else { continue };
        let body = members(resource, row, id)?;
        write_line(out, resource.columns.iter().map(|column| body.get(column).map_or_else(String::new, cell)));
    }
    Ok(page.next.map(|cursor| Query { start: Start::After(cursor), ..query }))
}

/// A value as a cell's text; objects and lists as JSON.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => no_formula(text),
        other => other.to_string(),
    }
}

/// Spreadsheets evaluate text that begins like a formula; a leading apostrophe prevents it.
fn no_formula(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

fn write_line<T: AsRef<str>>(out: &mut Vec<u8>, cells: impl Iterator<Item = T>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let cell = cell.as_ref();
        if cell.contains([',', '"', '\r', '\n']) {
            out.extend_from_slice(format!("\"{}\"", cell.replace('"', "\"\"")).as_bytes());
        } else {
            out.extend_from_slice(cell.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(values: &[Value]) -> String {
        let mut out = Vec::new();
        write_line(&mut out, values.iter().map(cell));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn commas_quotes_and_line_ends_are_quoted() {
        assert_eq!(
            line(&[json!("a,b"), json!("say \"x\""), json!("a\nb"), json!(5), Value::Null]),
            "\"a,b\",\"say \"\"x\"\"\",\"a\nb\",5,\r\n"
        );
    }

    #[test]
    fn no_cell_is_evaluated_as_a_formula() {
        assert_eq!(line(&[json!("=1+1"), json!("@a"), json!("+82"), json!("-x")]), "'=1+1,'@a,'+82,'-x\r\n");
        assert_eq!(line(&[json!(-5), json!([{"a": 1}])]), "-5,\"[{\"\"a\"\":1}]\"\r\n");
    }
}
