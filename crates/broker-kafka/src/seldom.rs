//! Something that may happen a thousand times a second is told once a second, with how often.

use std::time::{Duration, Instant};

/// Tells when it is time to tell.
#[derive(Debug, Default)]
pub struct Seldom {
    last: Option<Instant>,
    held: u64,
}

impl Seldom {
    /// How often it has happened since it was told last, if it is to be told now.
    pub fn now(&mut self) -> Option<u64> {
        self.held += 1;
        if self.last.is_some_and(|last| last.elapsed() < Duration::from_secs(1)) {
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.held))
    }
}
