//! Writes rows: the statements of a commit for each table, with the version checks that detect concurrent commits.
//!
//! Tables are locked in the order of their names and rows in the order of their keys, everywhere: two batches that share rows
//! wait for each other, and never deadlock.

use ports::model::TableId;
use ports::{Commit, RowWrite};

use crate::connection::pipeline::Pipeline;
use crate::error::{CONFLICT, DatabaseError};
use crate::layout::{Layouts, TableLayout, quoted};
use crate::value::{Value, encoded, to_i64, values};

/// The row changes of a commit in one table.
#[derive(Default)]
struct Writes<'a> {
    new: Vec<&'a RowWrite>,
    changed: Vec<&'a RowWrite>,
    removed: Vec<&'a RowWrite>,
    /// Inserted and removed within the batch: must not exist.
    absent: Vec<&'a RowWrite>,
}

/// The rows of a commit.
pub(crate) fn write<'a>(work: &mut Pipeline<'a>, tables: Layouts<'a>, rows: &'a [RowWrite]) -> Result<(), DatabaseError> {
    let mut by_table: Vec<(&TableLayout, Writes<'a>)> = Vec::new();
    for same in rows.chunk_by(|one, next| one.table == next.table) {
        let Some(first) = same.first() else { continue };
        let layout = tables.get(first.table)?;
        let mut writes = Writes::default();
        for row in same {
            check(layout, row)?;
            let list = match (&row.data, row.old_version) {
                (Some(_), 0) => &mut writes.new,
                (Some(_), _) => &mut writes.changed,
                (None, 0) => &mut writes.absent,
                (None, _) => &mut writes.removed,
            };
            list.push(row);
        }
        by_table.push((layout, writes));
    }
    by_table.sort_by_key(|(layout, _)| &layout.name);
    for (layout, writes) in by_table {
        writes.add_to(work, layout)?;
    }
    Ok(())
}

fn check(layout: &TableLayout, row: &RowWrite) -> Result<(), DatabaseError> {
    let (values, fields) = (row.index.len(), layout.fields.len());
    // An unlisted row has no index values.
    if row.data.is_some() && values != fields && (row.id.is_some() || values > 0) {
        return Err(DatabaseError::Rejected(format!("a row of {} has {values} index values for {fields} fields", layout.name)));
    }
    Ok(())
}

impl<'a> Writes<'a> {
    fn add_to(mut self, work: &mut Pipeline<'a>, layout: &TableLayout) -> Result<(), DatabaseError> {
        for list in [&mut self.new, &mut self.changed, &mut self.removed, &mut self.absent] {
            list.sort_by_key(|row| &row.key);
        }
        if !self.absent.is_empty() {
            let sql = format!("SELECT expect(count(*), 0, '{CONFLICT}', $2) FROM {} WHERE key = ANY($1::text[])", layout.table());
            work.add(sql, values![keys(&self.absent), format!("missing rows of {}", layout.name)]);
        }
        if !self.new.is_empty() {
            insert(work, layout, &self.new)?;
        }
        let mut there = [self.changed.as_slice(), &self.removed].concat();
        there.sort_by_key(|row| &row.key);
        // A single UPDATE checks and locks by itself.
        let alone = there.len() == 1 && self.removed.is_empty();
        if !there.is_empty() && !alone {
            lock(work, layout, &there)?;
        }
        if !self.changed.is_empty() {
            update(work, layout, &self.changed)?;
        }
        if !self.removed.is_empty() {
            let sql = format!("DELETE FROM {} WHERE key = ANY($1::text[])", layout.table());
            work.add(sql, values![keys(&self.removed)]);
        }
        Ok(())
    }
}

fn keys<'a>(rows: &[&'a RowWrite]) -> Vec<&'a str> {
    rows.iter().map(|row| row.key.as_str()).collect()
}

fn each<'a, T>(rows: &[&'a RowWrite], value: impl Fn(&'a RowWrite) -> Result<T, DatabaseError>) -> Result<Vec<T>, DatabaseError> {
    rows.iter().map(|row| value(row)).collect()
}

/// The arrays of a row's columns: key, id, version, schema, data, then the fields.
fn arrays<'a>(layout: &TableLayout, rows: &[&'a RowWrite]) -> Result<Vec<Value<'a>>, DatabaseError> {
    let mut arrays: Vec<Value<'a>> = values![
        keys(rows),
        each(rows, |row| row.id.map(to_i64).transpose())?,
        each(rows, |row| to_i64(row.version))?,
        each(rows, |row| Ok(i32::from(row.schema)))?,
        each(rows, |row| Ok(row.data.as_deref().unwrap_or_default()))?,
    ];
    for field in &layout.with_column {
        let value = |row: &&RowWrite| row.id.and_then(|_| row.index.get(*field)).map(encoded);
        arrays.push(Box::new(rows.iter().map(value).collect::<Vec<_>>()));
    }
    Ok(arrays)
}

