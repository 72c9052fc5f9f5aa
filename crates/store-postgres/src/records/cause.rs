//! The cause column: what timers and effects were set and asked for by, as JSON.

use kernel::event::Cause;
use tokio_postgres::Row;

use crate::error::DatabaseError;
use crate::value::get;

/// A cause as it is stored.
pub(crate) fn text_of(cause: &Cause) -> Result<String, DatabaseError> {
    serde_json::to_string(cause).map_err(|error| DatabaseError::Rejected(error.to_string()))
}

/// A stored cause.
pub(crate) fn cause_of(row: &Row, column: usize) -> Result<Cause, DatabaseError> {
    serde_json::from_str(get(row, column)?).map_err(|error| DatabaseError::Corrupt(error.to_string()))
}
