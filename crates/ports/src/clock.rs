//! Clock and ids: the only two places from which time and uniqueness come.

use kernel::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;
}

/// Makes keys that nobody else makes.
pub trait Ids: Send + Sync {
    /// A new key, sortable by the time of its making.
    fn fresh(&self) -> String;
}
