//! Fills the declared fields of rows that a version without them has written, and counts them in.
//!
//! A row's counters are those of the declaration it was last written under, with the values in its columns; and those of
//! the highest declaration that it was ever written under (`filled`), which count it by what is still in their columns.
//! What is not counted yet is added, what is counted otherwise is moved, in the transaction that fills the row.

use std::collections::{BTreeMap, BTreeSet};

use kernel::field::IndexValue;
use ports::model::Table;
use ports::query::fields::counter_value;
use tokio_postgres::Row;

use crate::counters::{self, Counted};
use crate::error::{Failed, OpenError};
use crate::pipeline::Pipeline;
use crate::schema::{Declared, declared};
use crate::session::Link;
use crate::shape::Shape;
use crate::value::{Value, decoded, encoded, get, values};

/// Rows that are filled in one transaction.
const ROWS: i64 = 500;

/// The counters of fills have a slot of their own.
const SLOT: i16 = -1;

/// A row as it is read to be filled.
struct Lacking {
    key: String,
    listed: bool,
    shape: i32,
    filled: i32,
    /// What its columns say about each field.
    columns: Vec<Option<IndexValue>>,
    index: Vec<IndexValue>,
}

/// Fills all rows of a table that lack something; says how many.
pub(crate) async fn fill(link: &mut Link, table: &Table, shape: &Shape) -> Result<u64, OpenError> {
    let mut rows = 0;
    loop {
        let filled = fill_some(link, table, shape, None).await?;
        if filled == 0 {
            break;
        }
        rows += filled;
    }
    if rows > 0 {
        tracing::info!(store.table = shape.name, store.rows = rows, "rows have got their new fields");
    }
    Ok(rows)
}

/// Fills some of them, or just these.
pub(crate) async fn fill_some(link: &mut Link, table: &Table, shape: &Shape, keys: Option<&[&str]>) -> Result<u64, OpenError> {
    let known = declared(link, shape).await?;
    link.script("BEGIN READ WRITE").await?;
    let filled = filled(link, table, shape, &known, keys).await;
    let end = if filled.is_ok() { "COMMIT" } else { "ROLLBACK" };
    link.script(end).await?;
    filled
}

async fn filled(
    link: &mut Link,
    table: &Table,
    shape: &Shape,
    known: &[Declared],
    keys: Option<&[&str]>,
) -> Result<u64, OpenError> {
    let rows = lacking(link, shape, keys).await?;
    let rows = rows.iter().map(|row| read(row, table, shape)).collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() {
        return Ok(0);
    }
    let mut changes: Counted = BTreeMap::new();
    for row in rows.iter().filter(|row| row.listed) {
        count(row, shape, known, &mut changes);
    }
    let mut work = Pipeline::default();
    write(&mut work, shape, &rows);
    counters::write(&mut work, SLOT, changes);
    work.within(link).await?;
    Ok(rows.len() as u64)
}

/// Whether any of these rows lacks something.
pub(crate) async fn lack(link: &mut Link, shape: &Shape, keys: &[&str]) -> Result<bool, Failed> {
    if keys.is_empty() {
        return Ok(false);
    }
    let sql = format!("SELECT 1 FROM {} WHERE key = ANY($1::text[]) AND shape < {} LIMIT 1", shape.table(), shape.number);
    Ok(link.row(&sql, &values![keys.to_vec()]).await?.is_some())
}

/// The rows, locked in the order of their keys.
async fn lacking(link: &mut Link, shape: &Shape, keys: Option<&[&str]>) -> Result<Vec<Row>, Failed> {
    let fields = shape.each_column(|_, column| format!(", {column}"));
    let select = format!("SELECT key, id IS NOT NULL, shape, filled, schema, data{fields} FROM {}", shape.table());
    let lacks = format!("shape < {}", shape.number);
    match keys {
        None => link.rows(&format!("{select} WHERE {lacks} ORDER BY key LIMIT {ROWS} FOR UPDATE"), &[]).await,
        Some(keys) => {
            let sql = format!("{select} WHERE {lacks} AND key = ANY($1::text[]) ORDER BY key FOR UPDATE");
            link.rows(&sql, &values![keys.to_vec()]).await
        }
    }
}

fn read(row: &Row, table: &Table, shape: &Shape) -> Result<Lacking, OpenError> {
    let key: String = get(row, 0)?;
    let (listed, schema, data): (bool, i32, &[u8]) = (get(row, 1)?, get(row, 4)?, get(row, 5)?);
    let mut columns = vec![listed.then(|| IndexValue::from(&key)); shape.fields.len()];
    for (place, field) in shape.own.iter().enumerate() {
        let bytes: Option<&[u8]> = get(row, 6 + place)?;
        columns[*field] = bytes.and_then(decoded);
    }
    let index = if listed {
        let state = table.decode(u16::try_from(schema).unwrap_or(u16::MAX), data).map_err(|cause| OpenError::CodecError {
            table: shape.name.clone(),
            key: key.clone(),
            cause: cause.to_string(),
        })?;
        table.index(&state)
    } else {
        Vec::new()
    };
    Ok(Lacking { key, listed, shape: get(row, 2)?, filled: get(row, 3)?, columns, index })
}

fn count(row: &Lacking, shape: &Shape, known: &[Declared], changes: &mut Counted) {
    let empty = BTreeSet::new();
    let counted_by = |number: i32| known.iter().find(|other| other.number == number).map_or(&empty, |other| &other.counted);
    let (by_last, by_highest) = (counted_by(row.shape), counted_by(row.filled));
    for (name, places) in shape.fields.counted() {
        let mut change = |values: Vec<&IndexValue>, by| {
            let value = counter_value(values);
            *changes.entry((shape.name.clone(), name.clone(), value)).or_default() += by;
        };
        if by_last.contains(&name) || by_highest.contains(&name) {
            // One that was listed only since then has nothing in its columns, and is not counted.
            let before: Option<Vec<&IndexValue>> = places.iter().map(|place| row.columns[*place].as_ref()).collect();
            if let Some(before) = before {
                change(before, -1);
            }
        }
        change(places.iter().filter_map(|place| row.index.get(*place)).collect(), 1);
    }
}

fn write<'a>(work: &mut Pipeline<'a>, shape: &Shape, rows: &'a [Lacking]) {
    let sets = shape.each_column(|place, column| format!(", {column} = u.c{place}"));
    let arrays = shape.each_column(|place, _| format!(", ${}::bytea[]", place + 2));
    let names = shape.each_column(|place, _| format!(", c{place}"));
    let sql = format!(
        "UPDATE {} AS t SET shape = {number}, filled = greatest(filled, {number}){sets} \
         FROM unnest($1::text[]{arrays}) AS u(key{names}) WHERE t.key = u.key",
        shape.table(),
        number = shape.number
    );
    let mut bound: Vec<Value<'a>> = values![rows.iter().map(|row| row.key.as_str()).collect::<Vec<_>>()];
    for field in &shape.own {
        bound.push(Box::new(rows.iter().map(|row| row.index.get(*field).map(encoded)).collect::<Vec<_>>()));
    }
    work.add(sql, bound);
}
