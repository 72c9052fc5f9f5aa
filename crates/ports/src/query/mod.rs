//! Queries: what a page of rows is asked by, what comes back, and how a store reaches the rows.

pub mod fields;
pub mod log;
pub mod planner;

use kernel::field::IndexValue;

use super::row::StoredRow;

pub use fields::TableFields;
pub use log::LogQuery;
pub use planner::{AccessPath, Estimate, Planner};

/// The largest total that is counted row by row; beyond it a total is inexact.
pub const COUNT_LIMIT: u64 = 10_000;

/// The largest offset of a page; beyond it only a cursor pages on.
pub const OFFSET_LIMIT: u64 = 10_000;

/// A condition on a field, by the field's position in the table's declaration.
pub type Predicate = (usize, Condition);

/// Which rows, in which order, from where.
#[derive(Debug, Clone)]
pub struct Query {
    /// All of them must hold.
    pub conditions: Vec<Predicate>,
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
    /// Equal to the value.
    Is(IndexValue),
    /// Not before the first, before the second; milliseconds since 1970.
    Within(Option<i64>, Option<i64>),
}

/// The order of rows; ties are broken by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// A declared field's position, `None` for the id.
    pub field: Option<usize>,
    /// Largest first.
    pub descending: bool,
}

/// Where a page starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// So many rows are skipped.
    Offset(u64),
    /// At the row after this one.
    After(Cursor),
}

/// A row's position in an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Its sort value; `Null` where that is the id.
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
    /// False if there are more rows than [`COUNT_LIMIT`].
    pub exact: bool,
}

impl Query {
    /// The first rows by id.
    pub fn first(limit: u32) -> Self {
        Self { conditions: Vec::new(), sort: Sort { field: None, descending: false }, start: Start::Offset(0), limit }
    }

    /// How many rows a store fetches: one more than the page has, which tells whether another page follows.
    pub fn fetch_limit(&self) -> usize {
        self.page_rows().saturating_add(1)
    }

    /// Cuts fetched rows down to the page; true if another page follows.
    pub fn cut<T>(&self, fetched: &mut Vec<T>) -> bool {
        let more = fetched.len() > self.page_rows();
        fetched.truncate(self.page_rows());
        more
    }

    fn page_rows(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }
}

impl Start {
    /// How many rows are skipped.
    pub fn offset(&self) -> u64 {
        match self {
            Self::Offset(rows) => *rows,
            Self::After(_) => 0,
        }
    }

    /// The row that the page follows.
    pub fn cursor(&self) -> Option<&Cursor> {
        match self {
            Self::Offset(_) => None,
            Self::After(cursor) => Some(cursor),
        }
    }
}

impl Condition {
    /// Whether a field with this value meets it; a period is met by numbers only.
    pub fn is_met_by(&self, value: &IndexValue) -> bool {
        match (self, value) {
            (Self::Is(wanted), value) => value == wanted,
            (Self::Within(None, None), _) => true,
            (Self::Within(from, until), IndexValue::Int(at)) => {
                from.is_none_or(|from| *at >= from) && until.is_none_or(|until| *at < until)
            }
            (Self::Within(..), _) => false,
        }
    }
}

impl Total {
    /// A total that a counter has.
    pub fn exact(rows: u64) -> Self {
        Self { rows, exact: true }
    }

    /// A total that was counted row by row, up to [`COUNT_LIMIT`] + 1.
    pub fn counted(rows: u64) -> Self {
        Self { rows: rows.min(COUNT_LIMIT), exact: rows <= COUNT_LIMIT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_beyond_the_page_only_tells_that_another_page_follows() {
        let query = Query::first(2);
        assert_eq!(query.fetch_limit(), 3);
        for (fetched, page, more) in
            [(vec![1], vec![1], false), (vec![1, 2], vec![1, 2], false), (vec![1, 2, 3], vec![1, 2], true)]
        {
            let mut rows = fetched;
            assert_eq!((query.cut(&mut rows), rows), (more, page));
        }
    }

    #[test]
    fn a_total_beyond_the_count_limit_is_inexact() {
        assert_eq!(Total::counted(COUNT_LIMIT), Total { rows: COUNT_LIMIT, exact: true });
        assert_eq!(Total::counted(COUNT_LIMIT + 1), Total { rows: COUNT_LIMIT, exact: false });
    }
}
