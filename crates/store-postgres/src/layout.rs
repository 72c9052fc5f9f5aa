//! The layout of a row table: its columns, and the statements that never change.

use std::fmt::Write as _;

use kernel::field::Ask;
use ports::model::{Table, TableId};
use ports::query::TableFields;
use ports::query::fields::repeated_name;
use ports::{Model, StoredRow};
use tokio_postgres::Row;

use crate::error::{DatabaseError, OpenError};
use crate::value::{get, get_u64, schema_version};

/// The columns that [`stored`] reads.
pub(crate) const ROW: &str = "id, key, version, schema, data";

/// The longest identifier in bytes; PostgreSQL truncates longer ones silently.
const MAX_IDENTIFIER_BYTES: usize = 63;

/// A table of rows.
///
/// ```sql
/// CREATE TABLE "message__my_messages" (
///     key      text COLLATE "C" PRIMARY KEY,
///     id       bigint,            -- null while the row is unlisted
///     version  bigint NOT NULL,
///     schema   integer NOT NULL,
///     layout   integer NOT NULL,  -- the declaration that it was written under
///     "f_status" bytea,           -- a declared field that is not the key, see `value`; `f_status__counted` if it is counted
///     data     bytea NOT NULL     -- stored byte by byte
/// );
/// CREATE UNIQUE INDEX ON "message__my_messages" (id) WHERE id IS NOT NULL;
/// CREATE INDEX ON "message__my_messages" ("f_status", id) WHERE "f_status" IS NOT NULL;  -- which it is in listed rows
/// ```
#[derive(Debug, Clone)]
pub(crate) struct TableLayout {
    /// The table's name, unquoted.
    pub name: String,
    /// Declared fields.
    pub fields: TableFields,
    /// The positions of those with a column of their own: all but the key.
    pub with_column: Vec<usize>,
    /// Their columns, unquoted.
    pub columns: Vec<String>,
    /// The number of this declaration among those of the table; written to each row.
    pub number: i32,
    /// This is the latest declaration: rows of others are to be backfilled.
    pub newest: bool,
    /// There are other declarations.
    pub others: bool,
}

impl TableLayout {
    fn from_table(table: &Table) -> Self {
        Self::new(&table.sql_name, table.into())
    }

    /// A table with that name and these fields.
    pub fn new(name: &str, fields: TableFields) -> Self {
        let own = fields.with_column();
        let columns = own.iter().map(|position| column(&fields, *position)).collect();
        Self { name: fit_identifier(name), fields, with_column: own, columns, number: 1, newest: true, others: false }
    }

    /// The table's name in a statement.
    pub fn table(&self) -> String {
        quoted(&self.name)
    }

    /// A field's column in a statement.
    pub fn column(&self, field: usize) -> String {
        let own = self.with_column.iter().position(|position| *position == field);
        own.and_then(|own| self.columns.get(own)).map_or_else(|| "key".to_owned(), |column| quoted(column))
    }

    /// The columns of the fields, each mapped with its position among them.
    pub fn each_column(&self, mut each: impl FnMut(usize, String) -> String) -> String {
        self.columns.iter().enumerate().map(|(position, column)| each(position, quoted(column))).collect()
    }

    /// Whether rows of other declarations may need a backfill.
    pub fn may_need_backfill(&self) -> bool {
        self.newest && self.others
    }

    /// The SQL condition that a row `t` has all fields of this declaration, where this version is responsible for it.
    pub fn is_current(&self) -> String {
        if self.newest { format!(" AND t.layout >= {}", self.number) } else { String::new() }
    }

    /// A row by its key.
    pub fn by_key(&self) -> String {
        format!("SELECT {ROW} FROM {} WHERE key = $1", self.table())
    }

    /// A row by its id.
    pub fn by_id(&self) -> String {
        format!("SELECT {ROW} FROM {} WHERE id = $1", self.table())
    }

