//! Randomness for intervals, so that many gateways do not act in step.

use std::time::Duration;

use uuid::Uuid;

/// An interval, longer or shorter by up to a fifth.
pub(super) fn interval(interval: Duration) -> Duration {
    interval.mul_f64(0.8 + 0.4 * fraction())
}

/// A delay between half of this one and all of it.
pub(super) fn delay(delay: Duration) -> Duration {
    delay.mul_f64(0.5 + 0.5 * fraction())
}

/// From 0 to 1, from the last bits of a UUID, which are random in version 7.
#[allow(clippy::cast_possible_truncation)] // the last bits are wanted
fn fraction() -> f64 {
    f64::from(Uuid::now_v7().as_u64_pair().1 as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_stay_within_their_bounds_and_vary() {
        let fractions: Vec<f64> = (0..1000).map(|_| fraction()).collect();
        assert!(fractions.iter().all(|fraction| (0.0..=1.0).contains(fraction)));
        let mean = fractions.iter().sum::<f64>() / 1000.0;
        assert!((0.4..0.6).contains(&mean), "{mean}");
        assert!((Duration::from_millis(2400)..Duration::from_millis(3601)).contains(&interval(Duration::from_secs(3))));
    }
}
