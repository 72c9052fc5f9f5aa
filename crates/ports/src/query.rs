//! Paging: what a page of rows is asked by, and what comes back.

use kernel::field::IndexValue;

use super::store::StoredRow;

/// Combined filters are counted only so far.
pub const COUNT_LIMIT: u64 = 10_000;

/// Pages by number reach only so far; beyond it only a cursor does.
pub const OFFSET_LIMIT: u64 = 10_000;

/// Which rows, in which order, from where.
#[derive(Debug, Clone)]
pub struct Query {
    /// All of them must hold; fields by their place in the table's declaration.
    pub conditions: Vec<(usize, Condition)>,
    /// The order.
    pub sort: Sort,
    /// Where the page starts.
    pub start: Start,
    /// At most so many rows.
    pub limit: u32,
}

/// What a field must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Equal.
    Is(IndexValue),
    /// Not before the first, before the second; milliseconds since 1970.
    Within(Option<i64>, Option<i64>),
}

/// The order of rows; ties are broken by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// A declared field's place, `None` for the id.
    pub field: Option<usize>,
    /// Largest first.
    pub descending: bool,
}

/// Where a page starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// So many rows are passed over.
    Offset(u64),
    /// Behind this row.
    After(Cursor),
}

/// A row's place in an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The value it is sorted by; `Null` where that is the id.
    pub value: IndexValue,
    /// Its id.
    pub id: u64,
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The rows.
    pub rows: Vec<StoredRow>,
    /// Where the next page starts, if there is one.
    pub next: Option<Cursor>,
}

/// How many rows there are in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// The number, or [`COUNT_LIMIT`] where there are more.
    pub rows: u64,
    /// False where counting stopped.
    pub exact: bool,
}

impl Query {
    /// The first rows by id.
    pub fn first(limit: u32) -> Self {
        Self { conditions: Vec::new(), sort: Sort { field: None, descending: false }, start: Start::Offset(0), limit }
    }
}
