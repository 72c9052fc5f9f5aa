//! Recovery: what a core does after a commit that did not go as it should.
//!
//! ```text
//!              ┌──────────── applied, at full size again ─────────────┐
//!              ▼                                                      │
//!           Normal ──conflict: half the size───────────────▶ Reduced ─┤◀─┐ conflict, rejected: half the size
//!              │   ──rejected: half the size, one event an item──▶    │──┘ applied: twice the size
//!              │                                              │       │
//!              │◀─────────── the probe is applied ──────┐     │       │
//!              ├──────── unavailable, too many conflicts┼─────┤       │
//!              ▼                                        │     ▼       │
//!              └────────────────────────────────▶ Backoff{then: Normal or Reduced} ──▶ again: unavailable
//!              any ──outcome unknown──▶ InDoubt ──applied──▶ as applied; not applied──▶ Backoff
//! ```
//! A fenced instance is no state of its own: it begins again at once, with the numbers of another instance.

use ports::Commit;

use crate::batch::Reply;
use crate::items::Items;
use crate::subscriptions::HeadChange;

/// Consecutive version conflicts after which something else must be wrong.
const CONFLICT_LIMIT: u32 = 20;

/// How the core stands to its store.
#[derive(Default)]
pub enum Recovery {
    /// Full batches.
    #[default]
    Normal,
    /// Smaller batches, growing again with each that is applied.
    Reduced(Reduced),
    /// The store refuses to work: only commands are tried until then, and afterwards an empty commit first.
    Backoff(Backoff),
    /// The outcome of a commit is unknown: nothing else is begun before it is known.
    InDoubt(Box<InDoubt>),
}

/// Smaller batches.
#[derive(Clone, Copy)]
pub struct Reduced {
    /// Items of the next batch at most.
    batch_items: usize,
    /// Every event is an item of its own: none is handled in the batch that published it. So a rejected batch is bisected
    /// down to the item that the store rejects.
    bisecting: bool,
    /// Consecutive version conflicts.
    conflicts: u32,
}

/// A pause after the store refused to work.
pub struct Backoff {
    until_ms: i64,
    cause: String,
    then: Option<Reduced>,
}

/// A commit whose outcome is unknown.
pub struct InDoubt {
    pending: Pending,
    /// When the store is asked again, milliseconds since 1970.
    retry_ms: i64,
    cause: String,
    then: Option<Reduced>,
}

/// A commit on its way, and what depends on its outcome.
pub struct Pending {
    /// What the store is given.
    pub commit: Commit,
    /// The items that it carries.
    pub items: Items,
    /// Answers to give once it is applied.
    pub replies: Vec<Reply>,
    /// Parked keys whose head changes once it is applied.
    pub heads: Vec<HeadChange>,
}

/// What to do with the items of a batch that did not come about.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again, in smaller batches.
    Retry,
    /// It is this one item that the store rejects.
    Quarantine,
    /// Too many conflicts in a row: treat it as a store that does not work.
    BackOff,
}

impl Recovery {
    /// A store does not work: a pause, after which a probe comes first.
    pub fn back_off(&mut self, until_ms: i64, cause: String) {
        let then = self.reduced();
        *self = Self::Backoff(Backoff { until_ms, cause, then });
    }

    /// The outcome of this commit is unknown; it is asked for at that instant.
    pub fn doubt(&mut self, pending: Pending, retry_ms: i64, cause: String) {
        let then = self.reduced();
        *self = Self::InDoubt(Box::new(InDoubt { pending, retry_ms, cause, then }));
    }

    /// Takes out the commit whose outcome is unknown, to find out about it.
    pub fn take_in_doubt(&mut self) -> Option<Pending> {
        match std::mem::take(self) {
            Self::InDoubt(in_doubt) => {
                *self = in_doubt.then.map_or(Self::Normal, Self::Reduced);
                Some(in_doubt.pending)
            }
            other => {
                *self = other;
                None
            }
        }
    }

    /// A commit was applied: the store works, and conflicts are over.
    pub fn applied(&mut self) {
        *self = self.reduced().map_or(Self::Normal, |reduced| Self::Reduced(Reduced { conflicts: 0, ..reduced }));
    }

    /// A batch was applied: the next one may be larger.
    pub fn grow(&mut self, limit: usize) {
        match self {
            Self::Reduced(reduced) if reduced.batch_items < limit => reduced.batch_items = (reduced.batch_items * 2).min(limit),
            Self::Reduced(_) => *self = Self::Normal,
            Self::Normal | Self::Backoff(_) | Self::InDoubt(_) => {}
        }
    }

    /// Another instance has committed first. A smaller batch meets fewer of them.
    pub fn conflict(&mut self, limit: usize) -> Next {
        let mut reduced = self.reduced_or_full(limit);
        reduced.conflicts += 1;
        let too_many = reduced.conflicts > CONFLICT_LIMIT;
        if too_many {
            reduced.conflicts = 0;
        } else {
            reduced.batch_items = (reduced.batch_items / 2).max(1);
        }
        self.reduce(reduced);
        if too_many { Next::BackOff } else { Next::Retry }
    }

    /// The store rejects a batch of so many items: it is bisected until the culprit stands alone. The first time even a
    /// single item is tried again: what its events caused in the same batch may be to blame, and is then an item of its own.
    pub fn bisect(&mut self, items: usize, limit: usize) -> Next {
        let mut reduced = self.reduced_or_full(limit);
        if items <= 1 && reduced.bisecting {
            return Next::Quarantine;
        }
        reduced.bisecting = true;
        reduced.batch_items = (items / 2).max(1);
        self.reduce(reduced);
        Next::Retry
    }

