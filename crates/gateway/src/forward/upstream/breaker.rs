//! A circuit breaker for one upstream.
//!
//! ```text
//!       consecutive failures, or too many of a window
//!   closed ────────────────────────────────────────────▶ open ◀───────────┐
//!      ▲                                                   │ time is over, │ it failed: longer
//!      │ it succeeded                                      ▼ or it is up   │
//!      └──────────────────────────────────────────── half-open: one request
//! ```
//!
//! Not a crate, since those wrap one call and keep their state private: here the head and the body of a response end
//! separately, a health check may end the open state, the state is reported, and a cancelled request is no result.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::forward::options::BreakerOptions;
use ports::Backoff;

pub(crate) struct Breaker {
    options: BreakerOptions,
    state: Mutex<State>,
}

enum State {
    Closed { consecutive: u32, calls: u32, failures: u32, since: Instant },
    Open { until: Instant, times: u32 },
    HalfOpen { probing: bool, times: u32 },
}

/// Its state, for operators and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakerState {
    Closed,
    HalfOpen,
    Open,
}

impl BreakerState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::HalfOpen => "HALF_OPEN",
            Self::Open => "OPEN",
        }
    }
}

/// How an attempt was admitted; of probes there is one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Normal,
    Probe,
}

impl Breaker {
    pub fn new(options: BreakerOptions, now: Instant) -> Self {
        Self { options, state: Mutex::new(closed(now)) }
    }

    /// Whether an attempt would be admitted now.
    pub fn admits(&self, now: Instant) -> bool {
        match &*self.lock() {
            State::Closed { .. } => true,
            State::Open { until, .. } => *until <= now,
            State::HalfOpen { probing, .. } => !probing,
        }
    }

    /// Admits an attempt, or not. The caller records the result of an admitted one, or that it was cancelled.
    pub fn try_admit(&self, now: Instant) -> Option<Admission> {
        let mut state = self.lock();
        match &mut *state {
            State::Closed { .. } => Some(Admission::Normal),
            State::Open { until, times } if *until <= now => {
                *state = State::HalfOpen { probing: true, times: *times };
                Some(Admission::Probe)
            }
            State::HalfOpen { probing: probing @ false, .. } => {
                *probing = true;
                Some(Admission::Probe)
            }
            State::Open { .. } | State::HalfOpen { .. } => None,
        }
    }

    /// The attempt succeeded.
    pub fn record_success(&self, entry: Admission, now: Instant) {
        let mut state = self.lock();
        match (&mut *state, entry) {
            (State::Closed { .. }, _) => self.count(&mut state, false, now),
            (State::HalfOpen { .. }, Admission::Probe) => *state = closed(now),
            // An attempt that began before the breaker opened says nothing about the present.
            _ => {}
        }
    }

    /// The attempt failed.
    pub fn record_failure(&self, entry: Admission, now: Instant) {
        let mut state = self.lock();
        match (&mut *state, entry) {
            (State::Closed { .. }, _) => self.count(&mut state, true, now),
            (State::HalfOpen { times, .. }, Admission::Probe) => *state = self.open(*times, now),
            _ => {}
        }
    }

    /// The attempt ended without a result.
    pub fn record_cancelled(&self, entry: Admission) {
        if let (State::HalfOpen { probing, .. }, Admission::Probe) = (&mut *self.lock(), entry) {
            *probing = false;
        }
    }

    /// The upstream passed a health check: the next attempt is the probe.
    pub fn allow_probe(&self) {
        let mut state = self.lock();
        if let State::Open { times, .. } = *state {
            *state = State::HalfOpen { probing: false, times };
        }
    }

    pub fn state(&self) -> BreakerState {
        match &*self.lock() {
            State::Closed { .. } => BreakerState::Closed,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
            State::Open { .. } => BreakerState::Open,
        }
    }

    /// How long it admits nothing; zero if it does.
    pub fn retry_in(&self, now: Instant) -> Duration {
        match &*self.lock() {
            State::Open { until, .. } => until.saturating_duration_since(now),
            State::Closed { .. } | State::HalfOpen { .. } => Duration::ZERO,
        }
    }

