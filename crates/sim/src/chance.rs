//! Chance, from one seed, and a count of what it really did: a fault that never came up proves nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How often each fault comes up, in parts per thousand of its occasions.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// The process dies before a commit.
    pub crash_before_commit: u32,
    /// The process dies after a commit was applied, before anybody hears of it.
    pub crash_after_commit: u32,
    /// A commit is applied, and its outcome is reported as unknown.
    pub commit_unknown_applied: u32,
    /// A commit is not applied, and its outcome is reported as unknown.
    pub commit_unknown_lost: u32,
    /// The store takes no commits for a while (disk full).
    pub store_unavailable: u32,
    /// A read of the store fails.
    pub read_fails: u32,
    /// A far side does what it is asked, and its answer is lost.
    pub answer_lost: u32,
    /// A far side is not reached.
    pub call_lost: u32,
    /// An answer of a far side comes twice.
    pub answer_twice: u32,
    /// A far side says twice what it says later.
    pub receipt_twice: u32,
    /// It says it up to a minute later than it should.
    pub receipt_late: u32,
    /// A client sends its request again, although it was answered.
    pub request_twice: u32,
    /// The clock jumps ahead by up to an hour.
    pub clock_jump: u32,
    /// A service stops handling events for a while.
    pub service_paused: u32,
    /// A handler of the witness panics.
    pub handler_breaks: u32,
    /// A publisher's connection breaks in the middle of a batch.
    pub publish_cut: u32,
    /// What a publisher has given up arrives all the same, later.
    pub publish_late: u32,
    /// A batch is published, and the publisher does not hear of it.
    pub publish_unheard: u32,
    /// Partitions of a service change hands.
    pub rebalance: u32,
    /// Who has lost a partition hears of it only later.
    pub zombie: u32,
    /// A request comes in at two doors at once, as behind an impatient proxy.
    pub two_doors: u32,
    /// Others commit between the reads of a batch and its commit.
    pub reads_late: u32,
    /// A process stands still for a while, perhaps for longer than its lease.
    pub freeze: u32,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        crash_before_commit: 0,
        crash_after_commit: 0,
        commit_unknown_applied: 0,
        commit_unknown_lost: 0,
        store_unavailable: 0,
        read_fails: 0,
        answer_lost: 0,
        call_lost: 0,
        answer_twice: 0,
        receipt_twice: 0,
        receipt_late: 0,
        request_twice: 0,
        clock_jump: 0,
        service_paused: 0,
        handler_breaks: 0,
        publish_cut: 0,
        publish_late: 0,
        publish_unheard: 0,
        rebalance: 0,
        zombie: 0,
        freeze: 0,
        two_doors: 0,
        reads_late: 0,
    };

    /// Everything goes wrong, often enough to meet in a short run.
    pub const MANY: Self = Self {
        crash_before_commit: 20,
        crash_after_commit: 20,
        commit_unknown_applied: 15,
        commit_unknown_lost: 15,
        store_unavailable: 10,
        read_fails: 10,
        answer_lost: 60,
        call_lost: 40,
        answer_twice: 60,
        receipt_twice: 60,
        receipt_late: 150,
        request_twice: 150,
        clock_jump: 2,
        service_paused: 10,
        handler_breaks: 120,
        publish_cut: 50,
        publish_late: 50,
        publish_unheard: 50,
        rebalance: 15,
        zombie: 500,
        freeze: 8,
        two_doors: 100,
        reads_late: 200,
    };
}

/// How often each thing really happened.
pub type Tally = BTreeMap<&'static str, u64>;

/// One stream of chance, shared by everything in a world.
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

    /// Whether a fault of that rate comes up now; counted by its name if it does.
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

    /// No fault comes up from now on.
    pub fn heal(&self) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).healed = true;
    }

    /// What happened, how often.
    pub fn tally(&self) -> Tally {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).tally.clone()
    }
}
