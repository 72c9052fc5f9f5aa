//! Writing rows: only what has changed, so that a row's new status does not rewrite every index it stands in.

use std::fmt::Write as _;

use kernel::field::IndexValue;
use ports::model::{Counter, TableId};
use ports::{CounterDelta, RowWrite};
use rusqlite::types::{Null, ToSqlOutput};
use rusqlite::{Connection, OptionalExtension, Result, params, params_from_iter};

use crate::error::Fault;
use crate::shape::{Shape, quoted};
use crate::value::{Held, Nat, bound};
use crate::work::name_of;

/// The last number of an unlisted row in each table, as far as it is known; it counts down from -1.
#[derive(Debug, Default)]
pub(crate) struct Unlisted(Vec<Option<i64>>);

impl Unlisted {
    /// To be called whenever a table may hold other rows than were seen here.
    pub fn forget(&mut self) {
        self.0.clear();
    }

    fn next(&mut self, conn: &Connection, table: TableId, shape: &Shape) -> Result<i64> {
        if self.0.len() <= table.0 {
            self.0.resize(table.0 + 1, None);
        }
        let last = match self.0[table.0] {
            Some(last) => last,
            None => conn.query_row(&format!("SELECT coalesce(min(id), 0) FROM {}", shape.table()), [], |row| row.get(0))?,
        };
        let next = last.min(0) - 1;
        self.0[table.0] = Some(next);
        Ok(next)
    }
}

/// What is there before a write.
struct Before {
    version: u64,
    id: i64,
    fields: Vec<IndexValue>,
}

/// Applies one change of a row, if what it was decided on is what is there.
pub(crate) fn write(conn: &Connection, shapes: &[Shape], unlisted: &mut Unlisted, write: &RowWrite) -> Result<(), Fault> {
    let shape = shapes.get(write.table.0).ok_or_else(|| Fault::Refused(format!("there is no table {}", write.table.0)))?;
    let refuse = |fault: String| Err(Fault::Refused(format!("row {} of {}: {fault}", write.key, shape.name)));
    if write.data.is_some() && write.index.len() != shape.fields.len() {
        return refuse(format!("{} index values for {} fields", write.index.len(), shape.fields.len()));
    }
    if write.old_version == 0
        && let Some(data) = &write.data
    {
        // The key's own index tells whether it is there already.
        return insert(conn, shape, unlisted, write, data);
    }
    let before = before(conn, shape, &write.key)?;
    let there = before.as_ref().map_or(0, |before| before.version);
    if there != write.old_version {
        return refuse(format!("version {} was expected, {there} is there", write.old_version));
    }
    match (before, &write.data) {
        (Some(before), Some(data)) => update(conn, shape, unlisted, write, &before, data),
        (Some(_), None) => {
            conn.prepare_cached(&shape.delete)?.execute([&write.key])?;
            Ok(())
        }
        (None, _) => Ok(()),
    }
}

fn before(conn: &Connection, shape: &Shape, key: &str) -> Result<Option<Before>> {
    let mut statement = conn.prepare_cached(&shape.before)?;
    let row = statement.query_row([key], |row| {
        let fields = (2..2 + shape.own.len()).map(|column| Ok(row.get::<_, Held>(column)?.0));
        Ok(Before { version: row.get::<_, Nat>(0)?.0, id: row.get(1)?, fields: fields.collect::<Result<_>>()? })
    });
    row.optional()
}

fn insert(conn: &Connection, shape: &Shape, unlisted: &mut Unlisted, write: &RowWrite, data: &[u8]) -> Result<(), Fault> {
    let (id, listed): (i64, ToSqlOutput<'static>) = match write.id {
        Some(id) => (number(id)?, 1.into()),
        None => (unlisted.next(conn, write.table, shape)?, Null.into()),
    };
    let mut values: Vec<ToSqlOutput<'_>> = Vec::with_capacity(6 + write.index.len());
    values.push(id.into());
    values.push(write.key.as_str().into());
    values.push(number(write.version)?.into());
    values.push(write.schema.into());
    values.push(listed);
    values.push(data.into());
    values.extend(shape.own.iter().filter_map(|place| write.index.get(*place)).map(bound));
    conn.prepare_cached(&shape.insert)?.execute(params_from_iter(values))?;
    Ok(())
}

