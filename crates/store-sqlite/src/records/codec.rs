//! How statements are run and how JSON columns are bound and read.

use kernel::event::Cause;
use rusqlite::types::Type;
use rusqlite::{Connection, Error, Params, Result, Row};
use serde_json::from_str;

use crate::error::WriteError;

/// All rows of a statement; the bound is in its limit.
pub(crate) fn list<T>(
    conn: &Connection,
    sql: &str,
    values: impl Params,
    row: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    conn.prepare_cached(sql)?.query_map(values, row)?.collect()
}

pub(crate) fn cause_json(cause: &Cause) -> Result<String, WriteError> {
    serde_json::to_string(cause).map_err(unwritable)
}

pub(crate) fn cause(row: &Row<'_>, column: usize) -> Result<Cause> {
    from_str(row.get_ref(column)?.as_str()?).map_err(|error| unreadable(column, error))
}

pub(crate) fn unwritable(error: serde_json::Error) -> WriteError {
    WriteError::Sql(Error::ToSqlConversionFailure(Box::new(error)))
}

pub(crate) fn unreadable(column: usize, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::FromSqlConversionFailure(column, Type::Text, why.into())
}
