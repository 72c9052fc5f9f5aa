//! A circuit breaker for one upstream.
//!
//! ```text
//!            failures in a row, or too many of a window
//!   closed ────────────────────────────────────────────▶ open ◀───────────┐
//!      ▲                                                   │ time is over, │ it failed: longer
//!      │ it went well                                      ▼ or it is well │
//!      └──────────────────────────────────────────── half-open: one request
//! ```
//!
//! Our own, because of what it is told and asked: crates wrap a call and keep their state to themselves, while here the head
//! and the body of an answer end separately, a health check may end the waiting, the state is shown, and a request that its
//! client gave up says nothing about the upstream.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::options::BreakerOptions;

pub(crate) struct Breaker {
    options: BreakerOptions,
    state: Mutex<State>,
}

enum State {
    Closed { in_a_row: u32, calls: u32, failures: u32, since: Instant },
    Open { until: Instant, times: u32 },
    HalfOpen { probing: bool, times: u32 },
}

/// Where it stands, for people and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stands {
    Closed,
    HalfOpen,
    Open,
}

impl Stands {
    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::HalfOpen => "HALF_OPEN",
            Self::Open => "OPEN",
        }
    }
}

/// What a request may do: a probe is the only one of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Usual,
    Probe,
}

impl Breaker {
    pub fn new(options: BreakerOptions, now: Instant) -> Self {
        Self { options, state: Mutex::new(closed(now)) }
    }

    /// Whether a request would be let through now.
    pub fn allows(&self, now: Instant) -> bool {
        match &*self.lock() {
            State::Closed { .. } => true,
            State::Open { until, .. } => *until <= now,
            State::HalfOpen { probing, .. } => !probing,
        }
    }

    /// Lets a request through, or not. Whoever is let through says how it went, or that it says nothing.
    pub fn enter(&self, now: Instant) -> Option<Entry> {
        let mut state = self.lock();
        match &mut *state {
            State::Closed { .. } => Some(Entry::Usual),
            State::Open { until, times } if *until <= now => {
                *state = State::HalfOpen { probing: true, times: *times };
                Some(Entry::Probe)
            }
            State::HalfOpen { probing: probing @ false, .. } => {
                *probing = true;
                Some(Entry::Probe)
            }
            State::Open { .. } | State::HalfOpen { .. } => None,
        }
    }

    /// It went well.
    pub fn went_well(&self, entry: Entry, now: Instant) {
        let mut state = self.lock();
        match (&mut *state, entry) {
            (State::Closed { .. }, _) => self.count(&mut state, false, now),
            (State::HalfOpen { .. }, Entry::Probe) => *state = closed(now),
            // What began before it opened comes too late to say anything.
            _ => {}
        }
    }

    /// It failed.
    pub fn failed(&self, entry: Entry, now: Instant) {
        let mut state = self.lock();
        match (&mut *state, entry) {
            (State::Closed { .. }, _) => self.count(&mut state, true, now),
            (State::HalfOpen { times, .. }, Entry::Probe) => *state = self.open(*times, now),
            _ => {}
        }
    }

    /// It ended without saying anything about the upstream.
    pub fn said_nothing(&self, entry: Entry) {
        if let (State::HalfOpen { probing, .. }, Entry::Probe) = (&mut *self.lock(), entry) {
            *probing = false;
        }
    }

    /// The upstream says that it is well: the next request finds out.
    pub fn is_well(&self) {
        let mut state = self.lock();
        if let State::Open { times, .. } = *state {
            *state = State::HalfOpen { probing: false, times };
        }
    }

    pub fn stands(&self) -> Stands {
        match &*self.lock() {
            State::Closed { .. } => Stands::Closed,
            State::HalfOpen { .. } => Stands::HalfOpen,
            State::Open { .. } => Stands::Open,
        }
    }

    /// When it lets something through again; at once if it does.
    pub fn opens_in(&self, now: Instant) -> Duration {
        match &*self.lock() {
            State::Open { until, .. } => until.saturating_duration_since(now),
            State::Closed { .. } | State::HalfOpen { .. } => Duration::ZERO,
        }
    }

