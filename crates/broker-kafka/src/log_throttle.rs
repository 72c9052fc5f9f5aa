//! A message that may come a thousand times a second is logged once a second, with how often it came.

use std::time::{Duration, Instant};

/// Decides which occurrences are logged.
#[derive(Debug, Default)]
pub struct LogThrottle {
    last: Option<Instant>,
    suppressed: u64,
}

impl LogThrottle {
    /// Nothing has been logged yet.
    pub const fn new() -> Self {
        Self { last: None, suppressed: 0 }
    }

    /// Counts an occurrence. If it is to be logged: how many there were since the last that was logged.
    pub fn allow(&mut self) -> Option<u64> {
        self.suppressed += 1;
        if self.last.is_some_and(|last| last.elapsed() < Duration::from_secs(1)) {
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.suppressed))
    }
}
