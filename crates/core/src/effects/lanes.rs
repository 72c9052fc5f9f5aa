//! Rates: effects of one lane leave no faster than configured.

use std::collections::BTreeMap;

/// Token buckets by port and lane. A lane without a rate has no bucket.
pub struct Lanes {
    buckets: BTreeMap<(String, String), Bucket>,
}

struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    filled_ms: i64,
}

impl Lanes {
    /// Port, lane, calls per second, burst. Full at the start.
    pub fn new(rates: &[(String, String, f64, f64)]) -> Self {
        let bucket = |per_second: f64, burst: f64| {
            let burst = burst.max(1.0);
            Bucket { per_second: per_second.max(0.001), burst, tokens: burst, filled_ms: i64::MIN }
        };
        let buckets = rates.iter().map(|(port, lane, rate, burst)| ((port.clone(), lane.clone()), bucket(*rate, *burst)));
        Self { buckets: buckets.collect() }
    }

    /// Takes a token, or says when there will be one, milliseconds since 1970.
    pub fn take(&mut self, port: &str, lane: Option<&str>, now_ms: i64) -> Result<(), i64> {
        let Some(bucket) = lane.and_then(|lane| self.buckets.get_mut(&(port.to_owned(), lane.to_owned()))) else {
            return Ok(());
        };
        bucket.fill(now_ms);
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        #[allow(clippy::cast_possible_truncation)] // at most burst / rate seconds
        let wait_ms = ((1.0 - bucket.tokens) / bucket.per_second * 1000.0).ceil() as i64;
        Err(now_ms.saturating_add(wait_ms.max(1)))
    }
}

impl Bucket {
    fn fill(&mut self, now_ms: i64) {
        if self.filled_ms == i64::MIN || now_ms < self.filled_ms {
            // The first call, or a clock that went back: nothing is gained, nothing is lost.
            self.filled_ms = now_ms;
            return;
        }
        #[allow(clippy::cast_precision_loss)] // milliseconds between two calls
        let seconds = (now_ms - self.filled_ms) as f64 / 1000.0;
        self.tokens = (self.tokens + seconds * self.per_second).min(self.burst);
        self.filled_ms = now_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_gives_its_burst_and_then_its_rate() {
        let mut lanes = Lanes::new(&[("bell".into(), "north".into(), 10.0, 2.0)]);
        let mut take = |now| lanes.take("bell", Some("north"), now);
        assert_eq!((take(0), take(0)), (Ok(()), Ok(())));
        assert_eq!(take(0), Err(100), "the third waits a tenth of a second");
        assert_eq!(take(100), Ok(()));
        assert_eq!(lanes.take("bell", Some("south"), 0), Ok(()), "other lanes are not limited");
    }
}
