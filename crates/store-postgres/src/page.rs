//! Pages and totals of listed rows.
//!
//! Which index is walked is decided here and not by the planner, whose statistics may be of another time. What is not to
//! be looked up in an index stands in a form that no index has: `coalesce(column, …)`, compared by a function where there is
//! an operator, and an id plus 0. (Of a function the planner believes that a third of the rows meet it. That is wrong, too,
//! but does no harm: of an operator on something unknown it believes that next to none do, and sorts everything.)
//! Each index has the listed rows only, and can be used where it is said that its own column is there; so it is said of
//! the one that is to be walked, and of no other.

use std::fmt::Write as _;

use kernel::field::IndexValue;
use ports::model::Counter;
use ports::query::{AccessPath, COUNT_LIMIT, Estimate, Planner};
use ports::{Condition, Page, Predicate, Query, Start, Total};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::counters;
use crate::error::Failed;
use crate::session::Link;
use crate::shape::{ROW, Shape, stored};
use crate::value::{Value, encoded, get, limit, most, natural, numbers, texts, values};

/// A statement being written.
pub(crate) struct Select {
    pub sql: String,
    pub values: Vec<(Value<'static>, Type)>,
}

/// One page: its rows, and what the last of them is sorted by if there is a page behind it.
pub(crate) async fn page(
    link: &mut Link,
    shape: &Shape,
    query: &Query,
    sorted_by: impl Fn(&Row) -> Result<IndexValue, Failed>,
) -> Result<Page, Failed> {
    let planner = planner(shape, query)?;
    let estimates = estimates(link, shape, planner.estimates()).await?;
    let select = selected(shape, query, planner.predicates(), planner.access_path(&estimates));
    let mut rows = link.rows_once(&select.sql, &select.values).await?;
    let more = query.cut(&mut rows);
    let next = match rows.last().filter(|_| more) {
        Some(last) => Some(ports::Cursor { value: sorted_by(last)?, id: natural(last, 0)? }),
        None => None,
    };
    Ok(Page { rows: rows.iter().map(stored).collect::<Result<_, _>>()?, next })
}

/// How many rows there are.
pub(crate) async fn total(link: &mut Link, shape: &Shape, query: &Query) -> Result<Total, Failed> {
    let planner = planner(shape, query)?;
    if let Some(counter) = planner.total_counter() {
        return Ok(Total::exact(counted(link, shape, &counter).await?));
    }
    let estimates = estimates(link, shape, planner.total_estimates()).await?;
    let lead = planner.most_selective(&estimates);
    Ok(Total::counted(count(link, shape, planner.predicates(), lead).await?))
}

fn planner<'a>(shape: &'a Shape, query: &Query) -> Result<Planner<'a>, Failed> {
    Planner::new(&shape.fields, query).map_err(|unknown| Failed::Damaged(format!("{}: {unknown}", shape.name)))
}

async fn counted(link: &mut Link, shape: &Shape, counter: &Counter) -> Result<u64, Failed> {
    let Counter { name, value } = counter;
    let row = link.row(counters::ONE, &values![shape.name.as_str(), name.as_str(), value.as_str()]).await?;
    // While a slot is ahead of another nobody is to see fewer rows than none.
    let number: i64 = row.map_or(Ok(0), |row| get(&row, 0))?;
    Ok(u64::try_from(number).unwrap_or_default())
}

async fn estimates(link: &mut Link, shape: &Shape, estimates: Vec<Estimate>) -> Result<Vec<u64>, Failed> {
    let mut rows = Vec::with_capacity(estimates.len());
    for estimate in estimates {
        rows.push(match estimate {
            Estimate::Counter(counter) => counted(link, shape, &counter).await?,
            Estimate::Count(predicate) => count(link, shape, std::slice::from_ref(&predicate), 0).await?,
        });
    }
    Ok(rows)
}

async fn count(link: &mut Link, shape: &Shape, conditions: &[Predicate], lead: usize) -> Result<u64, Failed> {
    let select = counting(shape, conditions, lead);
    let rows = link.rows_once(&select.sql, &select.values).await?;
    rows.first().map_or(Ok(0), |row| natural(row, 0))
}

/// A statement that counts up to a limit.
pub(crate) fn counting(shape: &Shape, conditions: &[Predicate], lead: usize) -> Select {
    let mut select = Select::of(format!("SELECT count(*) FROM (SELECT 1 FROM {} WHERE true", shape.table()));
    for (place, on) in conditions.iter().enumerate() {
        select.meeting(shape, on, place == lead);
    }
    let _ = write!(select.sql, " LIMIT {}) AS found", COUNT_LIMIT + 1);
    select
}

