//! How numbers and index values are bound and read.
//!
//! A declared field has no fixed SQL type: its closure may return numbers, texts or nothing. Its column holds bytes that sort
//! as the values do: null first, then numbers, then texts by their bytes. So null has a position in the order, too, paging
//! after a cursor is one row comparison, and SQL's `NULL` is free to mark a row written by a version without the field.

use kernel::field::IndexValue;
use sha2::{Digest, Sha256};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};

use crate::error::DatabaseError;

/// An argument of a statement.
pub(crate) type Value<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// Arguments of a statement.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        Vec::from([$(Box::new($value) as $crate::value::Value<'_>),*])
    };
}
pub(crate) use values;

const NUMBER: u8 = 1;
const TEXT: u8 = 2;

/// The longest text in an index entry, in bytes: a longer one is cut and ends in its hash, which keeps it distinct but not
/// ordered.
const LONGEST: usize = 1_000;

/// An index value as its column stores it.
pub(crate) fn encoded(value: &IndexValue) -> Vec<u8> {
    match value {
        IndexValue::Null => Vec::new(),
        IndexValue::Int(number) => {
            // With the sign bit flipped negative numbers sort first.
            let bytes = (number ^ i64::MIN).to_be_bytes();
            [&[NUMBER][..], &bytes].concat()
        }
        IndexValue::Text(text) if text.len() <= LONGEST => [&[TEXT], text.as_bytes()].concat(),
        IndexValue::Text(text) => {
            let sum = Sha256::digest(text.as_bytes());
            [&[TEXT], &text.as_bytes()[..LONGEST], &[0xff], &sum[..16]].concat()
        }
    }
}

/// The lower bound of the numbers.
pub(crate) fn numbers() -> Vec<u8> {
    vec![NUMBER]
}

/// The lower bound of the texts and the upper bound of the numbers.
pub(crate) fn texts() -> Vec<u8> {
    vec![TEXT]
}

/// The value of a column. A text beyond the limit, and bytes that are no value, are `None`.
pub(crate) fn decoded(bytes: &[u8]) -> Option<IndexValue> {
    match bytes.split_first() {
        None => Some(IndexValue::Null),
        Some((&NUMBER, rest)) => Some(IndexValue::Int(i64::from_be_bytes(rest.try_into().ok()?) ^ i64::MIN)),
        Some((&TEXT, rest)) if rest.len() <= LONGEST => Some(IndexValue::Text(String::from_utf8(rest.to_vec()).ok()?)),
        Some(_) => None,
    }
}

/// A number as PostgreSQL stores it, below 2⁶³; a larger one is rejected, never truncated.
pub(crate) fn to_i64(number: u64) -> Result<i64, DatabaseError> {
    i64::try_from(number).map_err(|_| DatabaseError::Rejected(format!("{number} is too large to be stored")))
}

/// A number to compare with, clamped to the largest that PostgreSQL stores.
pub(crate) fn clamp_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number of at most 31 bits; a larger one is rejected, never truncated.
pub(crate) fn to_i32(number: u32) -> Result<i32, DatabaseError> {
    i32::try_from(number).map_err(|_| DatabaseError::Rejected(format!("{number} is too large to be stored")))
}

/// A column that holds a number of at most 31 bits.
pub(crate) fn get_u32(row: &Row, column: usize) -> Result<u32, DatabaseError> {
    let number: i32 = get(row, column)?;
    u32::try_from(number).map_err(|_| DatabaseError::Corrupt(format!("{number} should not be negative")))
}

/// A statement's `LIMIT`.
pub(crate) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// A column of a row.
pub(crate) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, DatabaseError> {
    row.try_get(column).map_err(|error| DatabaseError::Corrupt(error.to_string()))
}

/// A column that holds a non-negative number.
pub(crate) fn get_u64(row: &Row, column: usize) -> Result<u64, DatabaseError> {
    let number: i64 = get(row, column)?;
    u64::try_from(number).map_err(|_| DatabaseError::Corrupt(format!("{number} should not be negative")))
}

/// A column that holds a schema version.
pub(crate) fn schema_version(row: &Row, column: usize) -> Result<u16, DatabaseError> {
    let version: i32 = get(row, column)?;
    u16::try_from(version).map_err(|_| DatabaseError::Corrupt(format!("{version} is not a schema version")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_values_sort_as_the_values_do_and_decode_to_them() {
        let texts = ["", "A", "a", "a\0", "é", "가"].map(IndexValue::from);
        let numbers = [i64::MIN, -256, -1, 0, 1, 255, 256, i64::MAX].map(IndexValue::Int);
        let values: Vec<_> = [IndexValue::Null].into_iter().chain(numbers).chain(texts).collect();
        assert!(values.is_sorted(), "the order of the port");
        let bytes: Vec<_> = values.iter().map(encoded).collect();
        assert!(bytes.is_sorted_by(|one, next| one < next), "{bytes:?}");
        assert!(values.iter().zip(&bytes).all(|(value, bytes)| decoded(bytes).as_ref() == Some(value)));
    }

    #[test]
    fn long_texts_stay_distinct_and_sort_after_their_prefix() {
        let long = |end: &str| IndexValue::Text("가".repeat(1_000) + end);
        let (one, other) = (encoded(&long("1")), encoded(&long("2")));
        assert_ne!(one, other);
        assert_eq!(one, encoded(&long("1")));
        assert!(one.len() < 1_100);
        assert!(encoded(&IndexValue::Text("가".repeat(300))) < one);
    }
}
