//! What came of a load.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::failed::{Failed, failed};
use crate::numbers::to_f64;

/// Latencies up to two minutes, in microseconds, right to three digits.
const LONGEST_US: u64 = 120_000_000;

/// Counts and latencies of one load.
pub struct Tally {
    /// Answered with 2xx.
    pub accepted: u64,
    /// Answered with 429 or 503.
    pub refused: u64,
    /// Answered with anything else.
    pub other: u64,
    /// Connections that ended before the answer.
    pub broken: u64,
    /// Due, and never sent.
    pub unsent: u64,
    /// How long it took.
    pub took: Duration,
    /// From when it was due to its 2xx.
    pub due: Histogram<u64>,
    /// From when it was sent to its 2xx.
    pub sent: Histogram<u64>,
    /// From when it was sent to its refusal.
    pub turned_away: Histogram<u64>,
}

/// A histogram of microseconds.
pub fn histogram() -> Result<Histogram<u64>, Failed> {
    Histogram::new_with_bounds(1, LONGEST_US, 3).map_err(failed)
}

impl Tally {
    /// Nothing yet.
    pub fn new() -> Result<Self, Failed> {
        Ok(Self {
            accepted: 0,
            refused: 0,
            other: 0,
            broken: 0,
            unsent: 0,
            took: Duration::ZERO,
            due: histogram()?,
            sent: histogram()?,
            turned_away: histogram()?,
        })
    }

    /// Counts an answer.
    pub fn record(&mut self, status: u16, due: Instant, sent: Instant) {
        let (since_due, since_sent) = (micros(due.elapsed()), micros(sent.elapsed()));
        match status {
            200..300 => {
                self.accepted += 1;
                self.due.saturating_record(since_due);
                self.sent.saturating_record(since_sent);
            }
            429 | 503 => {
                self.refused += 1;
                self.turned_away.saturating_record(since_sent);
            }
            _ => self.other += 1,
        }
    }

    /// Accepted ones a second.
    pub fn per_second(&self) -> f64 {
        to_f64(self.accepted) / self.took.as_secs_f64().max(1e-9)
    }

    /// Everything that was due was answered with 2xx in time.
    pub fn is_clean(&self) -> bool {
        let troubled = self.refused + self.other + self.broken;
        troubled == 0 && self.unsent * 100 <= self.accepted
    }
}

/// Whole microseconds.
pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
