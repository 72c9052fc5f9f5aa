//! How numbers and index values are bound and read.

use kernel::field::IndexValue;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Error, Result};

/// A number as SQLite stores it, below 2⁶³; a larger one is rejected, never truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct U64(pub u64);

impl ToSql for U64 {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        match i64::try_from(self.0) {
            Ok(number) => Ok(ToSqlOutput::from(number)),
            Err(error) => Err(Error::ToSqlConversionFailure(Box::new(error))),
        }
    }
}

impl FromSql for U64 {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        u64::try_from(number).map(Self).map_err(|_| FromSqlError::OutOfRange(number))
    }
}

/// An index value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SqlValue(pub IndexValue);

impl ToSql for SqlValue {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(bound(&self.0))
    }
}

impl FromSql for SqlValue {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Null => Ok(Self(IndexValue::Null)),
            ValueRef::Integer(number) => Ok(Self(IndexValue::Int(number))),
            ValueRef::Text(_) => Ok(Self(IndexValue::Text(value.as_str()?.to_owned()))),
            ValueRef::Real(_) | ValueRef::Blob(_) => Err(FromSqlError::InvalidType),
        }
    }
}

/// An index value as a statement's argument, without a copy.
pub(crate) fn bound(value: &IndexValue) -> ToSqlOutput<'_> {
    match value {
        IndexValue::Null => ToSqlOutput::Owned(Value::Null),
        IndexValue::Int(number) => ToSqlOutput::Owned(Value::Integer(*number)),
        IndexValue::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
    }
}

/// A statement's `LIMIT`.
pub(crate) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