    fn count(&self, state: &mut State, failure: bool, now: Instant) {
        let State::Closed { in_a_row, calls, failures, since } = state else { return };
        if now.saturating_duration_since(*since) > self.options.window {
            (*calls, *failures, *since) = (0, 0, now);
        }
        *calls = calls.saturating_add(1);
        *failures = failures.saturating_add(u32::from(failure));
        *in_a_row = if failure { in_a_row.saturating_add(1) } else { 0 };
        let share = u64::from(*failures) * 100 >= u64::from(self.options.percent) * u64::from(*calls);
        let too_many = *calls >= self.options.least && share;
        if failure && (*in_a_row >= self.options.consecutive || too_many) {
            *state = self.open(0, now);
        }
    }

    fn open(&self, times: u32, now: Instant) -> State {
        let wait = self.options.open.saturating_mul(1 << times.min(10)).min(self.options.longest_open);
        State::Open { until: now + wait, times: times.saturating_add(1) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whatever panicked, the state is whole: it is changed in one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed(now: Instant) -> State {
    State::Closed { in_a_row: 0, calls: 0, failures: 0, since: now }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> (Breaker, Instant) {
        let now = Instant::now();
        let options = BreakerOptions { consecutive: 3, least: 10, open: SECOND, longest_open: 4 * SECOND, ..Default::default() };
        (Breaker::new(options, now), now)
    }

    fn fail(breaker: &Breaker, times: u32, now: Instant) {
        for _ in 0..times {
            let entry = breaker.enter(now).unwrap();
            breaker.failed(entry, now);
        }
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        let (breaker, now) = breaker();
        fail(&breaker, 2, now);
        breaker.went_well(Entry::Usual, now);
        fail(&breaker, 2, now);
        assert_eq!(breaker.stands(), Stands::Closed);
        fail(&breaker, 1, now);
        assert_eq!((breaker.stands(), breaker.enter(now), breaker.opens_in(now)), (Stands::Open, None, SECOND));
    }

    #[test]
    fn every_second_one_failing_opens_it_once_there_were_enough() {
        let (breaker, now) = breaker();
        for _ in 0..4 {
            breaker.went_well(Entry::Usual, now);
            breaker.failed(Entry::Usual, now);
        }
        assert_eq!(breaker.stands(), Stands::Closed);
        breaker.went_well(Entry::Usual, now);
        breaker.failed(Entry::Usual, now);
        assert_eq!(breaker.stands(), Stands::Open);
    }

    #[test]
    fn old_failures_are_forgotten() {
        let (breaker, now) = breaker();
        for _ in 0..4 {
            breaker.failed(Entry::Usual, now);
            breaker.went_well(Entry::Usual, now);
        }
        let later = now + 11 * SECOND;
        breaker.went_well(Entry::Usual, later);
        breaker.failed(Entry::Usual, later);
        assert_eq!(breaker.stands(), Stands::Closed);
    }

    #[test]
    fn one_probe_at_a_time_and_longer_waits_each_time() {
        let (breaker, now) = breaker();
        fail(&breaker, 3, now);
        let mut now = now;
        for wait in [1, 2, 4, 4] {
            assert_eq!(breaker.opens_in(now), wait * SECOND);
            now += wait * SECOND;
            assert_eq!((breaker.enter(now), breaker.enter(now)), (Some(Entry::Probe), None));
            breaker.failed(Entry::Probe, now);
        }
        now += 4 * SECOND;
        let probe = breaker.enter(now).unwrap();
        breaker.said_nothing(probe);
        let probe = breaker.enter(now).unwrap();
        breaker.went_well(probe, now);
        assert_eq!((breaker.stands(), breaker.enter(now)), (Stands::Closed, Some(Entry::Usual)));
    }

    #[test]
    fn a_good_health_check_ends_the_waiting_and_a_request_decides() {
        let (breaker, now) = breaker();
        fail(&breaker, 3, now);
        breaker.is_well();
        assert_eq!((breaker.stands(), breaker.allows(now)), (Stands::HalfOpen, true));
        // What was under way when it opened says nothing about now.
        breaker.went_well(Entry::Usual, now);
        assert_eq!(breaker.stands(), Stands::HalfOpen);
    }
}
