//! Runs: one cursor over many ledger rows, for bulk work that is neither a million aggregates nor one big one.
//!
//! An aggregate that works through a ledger keeps a [`Cursor`] in its state. One command claims the next rows within a
//! window, one settles a batch of answers; pause, resume and cancel are exact at a row's boundary. Positions count from 0.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a run stands. All counts are rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cursor {
    /// Rows of the ledger; frozen when the run starts.
    pub total: u64,
    /// The first row that was never claimed.
    pub next: u64,
    /// Rows that were claimed and given back unsubmitted; they are claimed again, lowest first.
    pub given_back: Vec<u64>,
    /// Claimed and not settled.
    pub in_flight: u64,
    /// The bound of `in_flight`.
    pub window: u64,
    /// What it is doing.
    pub phase: Phase,
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// It claims rows.
    Running,
    /// It claims nothing more; what is in flight settles first.
    Pausing,
    /// Nothing is in flight, nothing is claimed.
    Paused,
    /// It will claim nothing any more; what is in flight settles first.
    Stopping,
    /// Every row is settled, or it was stopped and nothing is in flight.
    Ended,
}

impl Cursor {
    /// A run over `total` rows that has at most `window` in flight.
    pub fn over(total: u64, window: u64) -> Self {
        let phase = if total == 0 { Phase::Ended } else { Phase::Running };
        Self { total, next: 0, given_back: Vec::new(), in_flight: 0, window: window.max(1), phase }
    }

    /// Claims the next rows, as many as the window has room for and at most `most`.
    pub fn claim(&mut self, most: u64) -> Vec<u64> {
        if self.phase != Phase::Running {
            return Vec::new();
        }
        let room = self.window.saturating_sub(self.in_flight).min(most);
        let mut rows = Vec::new();
        while (rows.len() as u64) < room {
            if !self.given_back.is_empty() {
                rows.push(self.given_back.remove(0));
            } else if self.next < self.total {
                rows.push(self.next);
                self.next += 1;
            } else {
                break;
            }
        }
        self.in_flight += rows.len() as u64;
        rows
    }

    /// So many claimed rows have their final answer.
    pub fn settle(&mut self, rows: u64) {
        self.in_flight = self.in_flight.saturating_sub(rows);
        self.come_to_rest();
    }

    /// A claimed row was not submitted after all.
    pub fn give_back(&mut self, row: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let place = self.given_back.partition_point(|other| *other < row);
        self.given_back.insert(place, row);
        self.come_to_rest();
    }

    /// Claims nothing more; paused only once nothing is in flight.
    pub fn pause(&mut self) {
        if self.phase == Phase::Running {
            self.phase = Phase::Pausing;
            self.come_to_rest();
        }
    }

    /// Goes on where it stood.
    pub fn resume(&mut self) {
        if matches!(self.phase, Phase::Pausing | Phase::Paused) {
            self.phase = Phase::Running;
        }
    }

    /// Ends for good once nothing is in flight.
    pub fn stop(&mut self) {
        if self.phase != Phase::Ended {
            self.phase = Phase::Stopping;
            self.come_to_rest();
        }
    }

    fn come_to_rest(&mut self) {
        if self.in_flight > 0 {
            return;
        }
        self.phase = match self.phase {
            Phase::Pausing => Phase::Paused,
            Phase::Stopping => Phase::Ended,
            Phase::Running if self.next == self.total && self.given_back.is_empty() => Phase::Ended,
            phase => phase,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_claims_each_row_once_and_in_order() {
        let mut run = Cursor::over(5, 2);
        let mut seen = Vec::new();
        while run.phase == Phase::Running {
            let rows = run.claim(10);
            assert!(run.in_flight <= run.window);
            run.settle(rows.len() as u64);
            seen.extend(rows);
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        assert_eq!(run.phase, Phase::Ended);
    }

    #[test]
    fn a_run_is_paused_only_when_what_was_submitted_has_settled() {
        let mut run = Cursor::over(10, 4);
        assert_eq!(run.claim(3), [0, 1, 2]);
        run.pause();
        assert_eq!(run.phase, Phase::Pausing);
        assert!(run.claim(1).is_empty());
        run.give_back(2);
        run.settle(2);
        assert_eq!(run.phase, Phase::Paused);
        run.resume();
        assert_eq!(run.claim(2), [2, 3], "what was given back comes first, nothing twice");
    }

    #[test]
    fn a_stopped_run_ends_without_claiming_again() {
        let mut run = Cursor::over(10, 4);
        run.claim(1);
        run.stop();
        assert_eq!(run.phase, Phase::Stopping);
        run.settle(1);
        assert_eq!(run.phase, Phase::Ended);
        run.resume();
        assert!(run.claim(1).is_empty());
    }
}
