//! Chance, from one seed, and a count of what really happened: a fault that never struck proves nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How often each thing really happened.
pub type Tally = BTreeMap<&'static str, u64>;

/// One stream of chance, shared by everything in an installation.
#[derive(Clone)]
pub struct Chance {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    rng: fastrand::Rng,
    tally: Tally,
    healed: bool,
}

impl Chance {
    /// The stream of a seed.
    pub fn seeded(seed: u64) -> Self {
        let inner = Inner { rng: fastrand::Rng::with_seed(seed), tally: Tally::new(), healed: false };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Whether a fault of that rate strikes now; counted by its name if it does.
    pub fn strikes(&self, name: &'static str, per_mille: u32) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let strikes = !inner.healed && inner.rng.u32(0..1000) < per_mille;
        if strikes {
            *inner.tally.entry(name).or_default() += 1;
        }
        strikes
    }

    /// A number below `bound`, 0 where that is 0.
    pub fn below(&self, bound: u64) -> u64 {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if bound == 0 { 0 } else { inner.rng.u64(0..bound) }
    }

    /// Counts something worth knowing that happened.
    pub fn note(&self, name: &'static str) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        *inner.tally.entry(name).or_default() += 1;
    }

    /// No fault strikes from now on, or faults strike again.
    pub fn set_healed(&self, healed: bool) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).healed = healed;
    }

    /// What happened, how often.
    pub fn tally(&self) -> Tally {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).tally.clone()
    }
}