/// Their SQL, from the first parameter on.
fn unnested(layout: &TableLayout) -> (String, String) {
    let fields = layout.each_column(|position, _| format!(", ${}::bytea[]", position + 6));
    let names = layout.each_column(|position, _| format!(", c{position}"));
    (
        format!("$1::text[], $2::int8[], $3::int8[], $4::int4[], $5::bytea[]{fields}"),
        format!("key, id, version, schema, data{names}"),
    )
}

fn insert<'a>(work: &mut Pipeline<'a>, layout: &TableLayout, rows: &[&'a RowWrite]) -> Result<(), DatabaseError> {
    let (arrays_sql, names) = unnested(layout);
    let columns = layout.each_column(|_, column| format!(", {column}"));
    let (at, number) = (layout.table(), layout.number);
    let sql = format!(
        "WITH done AS (INSERT INTO {at} (key, id, version, schema, data{columns}, layout, max_layout) \
         SELECT {names}, {number}, {number} FROM unnest({arrays_sql}) WITH ORDINALITY AS u({names}, ordinal) ORDER BY ordinal \
         ON CONFLICT (key) DO NOTHING RETURNING 1) \
         SELECT expect(count(*), cardinality($1::text[]), '{CONFLICT}', {}) FROM done",
        literal(&format!("new rows of {}", layout.name))
    );
    work.add(sql, arrays(layout, rows)?);
    Ok(())
}

/// Locks rows in the order of their keys, and checks their versions.
fn lock<'a>(work: &mut Pipeline<'a>, layout: &TableLayout, rows: &[&'a RowWrite]) -> Result<(), DatabaseError> {
    let sql = format!(
        "SELECT expect(count(*), cardinality($1::text[]), '{CONFLICT}', {}) FROM (SELECT 1 \
         FROM unnest($1::text[], $2::int8[]) AS u(key, was) JOIN {} AS t ON t.key = u.key \
         WHERE t.version = u.was{} ORDER BY t.key FOR UPDATE OF t) AS locked",
        literal(&format!("rows of {}", layout.name)),
        layout.table(),
        layout.is_current()
    );
    work.add(sql, values![keys(rows), each(rows, |row| to_i64(row.old_version))?]);
    Ok(())
}

fn update<'a>(work: &mut Pipeline<'a>, layout: &TableLayout, rows: &[&'a RowWrite]) -> Result<(), DatabaseError> {
    let (arrays_sql, names) = unnested(layout);
    let sets = layout.each_column(|position, column| format!(", {column} = u.c{position}"));
    let was = layout.columns.len() + 6;
    let number = layout.number;
    let sql = format!(
        "WITH done AS (UPDATE {} AS t SET id = u.id, version = u.version, schema = u.schema, data = u.data{sets}, \
         layout = {number}, max_layout = greatest(t.max_layout, {number}) \
         FROM unnest({arrays_sql}, ${was}::int8[]) AS u({names}, was) \
         WHERE t.key = u.key AND t.version = u.was{} RETURNING 1) \
         SELECT expect(count(*), cardinality($1::text[]), '{CONFLICT}', {}) FROM done",
        layout.table(),
        layout.is_current(),
        literal(&format!("rows of {}", layout.name))
    );
    let mut bound = arrays(layout, rows)?;
    bound.push(Box::new(each(rows, |row| to_i64(row.old_version))?));
    work.add(sql, bound);
    Ok(())
}

/// A literal of this program; external values are always bound.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Tables that a commit clears or swaps are locked first.
pub(crate) fn lock_tables(work: &mut Pipeline<'_>, tables: Layouts<'_>, commit: &Commit) -> Result<(), DatabaseError> {
    let swapped = commit.swap.into_iter().flat_map(|(one, other)| [one, other]);
    let mut names = commit.clear.iter().copied().chain(swapped).map(|table| tables.name(table)).collect::<Result<Vec<_>, _>>()?;
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() {
        let list: Vec<String> = names.into_iter().map(quoted).collect();
        work.add(format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", list.join(", ")), Vec::new());
    }
    for table in &commit.clear {
        let name = tables.name(*table)?;
        work.add(format!("TRUNCATE {}", quoted(name)), Vec::new());
        work.add("DELETE FROM counter WHERE table_name = $1", values![name.to_owned()]);
    }
    Ok(())
}

/// Swaps two tables, with their counters.
pub(crate) fn swap(work: &mut Pipeline<'_>, tables: Layouts<'_>, (one, other): (TableId, TableId)) -> Result<(), DatabaseError> {
    let (first, second) = (tables.get(one)?, tables.get(other)?);
    if first.columns != second.columns {
        let (first, second) = (&first.name, &second.name);
        return Err(DatabaseError::Rejected(format!("{first} and {second} have other fields and cannot change positions")));
    }
    if one == other {
        return Ok(());
    }
    // No table of a service has this name.
    let aside = "changing_places";
    for (from, to) in [(first.name.as_str(), aside), (&second.name, &first.name), (aside, &second.name)] {
        work.add(format!("ALTER TABLE {} RENAME TO {}", quoted(from), quoted(to)), Vec::new());
        work.add("UPDATE counter SET table_name = $2 WHERE table_name = $1", values![from.to_owned(), to.to_owned()]);
    }
    Ok(())
}
