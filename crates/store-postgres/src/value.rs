//! How numbers and index values are bound and read.
//!
//! A declared field has no type that a table could be made with: its closure may give numbers, texts or nothing. Its column
//! holds bytes that sort as the values do: nothing first, then numbers, then texts by their bytes. That also gives "nothing"
//! a place among the others, so that a page behind a cursor is one comparison of a pair, and leaves SQL's `NULL` free to say
//! that a row was written by a version that did not know the field.

use kernel::field::IndexValue;
use sha2::{Digest, Sha256};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};

use crate::error::Failed;

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

/// Longer texts do not fit into an index: what stands behind is told apart by its sum, and no longer ordered.
const LONGEST: usize = 1_000;

/// An index value as its column holds it.
pub(crate) fn encoded(value: &IndexValue) -> Vec<u8> {
    match value {
        IndexValue::Null => Vec::new(),
        IndexValue::Int(number) => {
            // With the sign turned round, negative numbers stand before the others.
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

/// Where the numbers begin.
pub(crate) fn numbers() -> Vec<u8> {
    vec![NUMBER]
}

/// Where the texts begin, which is where the numbers end.
pub(crate) fn texts() -> Vec<u8> {
    vec![TEXT]
}

/// What a column held. Of a long text only the beginning is known; `None` for bytes that are no value.
pub(crate) fn decoded(bytes: &[u8]) -> Option<IndexValue> {
    match bytes.split_first() {
        None => Some(IndexValue::Null),
        Some((&NUMBER, rest)) => Some(IndexValue::Int(i64::from_be_bytes(rest.try_into().ok()?) ^ i64::MIN)),
        Some((&TEXT, rest)) if rest.len() <= LONGEST => Some(IndexValue::Text(String::from_utf8(rest.to_vec()).ok()?)),
        Some(_) => None,
    }
}

/// A natural number, of which the database holds those below 2⁶³: a larger one is refused, never cut.
pub(crate) fn whole(number: u64) -> Result<i64, Failed> {
    i64::try_from(number).map_err(|_| Failed::Refused(format!("{number} is too large to be stored")))
}

/// A position or a limit to compare with: larger ones than can be stored are as good as the largest.
pub(crate) fn most(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A limit.
pub(crate) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// A column of a row.
pub(crate) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, Failed> {
    row.try_get(column).map_err(|error| Failed::Damaged(error.to_string()))
}

/// A column that holds a natural number.
pub(crate) fn natural(row: &Row, column: usize) -> Result<u64, Failed> {
    let number: i64 = get(row, column)?;
    u64::try_from(number).map_err(|_| Failed::Damaged(format!("{number} should not be negative")))
}

/// A column that holds a schema version.
pub(crate) fn schema_version(row: &Row, column: usize) -> Result<u16, Failed> {
    let version: i32 = get(row, column)?;
    u16::try_from(version).map_err(|_| Failed::Damaged(format!("{version} is not a schema version")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_sort_as_the_values_do_and_say_what_they_were() {
        let texts = ["", "A", "a", "a\0", "é", "가"].map(IndexValue::from);
        let numbers = [i64::MIN, -256, -1, 0, 1, 255, 256, i64::MAX].map(IndexValue::Int);
        let values: Vec<_> = [IndexValue::Null].into_iter().chain(numbers).chain(texts).collect();
        assert!(values.is_sorted(), "the order of the port");
        let bytes: Vec<_> = values.iter().map(encoded).collect();
        assert!(bytes.is_sorted_by(|one, next| one < next), "{bytes:?}");
        assert!(values.iter().zip(&bytes).all(|(value, bytes)| decoded(bytes).as_ref() == Some(value)));
    }

    #[test]
    fn long_texts_are_told_apart_and_stand_behind_what_they_begin_with() {
        let long = |end: &str| IndexValue::Text("가".repeat(1_000) + end);
        let (one, other) = (encoded(&long("1")), encoded(&long("2")));
        assert_ne!(one, other);
        assert_eq!(one, encoded(&long("1")));
        assert!(one.len() < 1_100);
        assert!(encoded(&IndexValue::Text("가".repeat(300))) < one);
    }
}
