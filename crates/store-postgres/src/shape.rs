//! A row table as the store knows it: its columns, and the statements that never change.

use std::fmt::Write as _;

use kernel::field::Ask;
use ports::model::{Table, TableId};
use ports::query::TableFields;
use ports::query::fields::repeated_name;
use ports::{Model, StoredRow};
use tokio_postgres::Row;

use crate::error::{Failed, OpenError};
use crate::value::{get, natural, schema_version};

/// What every statement that reads rows selects first, for [`stored`].
pub(crate) const ROW: &str = "id, key, version, schema, data";

/// Names are cut off behind so many bytes by PostgreSQL, silently.
const LONGEST_NAME: usize = 63;

/// A table of rows.
///
/// ```sql
/// CREATE TABLE "message__my_messages" (
///     key      text COLLATE "C" PRIMARY KEY,
///     id       bigint,            -- none as long as the row is not listed
///     version  bigint NOT NULL,
///     schema   integer NOT NULL,
///     shape    integer NOT NULL,  -- which fields its writer knew
///     "f_status" bytea,           -- a declared field that is not the key, see `value`; `f_status__counted` if it is counted
///     data     bytea NOT NULL     -- kept byte by byte
/// );
/// CREATE UNIQUE INDEX ON "message__my_messages" (id) WHERE id IS NOT NULL;
/// CREATE INDEX ON "message__my_messages" ("f_status", id) WHERE "f_status" IS NOT NULL;  -- which it is in listed rows
/// ```
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// The table's name, unquoted.
    pub name: String,
    /// Declared fields.
    pub fields: TableFields,
    /// The places of those that have a column of their own: all but one that is the row's key.
    pub own: Vec<usize>,
    /// The columns of these, unquoted.
    pub columns: Vec<String>,
    /// The number of this declaration among those that the table has had; written beside each row.
    pub number: i32,
    /// No later declaration is known: rows of others have to be filled.
    pub newest: bool,
    /// There are others.
    pub others: bool,
}

impl Shape {
    fn of(table: &Table) -> Self {
        Self::new(&table.sql_name, table.into())
    }

    /// A table with that name and these fields.
    pub fn new(name: &str, fields: TableFields) -> Self {
        let own = fields.with_column();
        let columns = own.iter().map(|place| column(&fields, *place)).collect();
        Self { name: fitting(name), fields, own, columns, number: 1, newest: true, others: false }
    }

    /// The table's name in a statement.
    pub fn table(&self) -> String {
        quoted(&self.name)
    }

    /// A field's column in a statement.
    pub fn column(&self, field: usize) -> String {
        let own = self.own.iter().position(|place| *place == field);
        own.and_then(|own| self.columns.get(own)).map_or_else(|| "key".to_owned(), |column| quoted(column))
    }

    /// The fields' own columns, each with what a function makes of it and its place among them.
    pub fn each_column(&self, mut each: impl FnMut(usize, String) -> String) -> String {
        self.columns.iter().enumerate().map(|(place, column)| each(place, quoted(column))).collect()
    }

    /// Whether there may be many rows that lack fields of this declaration.
    pub fn may_lack(&self) -> bool {
        self.newest && self.others
    }

    /// That a row `t` has all fields of this declaration, for who has to see to it.
    pub fn is_whole(&self) -> String {
        if self.newest { format!(" AND t.shape >= {}", self.number) } else { String::new() }
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

/// The column of a field. One that is counted otherwise than before has another column, so that an earlier version which goes
/// on writing leaves the values alone by which its rows are counted now.
fn column(fields: &TableFields, place: usize) -> String {
    let name = |place: usize| fields.declared.get(place).map_or("", |field| field.name);
    let mut column = format!("f_{}", name(place));
    if fields.declared.get(place).is_some_and(|field| field.ask == Ask::Counted) {
        column.push_str("__counted");
    }
    for (a, b) in fields.crossed.iter().filter(|(a, b)| [*a, *b].contains(&place)) {
        // Writing to a text cannot fail.
        let _ = write!(column, "__{}_{}", name(*a), name(*b));
    }
    fitting(&column)
}

/// The tables of a model, in its order. Names are told apart without case, for the sake of people.
pub(crate) fn shapes(model: &Model) -> Result<Vec<Shape>, OpenError> {
    let shapes: Vec<Shape> = model.tables.iter().map(Shape::of).collect();
    let tables = shapes.iter().map(|shape| shape.name.clone());
    let columns = shapes.iter().flat_map(|shape| shape.columns.iter().map(|column| format!("{}.{column}", shape.name)));
    match repeated_name(tables.chain(columns)) {
        Some(name) => Err(OpenError::NameTwice { name }),
        None => Ok(shapes),
    }
}

/// The tables by number, and back by name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tables<'a>(pub &'a [Shape]);

impl<'a> Tables<'a> {
    /// A table that is to be written.
    pub fn get(&self, table: TableId) -> Result<&'a Shape, Failed> {
        self.0.get(table.0).ok_or_else(|| Failed::Refused(format!("there is no table {}", table.0)))
    }

    /// Its name, by which everything else is filed.
    pub fn name(&self, table: TableId) -> Result<&'a str, Failed> {
        Ok(&self.get(table)?.name)
    }

    /// All names: what others have filed under names that are not known here is theirs to deal with.
    pub fn names(&self) -> Vec<&'a str> {
        self.0.iter().map(|shape| shape.name.as_str()).collect()
    }

    /// The table of that name.
    pub fn named(&self, name: &str) -> Result<TableId, Failed> {
        let place = self.0.iter().position(|shape| shape.name == name);
        place.map(TableId).ok_or_else(|| Failed::Damaged(format!("table {name} is not declared")))
    }
}

/// A name in a statement.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A name that is not cut off: a long one ends in a sum of all of it.
fn fitting(name: &str) -> String {
    if name.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    // FNV-1a, which never changes.
    let sum = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let kept: String =
        name.char_indices().take_while(|(at, letter)| at + letter.len_utf8() <= 46).map(|(_, letter)| letter).collect();
    format!("{kept}_{sum:016x}")
}

/// A row selected by [`ROW`].
pub(crate) fn stored(row: &Row) -> Result<StoredRow, Failed> {
    let id: Option<i64> = get(row, 0)?;
    Ok(StoredRow {
        id: id.and_then(|id| u64::try_from(id).ok()),
        key: get(row, 1)?,
        version: natural(row, 2)?,
        schema: schema_version(row, 3)?,
        data: get(row, 4)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_stay_apart() {
        let long = |end: &str| fitting(&format!("{}{end}", "chatbot__".repeat(8)));
        assert_ne!(long("one"), long("two"));
        assert_eq!(long("one"), long("one"));
        assert!(long("one").len() <= LONGEST_NAME && fitting(&"가".repeat(40)).len() <= LONGEST_NAME);
        assert_eq!(fitting("message__message"), "message__message");
    }
}
