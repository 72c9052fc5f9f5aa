//! Writing rows: the statements of a commit for each table, with the checks that fail where somebody else came first.
//!
//! Tables come in the order of their names and rows in the order of their keys, everywhere: two batches that share rows
//! then wait for each other, and never each for the other.

use ports::model::TableId;
use ports::{Commit, RowWrite};

use crate::error::{Failed, MOVED};
use crate::pipeline::Pipeline;
use crate::shape::{Shape, Tables, quoted};
use crate::value::{Value, encoded, values, whole};

/// What a commit does to the rows of one table.
#[derive(Default)]
struct Writes<'a> {
    new: Vec<&'a RowWrite>,
    changed: Vec<&'a RowWrite>,
    removed: Vec<&'a RowWrite>,
    /// Come and gone within the batch: must not be there.
    absent: Vec<&'a RowWrite>,
}

/// The rows of a commit.
pub(crate) fn write<'a>(work: &mut Pipeline<'a>, tables: Tables<'a>, rows: &'a [RowWrite]) -> Result<(), Failed> {
    let mut by_table: Vec<(&Shape, Writes<'a>)> = Vec::new();
    for same in rows.chunk_by(|one, next| one.table == next.table) {
        let Some(first) = same.first() else { continue };
        let shape = tables.get(first.table)?;
        let mut writes = Writes::default();
        for row in same {
            check(shape, row)?;
            let list = match (&row.data, row.old_version) {
                (Some(_), 0) => &mut writes.new,
                (Some(_), _) => &mut writes.changed,
                (None, 0) => &mut writes.absent,
                (None, _) => &mut writes.removed,
            };
            list.push(row);
        }
        by_table.push((shape, writes));
    }
    by_table.sort_by_key(|(shape, _)| &shape.name);
    for (shape, writes) in by_table {
        writes.add_to(work, shape)?;
    }
    Ok(())
}

fn check(shape: &Shape, row: &RowWrite) -> Result<(), Failed> {
    let (values, fields) = (row.index.len(), shape.fields.len());
    // A row that is not listed stands in no index.
    if row.data.is_some() && values != fields && (row.id.is_some() || values > 0) {
        return Err(Failed::Refused(format!("a row of {} has {values} index values for {fields} fields", shape.name)));
    }
    Ok(())
}

impl<'a> Writes<'a> {
    fn add_to(mut self, work: &mut Pipeline<'a>, shape: &Shape) -> Result<(), Failed> {
        for list in [&mut self.new, &mut self.changed, &mut self.removed, &mut self.absent] {
            list.sort_by_key(|row| &row.key);
        }
        if !self.absent.is_empty() {
            let sql = format!("SELECT expect(count(*), 0, '{MOVED}', $2) FROM {} WHERE key = ANY($1::text[])", shape.table());
            work.add(sql, values![keys(&self.absent), format!("missing rows of {}", shape.name)]);
        }
        if !self.new.is_empty() {
            insert(work, shape, &self.new)?;
        }
        let mut there = [self.changed.as_slice(), &self.removed].concat();
        there.sort_by_key(|row| &row.key);
        // A single change checks and locks by itself.
        let alone = there.len() == 1 && self.removed.is_empty();
        if !there.is_empty() && !alone {
            lock(work, shape, &there)?;
        }
        if !self.changed.is_empty() {
            update(work, shape, &self.changed)?;
        }
        if !self.removed.is_empty() {
            let sql = format!("DELETE FROM {} WHERE key = ANY($1::text[])", shape.table());
            work.add(sql, values![keys(&self.removed)]);
        }
        Ok(())
    }
}

fn keys<'a>(rows: &[&'a RowWrite]) -> Vec<&'a str> {
    rows.iter().map(|row| row.key.as_str()).collect()
}

fn each<'a, T>(rows: &[&'a RowWrite], value: impl Fn(&'a RowWrite) -> Result<T, Failed>) -> Result<Vec<T>, Failed> {
    rows.iter().map(|row| value(row)).collect()
}

/// The arrays of a row's columns: key, id, version, schema, data, then the fields.
fn arrays<'a>(shape: &Shape, rows: &[&'a RowWrite]) -> Result<Vec<Value<'a>>, Failed> {
    let mut arrays: Vec<Value<'a>> = values![
        keys(rows),
        each(rows, |row| row.id.map(whole).transpose())?,
        each(rows, |row| whole(row.version))?,
        each(rows, |row| Ok(i32::from(row.schema)))?,
        each(rows, |row| Ok(row.data.as_deref().unwrap_or_default()))?,
    ];
    for field in &shape.own {
        let value = |row: &&RowWrite| row.id.and_then(|_| row.index.get(*field)).map(encoded);
        arrays.push(Box::new(rows.iter().map(value).collect::<Vec<_>>()));
    }
    Ok(arrays)
}

