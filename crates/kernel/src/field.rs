//! Declared fields of a row: what may be filtered, searched and sorted, each with the function that reads it.

use serde::{Deserialize, Serialize};

/// A value that an index can hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IndexValue {
    /// Absent.
    Null,
    /// Whole numbers, and instants as milliseconds since 1970.
    Int(i64),
    /// Text.
    Text(String),
}

impl From<&str> for IndexValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<String> for IndexValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl From<&String> for IndexValue {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}
impl From<i64> for IndexValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<u64> for IndexValue {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}
impl From<jiff::Timestamp> for IndexValue {
    fn from(value: jiff::Timestamp) -> Self {
        Self::Int(value.as_millisecond())
    }
}
impl<T: Into<IndexValue>> From<Option<T>> for IndexValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// How a declared field may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Ask {
    /// `?name=value`, with its own counter, so that the total of one filter costs nothing.
    /// For fields of few values; each value's counter is a row.
    Counted,
    /// `?name=value`, counted through the index and only up to 10,000. For fields of many values.
    Filter,
    /// `?name=value`, where the value is the row's own key: stores find it by that, without an index more. A row whose
    /// field is another text than its key is a fault of the program.
    Key,
    /// `?nameFrom=&nameTo=`: instants in RFC 3339 or dates; the upper end is not included.
    Period,
}

/// A declared field without its type: what stores, adapters and documents need to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldInfo {
    /// The name in the query and in the body.
    pub name: &'static str,
    /// How it may be asked for.
    pub ask: Ask,
}

/// A declared field of `T`.
pub struct Field<T> {
    pub(crate) info: FieldInfo,
    pub(crate) value: fn(&T) -> IndexValue,
}

impl<T> Field<T> {
    pub(crate) fn new(name: &'static str, ask: Ask, value: fn(&T) -> IndexValue) -> Self {
        Self { info: FieldInfo { name, ask }, value }
    }
}
