//! Writes rows: only the columns that have changed, so that a new status does not rewrite every index of a row.

use std::fmt::Write as _;

use kernel::field::IndexValue;
use ports::model::{Counter, TableId};
use ports::{CounterDelta, RowWrite};
use rusqlite::types::{Null, ToSqlOutput};
use rusqlite::{Connection, OptionalExtension, Result, params, params_from_iter};

use crate::error::WriteError;
use crate::layout::table_name;
use crate::layout::{TableLayout, quoted};
use crate::value::{SqlValue, U64, bound};

/// The last id of an unlisted row in each table, as far as known; it counts down from -1.
#[derive(Debug, Default)]
pub(crate) struct UnlistedIds(Vec<Option<i64>>);

impl UnlistedIds {
    /// To be called whenever a table may hold rows that were not written here.
    pub fn reset(&mut self) {
        self.0.clear();
    }

    fn next(&mut self, conn: &Connection, table: TableId, layout: &TableLayout) -> Result<i64> {
        if self.0.len() <= table.0 {
            self.0.resize(table.0 + 1, None);
        }
        let last = match self.0[table.0] {
            Some(last) => last,
            None => conn.query_row(&format!("SELECT coalesce(min(id), 0) FROM {}", layout.table()), [], |row| row.get(0))?,
        };
        let next = last.min(0) - 1;
        self.0[table.0] = Some(next);
        Ok(next)
    }
}

/// The stored row before a write.
struct Before {
    version: u64,
    id: i64,
    fields: Vec<IndexValue>,
}

/// Writes one row if its version is the expected one.
pub(crate) fn write(
    conn: &Connection,
    layouts: &[TableLayout],
    unlisted_ids: &mut UnlistedIds,
    write: &RowWrite,
) -> Result<(), WriteError> {
    let layout =
        layouts.get(write.table.0).ok_or_else(|| WriteError::Rejected(format!("there is no table {}", write.table.0)))?;
    let refuse = |fault: String| Err(WriteError::Rejected(format!("row {} of {}: {fault}", write.key, layout.name)));
    if write.data.is_some() && write.index.len() != layout.fields.len() {
        return refuse(format!("{} index values for {} fields", write.index.len(), layout.fields.len()));
    }
    if write.old_version == 0
        && let Some(data) = &write.data
    {
        // The unique index of the key detects an existing row.
        return insert(conn, layout, unlisted_ids, write, data);
    }
    let before = before(conn, layout, &write.key)?;
    let there = before.as_ref().map_or(0, |before| before.version);
    if there != write.old_version {
        return refuse(format!("version {} was expected, {there} is there", write.old_version));
    }
    match (before, &write.data) {
        (Some(before), Some(data)) => update(conn, layout, unlisted_ids, write, &before, data),
        (Some(_), None) => {
            conn.prepare_cached(&layout.delete)?.execute([&write.key])?;
            Ok(())
        }
        (None, _) => Ok(()),
    }
}

fn before(conn: &Connection, layout: &TableLayout, key: &str) -> Result<Option<Before>> {
    let mut statement = conn.prepare_cached(&layout.before)?;
    let row = statement.query_row([key], |row| {
        let fields = (2..2 + layout.with_column.len()).map(|column| Ok(row.get::<_, SqlValue>(column)?.0));
        Ok(Before { version: row.get::<_, U64>(0)?.0, id: row.get(1)?, fields: fields.collect::<Result<_>>()? })
    });
    row.optional()
}

fn insert(
    conn: &Connection,
    layout: &TableLayout,
    unlisted_ids: &mut UnlistedIds,
    write: &RowWrite,
    data: &[u8],
) -> Result<(), WriteError> {
    let (id, listed): (i64, ToSqlOutput<'static>) = match write.id {
        Some(id) => (number(id)?, 1.into()),
        None => (unlisted_ids.next(conn, write.table, layout)?, Null.into()),
    };
    let mut values: Vec<ToSqlOutput<'_>> = Vec::with_capacity(6 + write.index.len());
    values.push(id.into());
    values.push(write.key.as_str().into());
    values.push(number(write.version)?.into());
    values.push(write.schema.into());
    values.push(listed);
    values.push(data.into());
    values.extend(layout.with_column.iter().filter_map(|position| write.index.get(*position)).map(bound));
    conn.prepare_cached(&layout.insert)?.execute(params_from_iter(values))?;
    Ok(())
}

