//! Brings the row tables up to their declarations: creates missing tables, columns and indexes, drops unused indexes.
//!
//! A field counts as new until its index exists, and the index is created last: an interrupted start is resumed by the next
//! one. A field whose declaration is removed loses its index; declared again it is new again, because its column was not
//! written meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ports::Model;
use ports::model::Table;
use rusqlite::{Connection, OptionalExtension, Result};

use crate::error::OpenError;
use crate::layout::{TableLayout, quoted};
use crate::value::bound;

/// Rows backfilled in one transaction.
const FILL_ROWS: i64 = 500;

/// Brings every table up to its declaration.
pub(crate) fn create_or_alter(
    conn: &mut Connection,
    path: &Path,
    model: &Model,
    layouts: &[TableLayout],
) -> Result<(), OpenError> {
    let failed = |error| OpenError::from_sqlite(path, &error);
    let known = drop_and_create(conn, layouts).map_err(failed)?;
    for (table, layout) in model.tables.iter().zip(layouts) {
        let indexed = known.get(&layout.name);
        let new = |position: &usize| indexed.is_none_or(|columns| !columns.contains(&layout.columns[*position]));
        let new: Vec<usize> = layout.with_column.iter().copied().filter(new).collect();
        if !new.is_empty() {
            add_columns(conn, layout, &new).map_err(failed)?;
            fill(conn, path, table, layout, &new)?;
        }
        finish(conn, layout, &new).map_err(failed)?;
    }
    Ok(())
}

/// The indexed columns of each table. Indexes are recognized by their columns: their names are stale once two tables were
/// swapped.
fn drop_and_create(conn: &mut Connection, layouts: &[TableLayout]) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let work = conn.transaction()?;
    let mut known = BTreeMap::new();
    for layout in layouts {
        let mut columns = BTreeSet::new();
        if work.table_exists(None, layout.name.as_str())? {
            for (index, column) in indexes(&work, &layout.name)? {
                if layout.with_column.iter().any(|position| layout.columns[*position] == column) {
                    columns.insert(column);
                } else {
                    work.execute_batch(&format!("DROP INDEX {}", quoted(&index)))?;
                    tracing::info!(
                        store.table = layout.name,
                        store.column = column,
                        "dropped an index on a column that is no longer declared"
                    );
                }
            }
        } else {
            let fields: Vec<String> =
                layout.with_column.iter().map(|position| format!("{} ANY, ", layout.column(*position))).collect();
            let fields = fields.concat();
            work.execute_batch(&format!(
                "CREATE TABLE {} (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, \
                 schema INTEGER NOT NULL, listed INTEGER, {fields}data BLOB NOT NULL) STRICT",
                layout.table()
            ))?;
        }
        known.insert(layout.name.clone(), columns);
    }
    work.commit()?;
    Ok(known)
}

