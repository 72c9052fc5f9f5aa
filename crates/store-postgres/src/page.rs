//! Pages and totals of listed rows.
//!
//! Which index is walked is decided here and not by the planner, whose statistics may be of another time. What is not to
//! be looked up in an index stands in a form that no index has: `coalesce(column, …)`, compared by a function where there is
//! an operator, and an id plus 0. (Of a function the planner believes that a third of the rows meet it. That is wrong, too,
//! but does no harm: of an operator on something unknown it believes that next to none do, and sorts everything.)
//! Each index has the listed rows only, and can be used where it is said that its own column is there; so it is said of
//! the one that is to be walked, and of no other.

use std::fmt::Write as _;

use kernel::field::{Ask, IndexValue};
use ports::model::text;
use ports::query::COUNT_LIMIT;
use ports::{Condition, Page, Query, Start, Total};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::counters;
use crate::error::Failed;
use crate::plan::{On, Walk, needs_sizes, walk};
use crate::session::Link;
use crate::shape::{ROW, Shape, stored};
use crate::value::{Value, encoded, get, most, natural, numbers, texts, values};

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
    let conditions = conditions(shape, query)?;
    let mut sizes = Vec::new();
    if needs_sizes(&conditions, query.sort) {
        for on in &conditions {
            sizes.push(size(link, shape, on).await?);
        }
    }
    let select = selected(shape, query, &conditions, walk(&conditions, query.sort, &sizes));
    let mut rows = link.rows_once(&select.sql, &select.values).await?;
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = match rows.last().filter(|_| more) {
        Some(last) => Some(ports::Cursor { value: sorted_by(last)?, id: natural(last, 0)? }),
        None => None,
    };
    Ok(Page { rows: rows.iter().map(stored).collect::<Result<_, _>>()?, next })
}

/// How many rows there are.
pub(crate) async fn total(link: &mut Link, shape: &Shape, query: &Query) -> Result<Total, Failed> {
    let conditions = conditions(shape, query)?;
    if let Some((name, value)) = counter(shape, &conditions) {
        return Ok(Total { rows: counted(link, shape, &name, &value).await?, exact: true });
    }
    let mut lead = (u64::MAX, 0);
    for (place, on) in conditions.iter().enumerate().filter(|_| conditions.len() > 1) {
        lead = lead.min((size(link, shape, on).await?, place));
    }
    let rows = count(link, shape, &conditions, lead.1).await?;
    Ok(Total { rows: rows.min(COUNT_LIMIT), exact: rows <= COUNT_LIMIT })
}

/// What is really asked for: a period without ends asks for nothing.
fn conditions(shape: &Shape, query: &Query) -> Result<Vec<On>, Failed> {
    let fields = query.conditions.iter().map(|(field, _)| *field).chain(query.sort.field);
    if let Some(field) = fields.into_iter().find(|field| *field >= shape.fields.len()) {
        return Err(Failed::Damaged(format!("{} has no field {field}", shape.name)));
    }
    let asked = query.conditions.iter().filter(|(_, condition)| *condition != Condition::Within(None, None));
    Ok(asked.cloned().collect())
}

/// The counter that knows the total: that of all rows, of one counted field, or of a pair of them.
fn counter(shape: &Shape, conditions: &[On]) -> Option<(String, String)> {
    match conditions {
        [] => Some((String::new(), String::new())),
        [(field, Condition::Is(value))] => {
            let field = shape.fields.get(*field).filter(|field| field.ask == Ask::Counted)?;
            Some((field.name.to_owned(), text(value)))
        }
        [(one, Condition::Is(first)), (other, Condition::Is(second))] => {
            let pair = |a: usize, b: usize, first, second| {
                let name = shape.crossed.contains(&(a, b)).then(|| shape.crossed_name(a, b))?;
                Some((name, format!("{}\u{1f}{}", text(first), text(second))))
            };
            pair(*one, *other, first, second).or_else(|| pair(*other, *one, second, first))
        }
        _ => None,
    }
}

async fn counted(link: &mut Link, shape: &Shape, name: &str, value: &str) -> Result<u64, Failed> {
    let row = link.row(counters::ONE, &values![shape.name.as_str(), name, value]).await?;
    // While a slot is ahead of another nobody is to see fewer rows than none.
    let number: i64 = row.map_or(Ok(0), |row| get(&row, 0))?;
    Ok(u64::try_from(number).unwrap_or_default())
}

