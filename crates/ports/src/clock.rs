//! Clock and ids: the only sources of time and of uniqueness.

use kernel::Timestamp;

/// A clock.
pub trait Clock: Send + Sync {
    /// The current time, UTC.
    fn now(&self) -> Timestamp;
}

/// A generator of unique keys.
pub trait Ids: Send + Sync {
    /// A new key; keys sort by the time they were generated.
    fn fresh(&self) -> String;
}
