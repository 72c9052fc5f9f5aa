//! Pages and totals of listed rows.
//!
//! The access path is chosen by [`ports::query::Planner`], and not by PostgreSQL, whose statistics may be stale. What must not
//! be looked up in an index is written in a form that no index has: `coalesce(column, …)`, compared by a function instead of an
//! operator, and an id plus 0. (PostgreSQL estimates that a third of the rows meet a function. That is wrong, too, but
//! harmless: for an operator on an unknown expression it estimates next to none, and sorts everything.) Each partial index
//! contains the listed rows, and is used if the query states that its column is not null; so the query states it of the indexed
//! column only.

use std::fmt::Write as _;

use kernel::field::IndexValue;
use ports::model::Counter;
use ports::query::{AccessPath, COUNT_LIMIT, Estimate, Planner};
use ports::{Condition, Page, Predicate, Query, Start, Total};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::connection::session::Connection;
use crate::error::DatabaseError;
use crate::layout::{ROW, TableLayout, stored};
use crate::records::counters;
use crate::value::{Value, clamp_i64, encoded, get, get_u64, limit, numbers, texts, values};

/// A statement under construction.
pub(crate) struct Select {
    pub sql: String,
    pub values: Vec<(Value<'static>, Type)>,
}

/// One page, with the cursor of its last row if another page follows.
pub(crate) async fn page(
    conn: &mut Connection,
    layout: &TableLayout,
    query: &Query,
    sorted_by: impl Fn(&Row) -> Result<IndexValue, DatabaseError>,
) -> Result<Page, DatabaseError> {
    let planner = planner(layout, query)?;
    let estimates = estimates(conn, layout, planner.estimates()).await?;
    let select = selected(layout, query, planner.predicates(), planner.access_path(&estimates));
    let mut rows = conn.query_once(&select.sql, &select.values).await?;
    let more = query.cut(&mut rows);
    let next = match rows.last().filter(|_| more) {
        Some(last) => Some(ports::Cursor { value: sorted_by(last)?, id: get_u64(last, 0)? }),
        None => None,
    };
    Ok(Page { rows: rows.iter().map(stored).collect::<Result<_, _>>()?, next })
}

/// How many rows there are.
pub(crate) async fn total(conn: &mut Connection, layout: &TableLayout, query: &Query) -> Result<Total, DatabaseError> {
    let planner = planner(layout, query)?;
    if let Some(counter) = planner.total_counter() {
        return Ok(Total::exact(counted(conn, layout, &counter).await?));
    }
    let estimates = estimates(conn, layout, planner.total_estimates()).await?;
    let lead = planner.most_selective(&estimates);
    Ok(Total::counted(count(conn, layout, planner.predicates(), lead).await?))
}

fn planner<'a>(layout: &'a TableLayout, query: &Query) -> Result<Planner<'a>, DatabaseError> {
    Planner::new(&layout.fields, query).map_err(|unknown| DatabaseError::Corrupt(format!("{}: {unknown}", layout.name)))
}

async fn counted(conn: &mut Connection, layout: &TableLayout, counter: &Counter) -> Result<u64, DatabaseError> {
    let Counter { name, value } = counter;
    let row = conn.row(counters::ONE, &values![layout.name.as_str(), name.as_str(), value.as_str()]).await?;
    // Slots are read without a lock: their sum may be negative for a moment.
    let number: i64 = row.map_or(Ok(0), |row| get(&row, 0))?;
    Ok(u64::try_from(number).unwrap_or_default())
}

async fn estimates(conn: &mut Connection, layout: &TableLayout, estimates: Vec<Estimate>) -> Result<Vec<u64>, DatabaseError> {
    let mut rows = Vec::with_capacity(estimates.len());
    for estimate in estimates {
        rows.push(match estimate {
            Estimate::Counter(counter) => counted(conn, layout, &counter).await?,
            Estimate::Count(predicate) => count(conn, layout, std::slice::from_ref(&predicate), 0).await?,
        });
    }
    Ok(rows)
}

async fn count(conn: &mut Connection, layout: &TableLayout, conditions: &[Predicate], lead: usize) -> Result<u64, DatabaseError> {
    let select = counting(layout, conditions, lead);
    let rows = conn.query_once(&select.sql, &select.values).await?;
    rows.first().map_or(Ok(0), |row| get_u64(row, 0))
}

/// A statement that counts up to a limit.
pub(crate) fn counting(layout: &TableLayout, conditions: &[Predicate], lead: usize) -> Select {
    let mut select = Select::new(format!("SELECT count(*) FROM (SELECT 1 FROM {} WHERE true", layout.table()));
    for (position, on) in conditions.iter().enumerate() {
        select.meeting(layout, on, position == lead);
    }
    let _ = write!(select.sql, " LIMIT {}) AS found", COUNT_LIMIT + 1);
    select
}

