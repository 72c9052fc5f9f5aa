//! Rows: keyed, idempotent writes with their position, for views in stores that know no transaction over everything.

/// A place for the rows of one view.
pub trait Rows: Send {
    /// The position up to which a source's events have taken effect.
    fn position(&mut self, source: &str) -> Result<u64, RowsError>;
    /// Rows by key, in the order asked for.
    fn load(&mut self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, RowsError>;
    /// Writes rows (`None` removes) and then the position. Written again with the same position it changes nothing;
    /// a store without transactions writes the position last, and rows are pure functions of the events.
    fn write(&mut self, source: &str, position: u64, rows: &[(String, Option<Vec<u8>>)]) -> Result<(), RowsError>;
}

/// The store did not do it; it may be tried again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("rows are not written: {0}")]
pub struct RowsError(pub String);
