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

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // The log's times have milliseconds; an answer must not show more than what is stored.
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}

/// UUID version 7.
#[derive(Debug, Clone, Copy, Default)]
pub struct Uuids;

impl Ids for Uuids {
    fn fresh(&self) -> String {
        uuid::Uuid::now_v7().to_string()
    }
}