/// The statement of a page; its sixth column is the sort value.
pub(crate) fn selected(layout: &TableLayout, query: &Query, conditions: &[Predicate], path: AccessPath) -> Select {
    let Query { sort, start, .. } = query;
    if let Some(field) = sort.field.filter(|field| layout.fields.is_key(*field)) {
        return by_key(layout, query, conditions, field, path);
    }
    let (lead, in_order) = (path.predicate(), !path.sorts());
    let by = sort.field.map(|field| (layout.column(field), column(layout, field, in_order)));
    let id = if in_order { "id" } else { "(id + 0)" };
    let shown = by.as_ref().map_or("''::bytea", |(plain, _)| plain);
    let there = match (lead, &by) {
        (None, None) => "id IS NOT NULL".to_owned(),
        // A row not yet backfilled has no position in this order.
        (_, Some((plain, _))) => format!("{plain} IS NOT NULL"),
        (Some(_), None) => "true".to_owned(),
    };
    let mut select = Select::new(format!("SELECT {ROW}, {shown} FROM {} WHERE {there}", layout.table()));
    for (position, on) in conditions.iter().enumerate() {
        // A condition on the sort field is met in that order's own index.
        let walked = lead == Some(position) || (in_order && sort.field == Some(on.0));
        select.meeting(layout, on, walked);
    }
    if let Start::After(cursor) = start {
        // Along a single value the cursor is that value and the id.
        let along = lead.filter(|_| in_order && by.is_none()).and_then(|lead| conditions.get(lead));
        let along = along.filter(|(field, _)| !layout.fields.is_key(*field));
        let value = match (&by, along) {
            (Some((_, walked)), _) => Some((walked.clone(), &cursor.value)),
            (None, Some((field, Condition::Is(value)))) => Some((layout.column(*field), value)),
            (None, _) => None,
        };
        select.behind(value, id, cursor.id, sort.descending);
    }
    let way = if sort.descending { " DESC" } else { "" };
    let first = by.map(|(_, walked)| format!("{walked}{way}, ")).unwrap_or_default();
    let (rows, skipped) = (limit(query.fetch_limit()), clamp_i64(start.offset()));
    let _ = write!(select.sql, " ORDER BY {first}{id}{way} LIMIT {rows} OFFSET {skipped}");
    select
}

/// The same in the order of keys, which are unique texts.
fn by_key(layout: &TableLayout, query: &Query, conditions: &[Predicate], field: usize, path: AccessPath) -> Select {
    let Query { sort, start, .. } = query;
    let lead = match path {
        AccessPath::Index(lead) => Some(lead).filter(|lead| conditions.get(*lead).is_some_and(|on| on.0 != field)),
        path => path.predicate(),
    };
    let order = if path.sorts() { "(key || '')" } else { "key" };
    let shown = format!("'\\x{:02x}'::bytea || convert_to(key, 'UTF8')", texts()[0]);
    let mut select = Select::new(format!("SELECT {ROW}, {shown} FROM {} WHERE (id + 0) IS NOT NULL", layout.table()));
    for (position, on) in conditions.iter().enumerate() {
        select.meeting(layout, on, lead == Some(position));
    }
    let (way, operator) = if sort.descending { (" DESC", "<") } else { ("", ">") };
    if let Some(cursor) = start.cursor() {
        match &cursor.value {
            IndexValue::Text(key) => {
                let key = key.split('\0').next().unwrap_or_default().to_owned();
                select.values.push((Box::new(key), Type::TEXT));
                let _ = write!(select.sql, " AND {order} {operator} ${}", select.values.len());
            }
            // Texts sort after everything else.
            _ if sort.descending => select.sql.push_str(" AND false"),
            _ => {}
        }
    }
    let (rows, skipped) = (limit(query.fetch_limit()), clamp_i64(start.offset()));
    let _ = write!(select.sql, " ORDER BY {order}{way} LIMIT {rows} OFFSET {skipped}");
    select
}

/// A field's column, indexable or not.
fn column(layout: &TableLayout, field: usize, walked: bool) -> String {
    let column = layout.column(field);
    // No value starts with a zero byte.
    if walked { column } else { format!("coalesce({column}, '\\x00'::bytea)") }
}

impl Select {
    fn new(sql: String) -> Self {
        Self { sql, values: Vec::new() }
    }

    fn bind(&mut self, value: Vec<u8>) -> usize {
        self.values.push((Box::new(value), Type::BYTEA));
        self.values.len()
    }

    // Writing to a text cannot fail, here and everywhere below.
    fn and(&mut self, column: &str, (operator, function): (&str, &str), value: Vec<u8>, walked: bool) {
        let parameter = self.bind(value);
        let _ = if walked {
            write!(self.sql, " AND {column} {operator} ${parameter}")
        } else {
            write!(self.sql, " AND {function}({column}, ${parameter})")
        };
    }

    fn meeting(&mut self, layout: &TableLayout, (field, condition): &Predicate, walked: bool) {
        if layout.fields.is_key(*field) {
            return self.meeting_key(condition);
        }
        let column = &column(layout, *field, walked);
        match condition {
            Condition::Is(value) => self.and(column, ("=", "byteaeq"), encoded(value), walked),
            Condition::Within(from, until) => {
                let (from, until) = (from.map(IndexValue::Int), until.map(IndexValue::Int));
                self.and(column, (">=", "byteage"), from.as_ref().map_or_else(numbers, encoded), walked);
                self.and(column, ("<", "bytealt"), until.as_ref().map_or_else(texts, encoded), walked);
            }
        }
    }

    /// A key matches at most one row: no index is more selective.
    fn meeting_key(&mut self, condition: &Condition) {
        match condition {
            // PostgreSQL rejects NUL characters, so no such key exists.
            Condition::Is(IndexValue::Text(key)) if !key.contains('\0') => {
                self.values.push((Box::new(key.clone()), Type::TEXT));
                let _ = write!(self.sql, " AND key = ${} AND (id + 0) IS NOT NULL", self.values.len());
            }
            _ => self.sql.push_str(" AND false"),
        }
    }

    fn behind(&mut self, by: Option<(String, &IndexValue)>, id: &str, after: u64, descending: bool) {
        let operator = if descending { "<" } else { ">" };
        let value = by.map(|(column, value)| (column, self.bind(encoded(value))));
        self.values.push((Box::new(clamp_i64(after)), Type::INT8));
        let parameter = self.values.len();
        let _ = match value {
            None => write!(self.sql, " AND {id} {operator} ${parameter}"),
            Some((column, value)) => write!(self.sql, " AND ({column}, {id}) {operator} (${value}, ${parameter})"),
        };
    }
}
