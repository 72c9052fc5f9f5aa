//! Why an item or a batch cannot go on.

use ports::{CommitError, RowRef, StoreError, TableId};

/// Why an item cannot go on now.
pub enum Interrupt {
    /// These rows must be loaded first; none, where directory answers were missing and are cached by now.
    MissingRows(Vec<RowRef>),
    /// The ids of this table that this instance may assign are used up.
    OutOfIds(TableId),
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for Interrupt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Why a batch was aborted.
pub enum BatchError {
    /// The store could not be read.
    Store(StoreError),
    /// The commit was not applied.
    Commit(CommitError),
}

impl From<StoreError> for BatchError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<CommitError> for BatchError {
    fn from(error: CommitError) -> Self {
        Self::Commit(error)
    }
}

impl std::fmt::Display for BatchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Commit(error) => error.fmt(f),
        }
    }
}