/// The same in SQL, beginning with the first argument.
fn unnested(shape: &Shape) -> (String, String) {
    let fields = shape.each_column(|place, _| format!(", ${}::bytea[]", place + 6));
    let names = shape.each_column(|place, _| format!(", c{place}"));
    (
        format!("$1::text[], $2::int8[], $3::int8[], $4::int4[], $5::bytea[]{fields}"),
        format!("key, id, version, schema, data{names}"),
    )
}

fn insert<'a>(work: &mut Pipeline<'a>, shape: &Shape, rows: &[&'a RowWrite]) -> Result<(), Failed> {
    let (arrays_sql, names) = unnested(shape);
    let columns = shape.each_column(|_, column| format!(", {column}"));
    let (at, number) = (shape.table(), shape.number);
    let sql = format!(
        "WITH done AS (INSERT INTO {at} (key, id, version, schema, data{columns}, shape, filled) \
         SELECT {names}, {number}, {number} FROM unnest({arrays_sql}) WITH ORDINALITY AS u({names}, place) ORDER BY place \
         ON CONFLICT (key) DO NOTHING RETURNING 1) \
         SELECT expect(count(*), cardinality($1::text[]), '{MOVED}', {}) FROM done",
        literal(&format!("new rows of {}", shape.name))
    );
    work.add(sql, arrays(shape, rows)?);
    Ok(())
}

/// Locks rows that must have their versions, in the order of their keys.
fn lock<'a>(work: &mut Pipeline<'a>, shape: &Shape, rows: &[&'a RowWrite]) -> Result<(), Failed> {
    let sql = format!(
        "SELECT expect(count(*), cardinality($1::text[]), '{MOVED}', {}) FROM (SELECT 1 \
         FROM unnest($1::text[], $2::int8[]) AS u(key, was) JOIN {} AS t ON t.key = u.key \
         WHERE t.version = u.was{} ORDER BY t.key FOR UPDATE OF t) AS locked",
        literal(&format!("rows of {}", shape.name)),
        shape.table(),
        shape.is_whole()
    );
    work.add(sql, values![keys(rows), each(rows, |row| whole(row.old_version))?]);
    Ok(())
}

fn update<'a>(work: &mut Pipeline<'a>, shape: &Shape, rows: &[&'a RowWrite]) -> Result<(), Failed> {
    let (arrays_sql, names) = unnested(shape);
    let sets = shape.each_column(|place, column| format!(", {column} = u.c{place}"));
    let was = shape.columns.len() + 6;
    let number = shape.number;
    let sql = format!(
        "WITH done AS (UPDATE {} AS t SET id = u.id, version = u.version, schema = u.schema, data = u.data{sets}, \
         shape = {number}, filled = greatest(t.filled, {number}) \
         FROM unnest({arrays_sql}, ${was}::int8[]) AS u({names}, was) \
         WHERE t.key = u.key AND t.version = u.was{} RETURNING 1) \
         SELECT expect(count(*), cardinality($1::text[]), '{MOVED}', {}) FROM done",
        shape.table(),
        shape.is_whole(),
        literal(&format!("rows of {}", shape.name))
    );
    let mut bound = arrays(shape, rows)?;
    bound.push(Box::new(each(rows, |row| whole(row.old_version))?));
    work.add(sql, bound);
    Ok(())
}

/// A text of our own in a statement; values of others are always bound.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Whole tables that a commit empties or lets change places are taken first, before anything else is locked.
pub(crate) fn take_whole(work: &mut Pipeline<'_>, tables: Tables<'_>, commit: &Commit) -> Result<(), Failed> {
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
        work.add("DELETE FROM counter WHERE tbl = $1", values![name.to_owned()]);
    }
    Ok(())
}

/// Lets two tables change places, with their counters.
pub(crate) fn swap(work: &mut Pipeline<'_>, tables: Tables<'_>, (one, other): (TableId, TableId)) -> Result<(), Failed> {
    let (first, second) = (tables.get(one)?, tables.get(other)?);
    if first.columns != second.columns {
        let (first, second) = (&first.name, &second.name);
        return Err(Failed::Refused(format!("{first} and {second} have other fields and cannot change places")));
    }
    if one == other {
        return Ok(());
    }
    // No table of a service is called so.
    let aside = "changing_places";
    for (from, to) in [(first.name.as_str(), aside), (&second.name, &first.name), (aside, &second.name)] {
        work.add(format!("ALTER TABLE {} RENAME TO {}", quoted(from), quoted(to)), Vec::new());
        work.add("UPDATE counter SET tbl = $2 WHERE tbl = $1", values![from.to_owned(), to.to_owned()]);
    }
    Ok(())
}
