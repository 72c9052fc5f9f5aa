//! A clock that stands until it is moved, and keys that count.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use kernel::Timestamp;

use ports::{Clock, Ids};

/// A clock that a test moves. Clones tell the same time.
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    ms: Arc<AtomicI64>,
}

impl ManualClock {
    /// A clock that stands at an instant; parts of a millisecond are dropped, as the log would drop them.
    pub fn at(now: Timestamp) -> Self {
        Self::at_ms(now.as_millisecond())
    }

    /// A clock that stands so many milliseconds after 1970.
    pub fn at_ms(ms: i64) -> Self {
        Self { ms: Arc::new(AtomicI64::new(ms)) }
    }

    /// Moves it to an instant, also back.
    pub fn set(&self, now: Timestamp) {
        self.set_ms(now.as_millisecond());
    }

    /// Moves it to so many milliseconds after 1970, also back.
    pub fn set_ms(&self, ms: i64) {
        self.ms.store(ms, Ordering::SeqCst);
    }

    /// Moves it by so many milliseconds and tells where it stands then.
    pub fn advance_ms(&self, by: i64) -> i64 {
        self.ms.fetch_add(by, Ordering::SeqCst).wrapping_add(by)
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.ms.load(Ordering::SeqCst)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now_ms()).unwrap_or_default()
    }
}

/// Keys `key-1`, `key-2` … Clones count on together.
#[derive(Debug, Clone, Default)]
pub struct Counting {
    given: Arc<AtomicU64>,
}

impl Ids for Counting {
    fn fresh(&self) -> String {
        format!("key-{}", self.given.fetch_add(1, Ordering::SeqCst) + 1)
    }
}
