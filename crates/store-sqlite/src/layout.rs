//! A row table as the store knows it: its columns, and the statements that never change.

use kernel::field::FieldInfo;
use ports::model::{Table, TableId};
use ports::query::TableFields;
use ports::query::fields::repeated_name;
use ports::{Model, StoredRow};
use rusqlite::types::Type;
use rusqlite::{Error, Result, Row};

use crate::error::{OpenError, WriteError};
use crate::value::U64;

/// What every statement that reads rows selects first, for [`stored`].
pub(crate) const ROW: &str = "id, key, version, schema, data";

/// The column, and with it the index, that serves a field which is the row's key.
pub(crate) const KEY: &str = "key";

/// A table of rows.
///
/// ```sql
/// CREATE TABLE "message__my_messages" (
///     id      INTEGER PRIMARY KEY,  -- negative as long as the row is not listed
///     key     TEXT NOT NULL UNIQUE,
///     version INTEGER NOT NULL,
///     schema  INTEGER NOT NULL,
///     listed  INTEGER,              -- 1 or NULL: takes no room in the row, and is what the indexes are partial by
///     "f_status" ANY,               -- a declared field, unless it is the key; ANY keeps numbers and texts as they are
///     data    BLOB NOT NULL         -- last, so that a filter never reads past it
/// ) STRICT;
/// CREATE INDEX "message__my_messages__f_status" ON "message__my_messages"("f_status") WHERE listed;  -- ends in id
/// ```
#[derive(Debug)]
pub(crate) struct TableLayout {
    /// The table's name, unquoted.
    pub name: String,
    /// Declared fields.
    pub fields: TableFields,
    /// Their columns, unquoted: one of their own, or the key's.
    pub columns: Vec<String>,
    /// The positions of those that have a column of their own.
    pub with_column: Vec<usize>,
    pub by_key: String,
    pub by_id: String,
    /// Arguments: id, key, version, schema, listed, data, then the fields with a column of their own.
    pub insert: String,
    /// The version, the id and the values of those fields.
    pub before: String,
    pub delete: String,
}

impl TableLayout {
    fn from_table(table: &Table) -> Self {
        Self::new(table.sql_name.clone(), table.into())
    }

    /// A table with that name and these fields.
    pub fn new(name: String, fields: TableFields) -> Self {
        let column =
            |(field, info): (usize, &FieldInfo)| if fields.is_key(field) { KEY.to_owned() } else { format!("f_{}", info.name) };
        let columns: Vec<String> = fields.declared.iter().enumerate().map(column).collect();
        let own = fields.with_column();
        let named: Vec<String> = own.iter().map(|field| format!(", {}", quoted(&columns[*field]))).collect();
        let named = named.concat();
        let parameters: Vec<String> = (0..own.len()).map(|position| format!(", ?{}", position + 7)).collect();
        let parameters = parameters.concat();
        let at = quoted(&name);
        Self {
            by_key: format!("SELECT {ROW} FROM {at} WHERE key = ?1"),
            by_id: format!("SELECT {ROW} FROM {at} WHERE id = ?1"),
            insert: format!(
                "INSERT INTO {at} (id, key, version, schema, listed, data{named}) VALUES (?1, ?2, ?3, ?4, ?5, ?6{parameters})"
            ),
            before: format!("SELECT version, id{named} FROM {at} WHERE key = ?1"),
            delete: format!("DELETE FROM {at} WHERE key = ?1"),
            fields,
            columns,
            with_column: own,
            name,
        }
    }

    /// The table's name in a statement.
    pub fn table(&self) -> String {
        quoted(&self.name)
    }

    /// A field's column in a statement.
    pub fn column(&self, field: usize) -> String {
        self.columns.get(field).map(|column| quoted(column)).unwrap_or_default()
    }
}

/// The layouts of a model's tables, in its order. SQLite does not distinguish names by case, so neither may a model.
pub(crate) fn layouts(model: &Model) -> Result<Vec<TableLayout>, OpenError> {
    let layouts: Vec<TableLayout> = model.tables.iter().map(TableLayout::from_table).collect();
    let tables = layouts.iter().map(|layout| layout.name.clone());
    let own = |layout: &TableLayout| {
        layout.with_column.iter().map(|position| format!("{}.{}", layout.name, layout.columns[*position])).collect::<Vec<_>>()
    };
    let columns = layouts.iter().flat_map(own);
    match repeated_name(tables.chain(columns)) {
        Some(name) => Err(OpenError::NameTwice { name }),
        None => Ok(layouts),
    }
}

/// The name of a table, by which its rows, timers and effects are stored.
pub(crate) fn table_name(layouts: &[TableLayout], table: TableId) -> Result<&str, WriteError> {
    let layout = layouts.get(table.0).ok_or_else(|| WriteError::Rejected(format!("there is no table {}", table.0)))?;
    Ok(&layout.name)
}

/// The table whose name a column has.
pub(crate) fn table_of(layouts: &[TableLayout], row: &Row<'_>, column: usize) -> Result<TableId> {
    let name: String = row.get(column)?;
    let position = layouts.iter().position(|layout| layout.name == name);
    let gone = || Error::FromSqlConversionFailure(column, Type::Text, format!("table {name} is not declared any more").into());
    position.map(TableId).ok_or_else(gone)
}

/// A name in a statement.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A row selected by [`ROW`].
pub(crate) fn stored(row: &Row<'_>) -> Result<StoredRow> {
    let id: i64 = row.get(0)?;
    Ok(StoredRow {
        id: u64::try_from(id).ok(),
        key: row.get(1)?,
        version: row.get::<_, U64>(2)?.0,
        schema: row.get(3)?,
        data: row.get(4)?,
    })
}