/// How many rows meet one condition: from its counter, or counted in its index as far as it matters.
async fn size(link: &mut Link, shape: &Shape, on: &On) -> Result<u64, Failed> {
    match counter(shape, std::slice::from_ref(on)) {
        Some((name, value)) => counted(link, shape, &name, &value).await,
        None => count(link, shape, std::slice::from_ref(on), 0).await,
    }
}

async fn count(link: &mut Link, shape: &Shape, conditions: &[On], lead: usize) -> Result<u64, Failed> {
    let select = counting(shape, conditions, lead);
    let rows = link.rows_once(&select.sql, &select.values).await?;
    rows.first().map_or(Ok(0), |row| natural(row, 0))
}

/// A statement that counts up to a limit.
pub(crate) fn counting(shape: &Shape, conditions: &[On], lead: usize) -> Select {
    let mut select = Select::of(format!("SELECT count(*) FROM (SELECT 1 FROM {} WHERE true", shape.table()));
    for (place, on) in conditions.iter().enumerate() {
        select.meeting(shape, on, place == lead);
    }
    let _ = write!(select.sql, " LIMIT {}) AS found", COUNT_LIMIT + 1);
    select
}

/// The statement of a page; the sixth column is what it is sorted by.
pub(crate) fn selected(shape: &Shape, query: &Query, conditions: &[On], walk: Walk) -> Select {
    let Query { sort, start, limit, .. } = query;
    if let Some(field) = sort.field.filter(|field| shape.is_key(*field)) {
        return by_key(shape, query, conditions, field, walk);
    }
    let lead = match walk {
        Walk::Order => None,
        Walk::Along(lead) | Walk::Sorted(lead) => Some(lead),
    };
    let in_order = !matches!(walk, Walk::Sorted(_));
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
        let along = along.filter(|(field, _)| !shape.is_key(*field));
        let value = match (&by, along) {
            (Some((_, walked)), _) => Some((walked.clone(), &cursor.value)),
            (None, Some((field, Condition::Is(value)))) => Some((shape.column(*field), value)),
            (None, _) => None,
        };
        select.behind(value, id, cursor.id, sort.descending);
    }
    let way = if sort.descending { " DESC" } else { "" };
    let first = by.map(|(_, walked)| format!("{walked}{way}, ")).unwrap_or_default();
    let passed = match start {
        Start::Offset(rows) => most(*rows),
        Start::After(_) => 0,
    };
    // One more than asked for tells whether there is a next page.
    let _ = write!(select.sql, " ORDER BY {first}{id}{way} LIMIT {} OFFSET {passed}", i64::from(*limit) + 1);
    select
}

/// The same in the order of keys, which are texts and each there once.
fn by_key(shape: &Shape, query: &Query, conditions: &[On], field: usize, walk: Walk) -> Select {
    let Query { sort, start, limit, .. } = query;
    let (lead, sorted) = match walk {
        Walk::Order => (None, false),
        Walk::Along(lead) => (Some(lead).filter(|lead| conditions.get(*lead).is_some_and(|on| on.0 != field)), false),
        Walk::Sorted(lead) => (Some(lead), true),
    };
    let order = if sorted { "(key || '')" } else { "key" };
    let shown = format!("'\\x{:02x}'::bytea || convert_to(key, 'UTF8')", texts()[0]);
    let mut select = Select::of(format!("SELECT {ROW}, {shown} FROM {} WHERE (id + 0) IS NOT NULL", shape.table()));
    for (place, on) in conditions.iter().enumerate() {
        select.meeting(shape, on, lead == Some(place));
    }
    let (way, operator) = if sort.descending { (" DESC", "<") } else { ("", ">") };
    let passed = match start {
        Start::Offset(rows) => most(*rows),
        Start::After(cursor) => {
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
            0
        }
    };
    let _ = write!(select.sql, " ORDER BY {order}{way} LIMIT {} OFFSET {passed}", i64::from(*limit) + 1);
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

    fn meeting(&mut self, shape: &Shape, (field, condition): &On, walked: bool) {
        if shape.is_key(*field) {
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