fn update(
    conn: &Connection,
    shape: &Shape,
    unlisted: &mut Unlisted,
    write: &RowWrite,
    before: &Before,
    data: &[u8],
) -> Result<(), Fault> {
    let mut sql = format!("UPDATE {} SET version = ?, schema = ?, data = ?", shape.table());
    let mut values: Vec<ToSqlOutput<'_>> = vec![number(write.version)?.into(), write.schema.into(), data.into()];
    if write.id != u64::try_from(before.id).ok() {
        let (id, listed): (i64, ToSqlOutput<'static>) = match write.id {
            Some(id) => (number(id)?, 1.into()),
            None => (unlisted.next(conn, write.table, shape)?, Null.into()),
        };
        sql.push_str(", id = ?, listed = ?");
        values.extend([id.into(), listed]);
    }
    let new = shape.own.iter().filter_map(|place| Some((*place, write.index.get(*place)?)));
    for (old, (place, new)) in before.fields.iter().zip(new) {
        if old != new {
            // Writing to a text cannot fail.
            let _ = write!(sql, ", {} = ?", shape.column(place));
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

/// Changes a counter; one that reaches nothing is not there.
pub(crate) fn count(conn: &Connection, shapes: &[Shape], change: &CounterDelta) -> Result<(), Fault> {
    let CounterDelta { table, counter, delta } = change;
    let table = name_of(shapes, *table)?;
    let values = params![table, counter.name, counter.value, delta];
    if *delta > 0 {
        let sql = "INSERT INTO counter (tbl, name, value, number) VALUES (?1, ?2, ?3, ?4) \
                   ON CONFLICT (tbl, name, value) DO UPDATE SET number = number + ?4";
        conn.prepare_cached(sql)?.execute(values)?;
        return Ok(());
    }
    let sql = "UPDATE counter SET number = number + ?4 WHERE tbl = ?1 AND name = ?2 AND value = ?3 AND number + ?4 >= 0";
    if conn.prepare_cached(sql)?.execute(values)? == 0 {
        let Counter { name, value } = counter;
        return Err(Fault::Refused(format!("counter {name}={value} of {table} cannot change by {delta}")));
    }
    let sql = "DELETE FROM counter WHERE tbl = ?1 AND name = ?2 AND value = ?3 AND number = 0";
    conn.prepare_cached(sql)?.execute(params![table, counter.name, counter.value])?;
    Ok(())
}

/// Empties a table with its counters.
pub(crate) fn clear(conn: &Connection, shapes: &[Shape], table: TableId) -> Result<(), Fault> {
    let name = name_of(shapes, table)?;
    conn.execute(&format!("DELETE FROM {}", quoted(name)), [])?;
    conn.execute("DELETE FROM counter WHERE tbl = ?1", [name])?;
    Ok(())
}

/// Lets two tables change places. Their indexes go with them under their old names, which is why nothing ever calls an
/// index by its name.
pub(crate) fn swap(conn: &Connection, shapes: &[Shape], one: TableId, other: TableId) -> Result<(), Fault> {
    let (first, second) = (name_of(shapes, one)?, name_of(shapes, other)?);
    if shapes[one.0].columns != shapes[other.0].columns {
        return Err(Fault::Refused(format!("{first} and {second} have other fields and cannot change places")));
    }
    if one == other {
        return Ok(());
    }
    // No table of a service is called so.
    let aside = "changing_places";
    for (from, to) in [(first, aside), (second, first), (aside, second)] {
        conn.execute_batch(&format!("ALTER TABLE {} RENAME TO {}", quoted(from), quoted(to)))?;
        conn.execute("UPDATE counter SET tbl = ?2 WHERE tbl = ?1", [from, to])?;
    }
    Ok(())
}
