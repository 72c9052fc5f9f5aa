//! How long to wait before a failed operation is tried again: one schedule for every loop that retries.

use std::time::Duration;

/// Exponential backoff: the delay doubles with each consecutive failure, up to a limit.
///
/// A value rather than a loop around a closure, because the callers wait in different ways: a thread sleeps or waits on a
/// channel, a task awaits a timer, and a circuit breaker or a pool only keeps the time before which it does not try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// `first` is the delay after one failure, `longest` the limit.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The delay after so many consecutive failures; none after none.
    pub fn delay(self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }

    /// The delays after the first failure, the second, and so on; it never ends.
    pub fn delays(self) -> impl Iterator<Item = Duration> {
        (1_u32..=u32::MAX).chain(std::iter::repeat(u32::MAX)).map(move |failures| self.delay(failures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

    #[test]
    fn the_delay_doubles_up_to_its_limit() {
        let delays: Vec<_> = BACKOFF.delays().map(|delay| delay.as_millis()).take(8).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }

    #[test]
    fn there_is_no_delay_before_the_first_failure_and_no_overflow_after_many() {
        assert_eq!(BACKOFF.delay(0), Duration::ZERO);
        assert_eq!([33, u32::MAX].map(|failures| BACKOFF.delay(failures)), [Duration::from_secs(5); 2]);
    }
}