/// The statement of a page; the sixth column is what it is sorted by.
pub(crate) fn selected(shape: &Shape, query: &Query, conditions: &[Predicate], path: AccessPath) -> Select {
    let Query { sort, start, .. } = query;
    if let Some(field) = sort.field.filter(|field| shape.fields.is_key(*field)) {
        return by_key(shape, query, conditions, field, path);
    }
    let (lead, in_order) = (path.predicate(), !path.sorts());
    let by = sort.field.map(|field| (shape.column(field), column(shape, field, in_order)));
    let id = if in_order { "id" } else { "(id + 0)" };
    let shown = by.as_ref().map_or("''::bytea", |(plain, _)| plain);
    let there = match (lead, &by) {
        (None, None) => "id IS NOT NULL".to_owned(),
        // A row that is still without this field has no place in its order.
        (_, Some((plain, _))) => format!("{plain} IS NOT NULL"),
        (Some(_), None) => "true".to_owned(),
    };
    let mut select = Select::of(format!("SELECT {ROW}, {shown} FROM {} WHERE {there}", shape.table()));
    for (place, on) in conditions.iter().enumerate() {
        // A condition on what is sorted by is met in that order's own index.
        let walked = lead == Some(place) || (in_order && sort.field == Some(on.0));
        select.meeting(shape, on, walked);
    }
    if let Start::After(cursor) = start {
        // Along one value the place behind it is that value's, and the id that of the cursor.
        let along = lead.filter(|_| in_order && by.is_none()).and_then(|lead| conditions.get(lead));
        let along = along.filter(|(field, _)| !shape.fields.is_key(*field));
        let value = match (&by, along) {
            (Some((_, walked)), _) => Some((walked.clone(), &cursor.value)),
            (None, Some((field, Condition::Is(value)))) => Some((shape.column(*field), value)),
            (None, _) => None,
        };
        select.behind(value, id, cursor.id, sort.descending);
    }
    let way = if sort.descending { " DESC" } else { "" };
    let first = by.map(|(_, walked)| format!("{walked}{way}, ")).unwrap_or_default();
    let (rows, skipped) = (limit(query.fetch_limit()), most(start.offset()));
    let _ = write!(select.sql, " ORDER BY {first}{id}{way} LIMIT {rows} OFFSET {skipped}");
    select
}

/// The same in the order of keys, which are texts and each there once.
fn by_key(shape: &Shape, query: &Query, conditions: &[Predicate], field: usize, path: AccessPath) -> Select {
    let Query { sort, start, .. } = query;
    let lead = match path {
        AccessPath::Index(lead) => Some(lead).filter(|lead| conditions.get(*lead).is_some_and(|on| on.0 != field)),
        path => path.predicate(),
    };
    let order = if path.sorts() { "(key || '')" } else { "key" };
    let shown = format!("'\\x{:02x}'::bytea || convert_to(key, 'UTF8')", texts()[0]);
    let mut select = Select::of(format!("SELECT {ROW}, {shown} FROM {} WHERE (id + 0) IS NOT NULL", shape.table()));
    for (place, on) in conditions.iter().enumerate() {
        select.meeting(shape, on, lead == Some(place));
    }
    let (way, operator) = if sort.descending { (" DESC", "<") } else { ("", ">") };
    if let Some(cursor) = start.cursor() {
        match &cursor.value {
            IndexValue::Text(key) => {
                let key = key.split('\0').next().unwrap_or_default().to_owned();
                select.values.push((Box::new(key), Type::TEXT));
                let _ = write!(select.sql, " AND {order} {operator} ${}", select.values.len());
            }
            // All texts stand behind all else.
            _ if sort.descending => select.sql.push_str(" AND false"),
            _ => {}
        }
    }
    let (rows, skipped) = (limit(query.fetch_limit()), most(start.offset()));
    let _ = write!(select.sql, " ORDER BY {order}{way} LIMIT {rows} OFFSET {skipped}");
    select
}

/// A field's column, as an index has it or as none does.
fn column(shape: &Shape, field: usize, walked: bool) -> String {
    let column = shape.column(field);
    // No value begins with a zero.
    if walked { column } else { format!("coalesce({column}, '\\x00'::bytea)") }
}

impl Select {
    fn of(sql: String) -> Self {
        Self { sql, values: Vec::new() }
    }

    fn bind(&mut self, value: Vec<u8>) -> usize {
        self.values.push((Box::new(value), Type::BYTEA));
        self.values.len()
    }

    // Writing to a text cannot fail, here and everywhere below.
    fn and(&mut self, column: &str, (operator, function): (&str, &str), value: Vec<u8>, walked: bool) {
        let place = self.bind(value);
        let _ = if walked {
            write!(self.sql, " AND {column} {operator} ${place}")
        } else {
            write!(self.sql, " AND {function}({column}, ${place})")
        };
    }

    fn meeting(&mut self, shape: &Shape, (field, condition): &Predicate, walked: bool) {
        if shape.fields.is_key(*field) {
            return self.meeting_key(condition);
        }
        let column = &column(shape, *field, walked);
        match condition {
            Condition::Is(value) => self.and(column, ("=", "byteaeq"), encoded(value), walked),
            Condition::Within(from, until) => {
                let (from, until) = (from.map(IndexValue::Int), until.map(IndexValue::Int));
                self.and(column, (">=", "byteage"), from.as_ref().map_or_else(numbers, encoded), walked);
                self.and(column, ("<", "bytealt"), until.as_ref().map_or_else(texts, encoded), walked);
            }
        }
    }

    /// The key is a text, and there is one row with it at most: no index finds fewer.
    fn meeting_key(&mut self, condition: &Condition) {
        match condition {
            // One with the letter that the database does not take is not there.
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
        self.values.push((Box::new(most(after)), Type::INT8));
        let place = self.values.len();
        let _ = match value {
            None => write!(self.sql, " AND {id} {operator} ${place}"),
            Some((column, value)) => write!(self.sql, " AND ({column}, {id}) {operator} (${value}, ${place})"),
        };
    }
}