    /// Rows by their keys.
    pub fn by_keys(&self) -> String {
        format!("SELECT {ROW} FROM {} WHERE key = ANY($1::text[])", self.table())
    }
}

/// The column of a field. A field that is counted differently than before has another column, so that an older version that
/// keeps writing does not overwrite the values that its rows are counted by.
fn column(fields: &TableFields, position: usize) -> String {
    let name = |position: usize| fields.declared.get(position).map_or("", |field| field.name);
    let mut column = format!("f_{}", name(position));
    if fields.declared.get(position).is_some_and(|field| field.ask == Ask::Counted) {
        column.push_str("__counted");
    }
    for (a, b) in fields.crossed.iter().filter(|(a, b)| [*a, *b].contains(&position)) {
        // Writing to a text cannot fail.
        let _ = write!(column, "__{}_{}", name(*a), name(*b));
    }
    fit_identifier(&column)
}

/// The layouts of a model's tables, in its order. Names must differ in more than case.
pub(crate) fn layouts(model: &Model) -> Result<Vec<TableLayout>, OpenError> {
    let layouts: Vec<TableLayout> = model.tables.iter().map(TableLayout::from_table).collect();
    let tables = layouts.iter().map(|layout| layout.name.clone());
    let columns = layouts.iter().flat_map(|layout| layout.columns.iter().map(|column| format!("{}.{column}", layout.name)));
    match repeated_name(tables.chain(columns)) {
        Some(name) => Err(OpenError::NameTwice { name }),
        None => Ok(layouts),
    }
}

/// The tables by number and by name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layouts<'a>(pub &'a [TableLayout]);

impl<'a> Layouts<'a> {
    /// A table to be written.
    pub fn get(&self, table: TableId) -> Result<&'a TableLayout, DatabaseError> {
        self.0.get(table.0).ok_or_else(|| DatabaseError::Rejected(format!("there is no table {}", table.0)))
    }

    /// The name of a table, by which its timers, effects and counters are stored.
    pub fn name(&self, table: TableId) -> Result<&'a str, DatabaseError> {
        Ok(&self.get(table)?.name)
    }

    /// All names: work under names unknown here belongs to another version.
    pub fn names(&self) -> Vec<&'a str> {
        self.0.iter().map(|layout| layout.name.as_str()).collect()
    }

    /// The table of that name.
    pub fn named(&self, name: &str) -> Result<TableId, DatabaseError> {
        let position = self.0.iter().position(|layout| layout.name == name);
        position.map(TableId).ok_or_else(|| DatabaseError::Corrupt(format!("table {name} is not declared")))
    }
}

/// A name in a statement.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// An identifier that is not truncated: a long one ends in its hash.
fn fit_identifier(name: &str) -> String {
    if name.len() <= MAX_IDENTIFIER_BYTES {
        return name.to_owned();
    }
    // FNV-1a, which is stable.
    let sum = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let kept: String =
        name.char_indices().take_while(|(at, letter)| at + letter.len_utf8() <= 46).map(|(_, letter)| letter).collect();
    format!("{kept}_{sum:016x}")
}

/// A row selected by [`ROW`].
pub(crate) fn stored(row: &Row) -> Result<StoredRow, DatabaseError> {
    let id: Option<i64> = get(row, 0)?;
    Ok(StoredRow {
        id: id.and_then(|id| u64::try_from(id).ok()),
        key: get(row, 1)?,
        version: get_u64(row, 2)?,
        schema: schema_version(row, 3)?,
        data: get(row, 4)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_identifiers_stay_distinct() {
        let long = |end: &str| fit_identifier(&format!("{}{end}", "chatbot__".repeat(8)));
        assert_ne!(long("one"), long("two"));
        assert_eq!(long("one"), long("one"));
        assert!(long("one").len() <= MAX_IDENTIFIER_BYTES && fit_identifier(&"가".repeat(40)).len() <= MAX_IDENTIFIER_BYTES);
        assert_eq!(fit_identifier("message__message"), "message__message");
    }
}