fn indexes(conn: &Connection, table: &str) -> Result<Vec<(String, String)>> {
    let sql = "SELECT list.name, info.name FROM pragma_index_list(?1) AS list, pragma_index_info(list.name) AS info \
               WHERE list.origin = 'c'";
    conn.prepare(sql)?.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn add_columns(conn: &mut Connection, layout: &TableLayout, new: &[usize]) -> Result<()> {
    let work = conn.transaction()?;
    for position in new {
        if !work.column_exists(None, layout.name.as_str(), layout.columns[*position].as_str())? {
            work.execute_batch(&format!("ALTER TABLE {} ADD COLUMN {} ANY", layout.table(), layout.column(*position)))?;
        }
    }
    work.commit()
}

/// A row as it is read to be filled: its id, key, schema version and data.
type Written = (i64, String, u16, Vec<u8>);

/// Backfills new columns of listed rows, page by page; an unlisted row gets its columns when it is listed.
fn fill(conn: &mut Connection, path: &Path, table: &Table, layout: &TableLayout, new: &[usize]) -> Result<(), OpenError> {
    let failed = |error| OpenError::from_sqlite(path, &error);
    let sets: Vec<String> = new.iter().zip(2..).map(|(position, at)| format!("{} = ?{at}", layout.column(*position))).collect();
    let select = format!("SELECT id, key, schema, data FROM {} WHERE id > ?1 ORDER BY id LIMIT {FILL_ROWS}", layout.table());
    let update = format!("UPDATE {} SET {} WHERE id = ?1", layout.table(), sets.join(", "));
    let (mut after, mut rows) = (-1, 0);
    loop {
        let work = conn.transaction().map_err(failed)?;
        let page = page(&work, &select, after).map_err(failed)?;
        let Some(last) = page.last() else { break };
        after = last.0;
        rows += page.len();
        for (id, key, schema, data) in page {
            let row = table.decode(schema, &data).map_err(|cause| OpenError::CodecError {
                table: layout.name.clone(),
                key,
                cause: cause.to_string(),
            })?;
            let index = table.index(&row);
            let mut statement = work.prepare_cached(&update).map_err(failed)?;
            let values = new.iter().filter_map(|position| index.get(*position)).map(bound);
            statement.execute(rusqlite::params_from_iter(std::iter::once(id.into()).chain(values))).map_err(failed)?;
        }
        work.commit().map_err(failed)?;
    }
    if rows > 0 {
        let fields: Vec<_> = new.iter().map(|position| layout.fields.declared[*position].name).collect();
        tracing::info!(store.table = layout.name, store.rows = rows, store.fields = ?fields, "rows backfilled with new fields");
    }
    Ok(())
}

fn page(conn: &Connection, select: &str, after: i64) -> Result<Vec<Written>> {
    let mut statement = conn.prepare_cached(select)?;
    statement.query_map([after], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?.collect()
}

/// Creates missing indexes, and recomputes the counters where other ones are declared than before; both or neither.
fn finish(conn: &mut Connection, layout: &TableLayout, new: &[usize]) -> Result<()> {
    let names: Vec<String> = layout.fields.counted().into_iter().map(|(name, _)| name).collect();
    let names = names.join(",");
    let before = "SELECT names FROM maintained_counter WHERE table_name = ?1";
    let before: Option<String> = conn.query_row(before, [&layout.name], |row| row.get(0)).optional()?;
    if new.is_empty() && before.as_ref() == Some(&names) {
        return Ok(());
    }
    let work = conn.transaction()?;
    for position in new {
        let name = quoted(&format!("{}__{}", layout.name, layout.columns[*position]));
        work.execute_batch(&format!("CREATE INDEX {name} ON {} ({}) WHERE listed", layout.table(), layout.column(*position)))?;
    }
    recount(&work, layout)?;
    work.execute("INSERT OR REPLACE INTO maintained_counter (table_name, names) VALUES (?1, ?2)", [&layout.name, &names])?;
    work.commit()
}

/// The counters, from the rows: the same texts that [`ports::model::text`] makes.
fn recount(conn: &Connection, layout: &TableLayout) -> Result<()> {
    let at = layout.table();
    conn.execute("DELETE FROM counter WHERE table_name = ?1", [&layout.name])?;
    let all = format!("INSERT INTO counter SELECT ?1, '', '', count(*) FROM {at} WHERE id > -1 HAVING count(*) > 0");
    conn.execute(&all, [&layout.name])?;
    for (name, positions) in layout.fields.counted() {
        let texts: Vec<String> =
            positions.iter().map(|position| format!("coalesce(CAST({} AS TEXT), '')", layout.column(*position))).collect();
        let value = texts.join(" || char(31) || ");
        let each = format!("INSERT INTO counter SELECT ?1, ?2, {value}, count(*) FROM {at} WHERE listed GROUP BY 3");
        conn.execute(&each, [&layout.name, &name])?;
    }
    Ok(())
}
