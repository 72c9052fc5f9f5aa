//! A clock that is set by hand, and keys in sequence.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use kernel::Timestamp;

use ports::{Clock, Ids};

/// A clock that a test sets. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    ms: Arc<AtomicI64>,
}

impl ManualClock {
    /// A clock at an instant, truncated to milliseconds as in the log.
    pub fn at(now: Timestamp) -> Self {
        Self::at_ms(now.as_millisecond())
    }

    /// A clock at so many milliseconds after 1970.
    pub fn at_ms(ms: i64) -> Self {
        Self { ms: Arc::new(AtomicI64::new(ms)) }
    }

    /// Sets it to an instant, also backwards.
    pub fn set(&self, now: Timestamp) {
        self.set_ms(now.as_millisecond());
    }

    /// Sets it to so many milliseconds after 1970, also backwards.
    pub fn set_ms(&self, ms: i64) {
        self.ms.store(ms, Ordering::SeqCst);
    }

    /// Advances it by so many milliseconds and returns the new time.
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

/// Keys `key-1`, `key-2` … Clones share the sequence.
#[derive(Debug, Clone, Default)]
pub struct Counting {
    given: Arc<AtomicU64>,
}

impl Ids for Counting {
    fn fresh(&self) -> String {
        format!("key-{}", self.given.fetch_add(1, Ordering::SeqCst) + 1)
    }
}