fn update(
    conn: &Connection,
    layout: &TableLayout,
    unlisted_ids: &mut UnlistedIds,
    write: &RowWrite,
    before: &Before,
    data: &[u8],
) -> Result<(), WriteError> {
    let mut sql = format!("UPDATE {} SET version = ?, schema = ?, data = ?", layout.table());
    let mut values: Vec<ToSqlOutput<'_>> = vec![number(write.version)?.into(), write.schema.into(), data.into()];
    if write.id != u64::try_from(before.id).ok() {
        let (id, listed): (i64, ToSqlOutput<'static>) = match write.id {
            Some(id) => (number(id)?, 1.into()),
            None => (unlisted_ids.next(conn, write.table, layout)?, Null.into()),
        };
        sql.push_str(", id = ?, listed = ?");
        values.extend([id.into(), listed]);
    }
    let new = layout.with_column.iter().filter_map(|position| Some((*position, write.index.get(*position)?)));
    for (old, (position, new)) in before.fields.iter().zip(new) {
        if old != new {
            // Writing to a text cannot fail.
            let _ = write!(sql, ", {} = ?", layout.column(position));
            values.push(bound(new));
        }
    }
    sql.push_str(" WHERE id = ?");
    values.push(before.id.into());
    conn.prepare_cached(&sql)?.execute(params_from_iter(values))?;
    Ok(())
}

fn number(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// Changes a counter; one that reaches zero is deleted.
pub(crate) fn count(conn: &Connection, layouts: &[TableLayout], change: &CounterDelta) -> Result<(), WriteError> {
    let CounterDelta { table, counter, delta } = change;
    let table = table_name(layouts, *table)?;
    let values = params![table, counter.name, counter.value, delta];
    if *delta > 0 {
        let sql = "INSERT INTO counter (table_name, name, value, number) VALUES (?1, ?2, ?3, ?4) \
                   ON CONFLICT (table_name, name, value) DO UPDATE SET number = number + ?4";
        conn.prepare_cached(sql)?.execute(values)?;
        return Ok(());
    }
    let sql = "UPDATE counter SET number = number + ?4 WHERE table_name = ?1 AND name = ?2 AND value = ?3 AND number + ?4 >= 0";
    if conn.prepare_cached(sql)?.execute(values)? == 0 {
        let Counter { name, value } = counter;
        return Err(WriteError::Rejected(format!("counter {name}={value} of {table} cannot change by {delta}")));
    }
    let sql = "DELETE FROM counter WHERE table_name = ?1 AND name = ?2 AND value = ?3 AND number = 0";
    conn.prepare_cached(sql)?.execute(params![table, counter.name, counter.value])?;
    Ok(())
}

/// Deletes all rows of a table, and its counters.
pub(crate) fn clear(conn: &Connection, layouts: &[TableLayout], table: TableId) -> Result<(), WriteError> {
    let name = table_name(layouts, table)?;
    conn.execute(&format!("DELETE FROM {}", quoted(name)), [])?;
    conn.execute("DELETE FROM counter WHERE table_name = ?1", [name])?;
    Ok(())
}

/// Swaps two tables by renaming. Their indexes keep their old names, so nothing refers to an index by its name.
pub(crate) fn swap(conn: &Connection, layouts: &[TableLayout], one: TableId, other: TableId) -> Result<(), WriteError> {
    let (first, second) = (table_name(layouts, one)?, table_name(layouts, other)?);
    if layouts[one.0].columns != layouts[other.0].columns {
        return Err(WriteError::Rejected(format!("{first} and {second} have other fields and cannot change positions")));
    }
    if one == other {
        return Ok(());
    }
    // No table of a service has this name.
    let aside = "changing_places";
    for (from, to) in [(first, aside), (second, first), (aside, second)] {
        conn.execute_batch(&format!("ALTER TABLE {} RENAME TO {}", quoted(from), quoted(to)))?;
        conn.execute("UPDATE counter SET table_name = ?2 WHERE table_name = ?1", [from, to])?;
    }
    Ok(())
}
