//! Makes the row tables what the declarations say: new tables, new columns, new indexes, and indexes nobody asks for gone.
//!
//! A field counts as new as long as its index is missing, and the index is made last: whatever stops a start in between,
//! the next one takes up the work. Dropping the index of a field that is no longer declared is also what makes it new
//! again if it comes back, for its column has not been written meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ports::Model;
use ports::model::Table;
use rusqlite::{Connection, OptionalExtension, Result};

use crate::error::OpenError;
use crate::shape::{Shape, quoted};
use crate::value::bound;

/// Rows that are filled in one transaction.
const FILL_ROWS: i64 = 500;

/// Brings every table up to its declaration.
pub(crate) fn shape_tables(conn: &mut Connection, path: &Path, model: &Model, shapes: &[Shape]) -> Result<(), OpenError> {
    let failed = |error| OpenError::of(path, &error);
    let known = drop_and_create(conn, shapes).map_err(failed)?;
    for (table, shape) in model.tables.iter().zip(shapes) {
        let indexed = known.get(&shape.name);
        let new = |place: &usize| indexed.is_none_or(|columns| !columns.contains(&shape.columns[*place]));
        let new: Vec<usize> = shape.own.iter().copied().filter(new).collect();
        if !new.is_empty() {
            add_columns(conn, shape, &new).map_err(failed)?;
            fill(conn, path, table, shape, &new)?;
        }
        finish(conn, shape, &new).map_err(failed)?;
    }
    Ok(())
}

/// The indexed columns of each table. Indexes are found by what they are on: their names tell nothing once two tables
/// have changed places.
fn drop_and_create(conn: &mut Connection, shapes: &[Shape]) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let work = conn.transaction()?;
    let mut known = BTreeMap::new();
    for shape in shapes {
        let mut columns = BTreeSet::new();
        if work.table_exists(None, shape.name.as_str())? {
            for (index, column) in indexes(&work, &shape.name)? {
                if shape.own.iter().any(|place| shape.columns[*place] == column) {
                    columns.insert(column);
                } else {
                    work.execute_batch(&format!("DROP INDEX {}", quoted(&index)))?;
                    tracing::info!(
                        store.table = shape.name,
                        store.column = column,
                        "nobody needs an index on this column any more"
                    );
                }
            }
        } else {
            let fields: Vec<String> = shape.own.iter().map(|place| format!("{} ANY, ", shape.column(*place))).collect();
            let fields = fields.concat();
            work.execute_batch(&format!(
                "CREATE TABLE {} (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, \
                 schema INTEGER NOT NULL, listed INTEGER, {fields}data BLOB NOT NULL) STRICT",
                shape.table()
            ))?;
        }
        known.insert(shape.name.clone(), columns);
    }
    work.commit()?;
    Ok(known)
}

fn indexes(conn: &Connection, table: &str) -> Result<Vec<(String, String)>> {
    let sql = "SELECT list.name, info.name FROM pragma_index_list(?1) AS list, pragma_index_info(list.name) AS info \
               WHERE list.origin = 'c'";
    conn.prepare(sql)?.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn add_columns(conn: &mut Connection, shape: &Shape, new: &[usize]) -> Result<()> {
    let work = conn.transaction()?;
    for place in new {
        if !work.column_exists(None, shape.name.as_str(), shape.columns[*place].as_str())? {
            work.execute_batch(&format!("ALTER TABLE {} ADD COLUMN {} ANY", shape.table(), shape.column(*place)))?;
        }
    }
    work.commit()
}

/// A row as it is read to be filled: its id, key, schema version and data.
type Written = (i64, String, u16, Vec<u8>);

/// Fills new columns of listed rows, page by page; those that are not listed yet are written whole when they are.
fn fill(conn: &mut Connection, path: &Path, table: &Table, shape: &Shape, new: &[usize]) -> Result<(), OpenError> {
    let failed = |error| OpenError::of(path, &error);
    let sets: Vec<String> = new.iter().zip(2..).map(|(place, at)| format!("{} = ?{at}", shape.column(*place))).collect();
    let select = format!("SELECT id, key, schema, data FROM {} WHERE id > ?1 ORDER BY id LIMIT {FILL_ROWS}", shape.table());
    let update = format!("UPDATE {} SET {} WHERE id = ?1", shape.table(), sets.join(", "));
    let (mut after, mut rows) = (-1, 0);
    loop {
        let work = conn.transaction().map_err(failed)?;
        let page = page(&work, &select, after).map_err(failed)?;
        let Some(last) = page.last() else { break };
        after = last.0;
        rows += page.len();
        for (id, key, schema, data) in page {
            let row = table.decode(schema, &data).map_err(|cause| OpenError::CodecError {
                table: shape.name.clone(),
                key,
                cause: cause.to_string(),
            })?;
            let index = table.index(&row);
            let mut statement = work.prepare_cached(&update).map_err(failed)?;
            let values = new.iter().filter_map(|place| index.get(*place)).map(bound);
            statement.execute(rusqlite::params_from_iter(std::iter::once(id.into()).chain(values))).map_err(failed)?;
        }
        work.commit().map_err(failed)?;
    }
    if rows > 0 {
        let fields: Vec<_> = new.iter().map(|place| shape.fields.declared[*place].name).collect();
        tracing::info!(store.table = shape.name, store.rows = rows, store.fields = ?fields, "rows have got their new fields");
    }
    Ok(())
}

fn page(conn: &Connection, select: &str, after: i64) -> Result<Vec<Written>> {
    let mut statement = conn.prepare_cached(select)?;
    statement.query_map([after], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?.collect()
}

/// Makes the missing indexes, and counts anew where other things are counted than before; both or neither.
fn finish(conn: &mut Connection, shape: &Shape, new: &[usize]) -> Result<()> {
    let names: Vec<String> = shape.fields.counted().into_iter().map(|(name, _)| name).collect();
    let names = names.join(",");
    let before = "SELECT names FROM counted WHERE tbl = ?1";
    let before: Option<String> = conn.query_row(before, [&shape.name], |row| row.get(0)).optional()?;
    if new.is_empty() && before.as_ref() == Some(&names) {
        return Ok(());
    }
    let work = conn.transaction()?;
    for place in new {
        let name = quoted(&format!("{}__{}", shape.name, shape.columns[*place]));
        work.execute_batch(&format!("CREATE INDEX {name} ON {} ({}) WHERE listed", shape.table(), shape.column(*place)))?;
    }
    recount(&work, shape)?;
    work.execute("INSERT OR REPLACE INTO counted (tbl, names) VALUES (?1, ?2)", [&shape.name, &names])?;
    work.commit()
}

/// The counters, from the rows: the same texts that [`ports::model::text`] makes.
fn recount(conn: &Connection, shape: &Shape) -> Result<()> {
    let at = shape.table();
    conn.execute("DELETE FROM counter WHERE tbl = ?1", [&shape.name])?;
    let all = format!("INSERT INTO counter SELECT ?1, '', '', count(*) FROM {at} WHERE id > -1 HAVING count(*) > 0");
    conn.execute(&all, [&shape.name])?;
    for (name, places) in shape.fields.counted() {
        let texts: Vec<String> =
            places.iter().map(|place| format!("coalesce(CAST({} AS TEXT), '')", shape.column(*place))).collect();
        let value = texts.join(" || char(31) || ");
        let each = format!("INSERT INTO counter SELECT ?1, ?2, {value}, count(*) FROM {at} WHERE listed GROUP BY 3");
        conn.execute(&each, [&shape.name, &name])?;
    }
    Ok(())
}
