//! The system clock, and generated ids.

use kernel::Timestamp;
use ports::{Clock, Ids};

/// The clock of the operating system, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // The log stores milliseconds; a response must not show more than what is stored.
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