    fn count(&self, state: &mut State, failure: bool, now: Instant) {
        let State::Closed { consecutive, calls, failures, since } = state else { return };
        if now.saturating_duration_since(*since) > self.options.window {
            (*calls, *failures, *since) = (0, 0, now);
        }
        *calls = calls.saturating_add(1);
        *failures = failures.saturating_add(u32::from(failure));
        *consecutive = if failure { consecutive.saturating_add(1) } else { 0 };
        let share = u64::from(*failures) * 100 >= u64::from(self.options.percent) * u64::from(*calls);
        let too_many = *calls >= self.options.min_requests && share;
        if failure && (*consecutive >= self.options.consecutive || too_many) {
            *state = self.open(0, now);
        }
    }

    fn open(&self, times: u32, now: Instant) -> State {
        let times = times.saturating_add(1);
        let backoff = Backoff::new(self.options.open, self.options.longest_open);
        State::Open { until: now + backoff.delay(times), times }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot have left the state half-changed: it is assigned at once.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed(now: Instant) -> State {
    State::Closed { consecutive: 0, calls: 0, failures: 0, since: now }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> (Breaker, Instant) {
        let now = Instant::now();
        let options =
            BreakerOptions { consecutive: 3, min_requests: 10, open: SECOND, longest_open: 4 * SECOND, ..Default::default() };
        (Breaker::new(options, now), now)
    }

    fn fail(breaker: &Breaker, times: u32, now: Instant) {
        for _ in 0..times {
            let entry = breaker.try_admit(now).unwrap();
            breaker.record_failure(entry, now);
        }
    }

    #[test]
    fn consecutive_failures_open_it_and_a_success_between_them_prevents_it() {
        let (breaker, now) = breaker();
        fail(&breaker, 2, now);
        breaker.record_success(Admission::Normal, now);
        fail(&breaker, 2, now);
        assert_eq!(breaker.state(), BreakerState::Closed);
        fail(&breaker, 1, now);
        assert_eq!((breaker.state(), breaker.try_admit(now), breaker.retry_in(now)), (BreakerState::Open, None, SECOND));
    }

    #[test]
    fn a_failure_rate_of_half_opens_it_after_the_minimum_of_requests() {
        let (breaker, now) = breaker();
        for _ in 0..4 {
            breaker.record_success(Admission::Normal, now);
            breaker.record_failure(Admission::Normal, now);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.record_success(Admission::Normal, now);
        breaker.record_failure(Admission::Normal, now);
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn old_failures_are_forgotten() {
        let (breaker, now) = breaker();
        for _ in 0..4 {
            breaker.record_failure(Admission::Normal, now);
            breaker.record_success(Admission::Normal, now);
        }
        let later = now + 11 * SECOND;
        breaker.record_success(Admission::Normal, later);
        breaker.record_failure(Admission::Normal, later);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn there_is_one_probe_at_a_time_and_the_open_time_doubles() {
        let (breaker, now) = breaker();
        fail(&breaker, 3, now);
        let mut now = now;
        for wait in [1, 2, 4, 4] {
            assert_eq!(breaker.retry_in(now), wait * SECOND);
            now += wait * SECOND;
            assert_eq!((breaker.try_admit(now), breaker.try_admit(now)), (Some(Admission::Probe), None));
            breaker.record_failure(Admission::Probe, now);
        }
        now += 4 * SECOND;
        let probe = breaker.try_admit(now).unwrap();
        breaker.record_cancelled(probe);
        let probe = breaker.try_admit(now).unwrap();
        breaker.record_success(probe, now);
        assert_eq!((breaker.state(), breaker.try_admit(now)), (BreakerState::Closed, Some(Admission::Normal)));
    }

    #[test]
    fn a_health_check_ends_the_open_state_and_a_probe_decides() {
        let (breaker, now) = breaker();
        fail(&breaker, 3, now);
        breaker.allow_probe();
        assert_eq!((breaker.state(), breaker.admits(now)), (BreakerState::HalfOpen, true));
        // An attempt from before it opened says nothing about the present.
        breaker.record_success(Admission::Normal, now);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
    }
}
