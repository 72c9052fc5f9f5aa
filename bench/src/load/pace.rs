//! When the next request is due: at once, or by a fixed schedule that does not wait for answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::numbers::{to_f64, to_u64};

/// The shortest sleep of the schedule: what it is late by is in every latency, and waking costs.
const TICK: Duration = Duration::from_micros(100);

/// The end is not slept through, whatever the rate.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);

/// The pace of one load.
pub enum Pace {
    /// Each connection sends again as soon as it is answered.
    Closed {
        /// When it ends.
        until: Instant,
    },
    /// So many a second, whatever comes back.
    Open(Arc<Schedule>),
}

/// Requests by the clock.
pub struct Schedule {
    start: Instant,
    rate: f64,
    due: Semaphore,
    taken: AtomicU64,
    issued: AtomicU64,
}

impl Pace {
    /// At once, for so long.
    pub fn closed(lasts: Duration) -> Self {
        Self::Closed { until: Instant::now() + lasts }
    }

    /// By the clock, for so long. A thread keeps it: a timer of the runtime would be up to a millisecond late.
    pub fn open(rate: f64, lasts: Duration) -> std::io::Result<Self> {
        let (due, taken, issued) = (Semaphore::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let schedule = Arc::new(Schedule { start: Instant::now(), rate, due, taken, issued });
        let theirs = schedule.clone();
        std::thread::Builder::new().name("schedule".to_owned()).spawn(move || theirs.keep(lasts))?;
        Ok(Self::Open(schedule))
    }

    /// Waits until a request is due and says since when it is; none, when the load is over.
    pub async fn next(&self) -> Option<Instant> {
        match self {
            Self::Closed { until } => Some(Instant::now()).filter(|now| now < until),
            Self::Open(schedule) => {
                schedule.due.acquire().await.ok()?.forget();
                Some(schedule.at(schedule.taken.fetch_add(1, Ordering::Relaxed)))
            }
        }
    }

    /// Requests that were due and could not be sent, because every connection was still waiting.
    pub fn unsent(&self) -> u64 {
        match self {
            Self::Closed { .. } => 0,
            Self::Open(schedule) => schedule.issued.load(Ordering::Relaxed) - schedule.taken.load(Ordering::Relaxed),
        }
    }
}

impl Schedule {
    /// When the request with this number, from 0, is due: the first one interval after the start.
    fn at(&self, number: u64) -> Instant {
        self.start + Duration::from_secs_f64(to_f64(number + 1) / self.rate)
    }

    fn keep(&self, lasts: Duration) {
        let mut issued = 0;
        loop {
            let passed = self.start.elapsed().min(lasts);
            let reached = to_u64(passed.as_secs_f64() * self.rate);
            if let Some(more) = usize::try_from(reached.saturating_sub(issued)).ok().filter(|more| *more > 0) {
                issued = reached;
                self.issued.store(issued, Ordering::Relaxed);
                self.due.add_permits(more);
            }
            if passed >= lasts {
                return self.due.close();
            }
            // Rather a little late than a little early, and then a whole tick late.
            let wait = self.at(issued).saturating_duration_since(Instant::now()) + Duration::from_micros(1);
            std::thread::sleep(wait.clamp(TICK, LONGEST_SLEEP));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_schedule_issues_as_many_as_its_rate_says() {
        let pace = Pace::open(1_000.0, Duration::from_millis(100)).unwrap();
        let (mut taken, mut early): (u64, u64) = (0, 0);
        while let Some(due) = pace.next().await {
            taken += 1;
            early += u64::from(due > Instant::now());
        }
        assert_eq!(early, 0, "nothing is issued before it is due");
        assert_eq!(taken + pace.unsent(), 100);
    }
}
