//! Backfills declared fields of rows that were written by a version without them, and updates the counters.
//!
//! A row is counted by the declaration that it was last written under, with the values in its columns, and by the highest
//! declaration that it was ever written under (`max_layout`), with what its columns still hold. Missing counts are added and
//! outdated ones moved, in the transaction that backfills the row.

use std::collections::{BTreeMap, BTreeSet};

use kernel::field::IndexValue;
use ports::model::Table;
use ports::query::fields::counter_value;
use tokio_postgres::Row;

use crate::connection::pipeline::Pipeline;
use crate::connection::session::Connection;
use crate::error::{DatabaseError, OpenError};
use crate::layout::TableLayout;
use crate::records::counters::{self, CounterChanges};
use crate::schema::tables::{RecordedLayout, declared};
use crate::value::{Value, decoded, encoded, get, values};

/// Rows backfilled in one transaction.
const ROWS: i64 = 500;

/// Backfills count in a slot of their own.
const SLOT: i16 = -1;

/// A row to be backfilled.
struct StaleRow {
    key: String,
    listed: bool,
    layout: i32,
    filled: i32,
    /// The stored value of each field.
    columns: Vec<Option<IndexValue>>,
    index: Vec<IndexValue>,
}

/// Backfills all stale rows of a table; returns how many.
pub(crate) async fn all(conn: &mut Connection, table: &Table, layout: &TableLayout) -> Result<u64, OpenError> {
    let mut rows = 0;
    loop {
        let filled = batch(conn, table, layout, None).await?;
        if filled == 0 {
            break;
        }
        rows += filled;
    }
    if rows > 0 {
        tracing::info!(store.table = layout.name, store.rows = rows, "rows backfilled with new fields");
    }
    Ok(rows)
}

/// Backfills one batch of stale rows, or exactly these.
pub(crate) async fn batch(
    conn: &mut Connection,
    table: &Table,
    layout: &TableLayout,
    keys: Option<&[&str]>,
) -> Result<u64, OpenError> {
    let known = declared(conn, layout).await?;
    conn.batch("BEGIN READ WRITE").await?;
    let filled = filled(conn, table, layout, &known, keys).await;
    let end = if filled.is_ok() { "COMMIT" } else { "ROLLBACK" };
    conn.batch(end).await?;
    filled
}

async fn filled(
    conn: &mut Connection,
    table: &Table,
    layout: &TableLayout,
    known: &[RecordedLayout],
    keys: Option<&[&str]>,
) -> Result<u64, OpenError> {
    let rows = stale_rows(conn, layout, keys).await?;
    let rows = rows.iter().map(|row| read(row, table, layout)).collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() {
        return Ok(0);
    }
    let mut changes: CounterChanges = BTreeMap::new();
    for row in rows.iter().filter(|row| row.listed) {
        count(row, layout, known, &mut changes);
    }
    let mut work = Pipeline::default();
    write(&mut work, layout, &rows);
    counters::write(&mut work, SLOT, changes);
    work.within(conn).await?;
    Ok(rows.len() as u64)
}

/// Whether any of these rows is stale.
pub(crate) async fn needed(conn: &mut Connection, layout: &TableLayout, keys: &[&str]) -> Result<bool, DatabaseError> {
    if keys.is_empty() {
        return Ok(false);
    }
    let sql = format!("SELECT 1 FROM {} WHERE key = ANY($1::text[]) AND layout < {} LIMIT 1", layout.table(), layout.number);
    Ok(conn.row(&sql, &values![keys.to_vec()]).await?.is_some())
}

/// The stale rows, locked in the order of their keys.
async fn stale_rows(conn: &mut Connection, layout: &TableLayout, keys: Option<&[&str]>) -> Result<Vec<Row>, DatabaseError> {
    let fields = layout.each_column(|_, column| format!(", {column}"));
    let select = format!("SELECT key, id IS NOT NULL, layout, max_layout, schema, data{fields} FROM {}", layout.table());
    let lacks = format!("layout < {}", layout.number);
    match keys {
        None => conn.rows(&format!("{select} WHERE {lacks} ORDER BY key LIMIT {ROWS} FOR UPDATE"), &[]).await,
        Some(keys) => {
            let sql = format!("{select} WHERE {lacks} AND key = ANY($1::text[]) ORDER BY key FOR UPDATE");
            conn.rows(&sql, &values![keys.to_vec()]).await
        }
    }
}

fn read(row: &Row, table: &Table, layout: &TableLayout) -> Result<StaleRow, OpenError> {
    let key: String = get(row, 0)?;
    let (listed, schema, data): (bool, i32, &[u8]) = (get(row, 1)?, get(row, 4)?, get(row, 5)?);
    let mut columns = vec![listed.then(|| IndexValue::from(&key)); layout.fields.len()];
    for (position, field) in layout.with_column.iter().enumerate() {
        let bytes: Option<&[u8]> = get(row, 6 + position)?;
        columns[*field] = bytes.and_then(decoded);
    }
    let index = if listed {
        let state = table.decode(u16::try_from(schema).unwrap_or(u16::MAX), data).map_err(|cause| OpenError::CodecError {
            table: layout.name.clone(),
            key: key.clone(),
            cause: cause.to_string(),
        })?;
        table.index(&state)
    } else {
        Vec::new()
    };
    Ok(StaleRow { key, listed, layout: get(row, 2)?, filled: get(row, 3)?, columns, index })
}

fn count(row: &StaleRow, layout: &TableLayout, known: &[RecordedLayout], changes: &mut CounterChanges) {
    let empty = BTreeSet::new();
    let counted_by = |number: i32| known.iter().find(|other| other.number == number).map_or(&empty, |other| &other.counted);
    let (by_last, by_highest) = (counted_by(row.layout), counted_by(row.filled));
    for (name, positions) in layout.fields.counted() {
        let mut change = |values: Vec<&IndexValue>, by| {
            let value = counter_value(values);
            *changes.entry((layout.name.clone(), name.clone(), value)).or_default() += by;
        };
        if by_last.contains(&name) || by_highest.contains(&name) {
            // A row listed only since then has null columns, and is not counted yet.
            let before: Option<Vec<&IndexValue>> = positions.iter().map(|position| row.columns[*position].as_ref()).collect();
            if let Some(before) = before {
                change(before, -1);
            }
        }
        change(positions.iter().filter_map(|position| row.index.get(*position)).collect(), 1);
    }
}

fn write<'a>(work: &mut Pipeline<'a>, layout: &TableLayout, rows: &'a [StaleRow]) {
    let sets = layout.each_column(|position, column| format!(", {column} = u.c{position}"));
    let arrays = layout.each_column(|position, _| format!(", ${}::bytea[]", position + 2));
    let names = layout.each_column(|position, _| format!(", c{position}"));
    let sql = format!(
        "UPDATE {} AS t SET layout = {number}, max_layout = greatest(max_layout, {number}){sets} \
         FROM unnest($1::text[]{arrays}) AS u(key{names}) WHERE t.key = u.key",
        layout.table(),
        number = layout.number
    );
    let mut bound: Vec<Value<'a>> = values![rows.iter().map(|row| row.key.as_str()).collect::<Vec<_>>()];
    for field in &layout.with_column {
        bound.push(Box::new(rows.iter().map(|row| row.index.get(*field).map(encoded)).collect::<Vec<_>>()));
    }
    work.add(sql, bound);
}