    /// Items of the next batch at most; at least one.
    pub fn batch_items(&self, limit: usize) -> usize {
        self.reduced().map_or(limit, |reduced| reduced.batch_items).max(1)
    }

    /// Whether every event is an item of its own.
    pub fn is_bisecting(&self) -> bool {
        self.reduced().is_some_and(|reduced| reduced.bisecting)
    }

    /// Whether the store is left alone, except by commands.
    pub fn is_backing_off(&self, now_ms: i64) -> bool {
        matches!(self, Self::Backoff(Backoff { until_ms, .. }) if *until_ms > now_ms)
    }

    /// Whether the pause is over and an empty commit is to find out if the store works again.
    pub fn needs_probe(&self, now_ms: i64) -> bool {
        matches!(self, Self::Backoff(Backoff { until_ms, .. }) if *until_ms <= now_ms)
    }

    /// Whether the outcome of a commit is unknown.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self, Self::InDoubt(_))
    }

    /// Why the store does not work, where it does not.
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Normal | Self::Reduced(_) => None,
            Self::Backoff(backoff) => Some(&backoff.cause),
            Self::InDoubt(in_doubt) => Some(&in_doubt.cause),
        }
    }

    /// When the store is tried again, milliseconds since 1970.
    pub fn retry_ms(&self) -> Option<i64> {
        match self {
            Self::Normal | Self::Reduced(_) => None,
            Self::Backoff(backoff) => Some(backoff.until_ms),
            Self::InDoubt(in_doubt) => Some(in_doubt.retry_ms),
        }
    }

    fn reduced(&self) -> Option<Reduced> {
        match self {
            Self::Normal => None,
            Self::Reduced(reduced) => Some(*reduced),
            Self::Backoff(backoff) => backoff.then,
            Self::InDoubt(in_doubt) => in_doubt.then,
        }
    }

    fn reduced_or_full(&self, limit: usize) -> Reduced {
        self.reduced().unwrap_or(Reduced { batch_items: limit, bisecting: false, conflicts: 0 })
    }

    fn reduce(&mut self, reduced: Reduced) {
        match self {
            Self::Normal | Self::Reduced(_) => *self = Self::Reduced(reduced),
            Self::Backoff(backoff) => backoff.then = Some(reduced),
            Self::InDoubt(in_doubt) => in_doubt.then = Some(reduced),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 8;

    fn pending() -> Pending {
        Pending { commit: Commit::default(), items: Items::default(), replies: Vec::new(), heads: Vec::new() }
    }

    #[test]
    fn a_rejected_batch_is_bisected_down_to_one_item_and_grows_again() {
        let mut recovery = Recovery::Normal;
        assert_eq!(recovery.bisect(8, LIMIT), Next::Retry);
        assert_eq!((recovery.batch_items(LIMIT), recovery.is_bisecting()), (4, true));
        assert_eq!(recovery.bisect(1, LIMIT), Next::Quarantine);
        for expected in [8, 8] {
            assert!(recovery.is_bisecting(), "until the batches have their full size again");
            recovery.grow(LIMIT);
            assert_eq!(recovery.batch_items(LIMIT), expected);
        }
        assert!(matches!(recovery, Recovery::Normal));
    }

    #[test]
    fn a_single_item_is_tried_again_without_what_its_events_cause() {
        let mut recovery = Recovery::Normal;
        assert_eq!(recovery.bisect(1, LIMIT), Next::Retry);
        assert_eq!(recovery.bisect(1, LIMIT), Next::Quarantine);
    }

    #[test]
    fn conflicts_halve_the_batch_and_back_off_when_they_do_not_end() {
        let mut recovery = Recovery::Normal;
        for _ in 0..CONFLICT_LIMIT {
            assert_eq!(recovery.conflict(LIMIT), Next::Retry);
        }
        assert_eq!(recovery.batch_items(LIMIT), 1);
        assert_eq!(recovery.conflict(LIMIT), Next::BackOff);
        recovery.applied();
        assert_eq!(recovery.conflict(LIMIT), Next::Retry, "the count begins anew");
    }

    #[test]
    fn a_pause_ends_with_a_probe_and_keeps_the_size_of_batches() {
        let mut recovery = Recovery::Normal;
        recovery.bisect(8, LIMIT);
        recovery.back_off(1_000, "disk full".into());
        assert!(recovery.is_backing_off(999) && !recovery.needs_probe(999));
        assert!(recovery.needs_probe(1_000));
        assert_eq!((recovery.cause(), recovery.retry_ms()), (Some("disk full"), Some(1_000)));
        assert_eq!(recovery.batch_items(LIMIT), 4);
        recovery.applied();
        assert!(matches!(recovery, Recovery::Reduced(_)));
    }

    #[test]
    fn a_commit_in_doubt_is_taken_out_once() {
        let mut recovery = Recovery::Normal;
        recovery.doubt(pending(), 250, "connection lost".into());
        assert!(recovery.is_in_doubt());
        assert!(recovery.take_in_doubt().is_some());
        assert!(recovery.take_in_doubt().is_none());
        assert_eq!(recovery.cause(), None);
    }
}
