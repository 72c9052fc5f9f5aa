//! Items: what one batch is made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use ports::{Record, TimerRow};

use crate::effects::EndedEffect;
use crate::ids::{CursorId, Queue};
use crate::request::QueuedCommand;

/// One item.
pub enum Item {
    /// A command from outside.
    Command(Box<QueuedCommand>),
    /// An effect has ended: its aggregate is told.
    Answer {
        /// The effect and how it ended.
        ended: EndedEffect,
        /// Where it comes from the parked ones.
        parked: Option<ParkedAttempt>,
    },
    /// A timer is due.
    Timer {
        /// The timer.
        timer: TimerRow,
        /// Where it comes from the parked ones.
        parked: Option<ParkedAttempt>,
    },
    /// An event for a subscription.
    Event {
        /// Where it is handled.
        cursor: CursorId,
        /// The event.
        record: Arc<Record>,
        /// Where it comes from the parked ones.
        parked: Option<ParkedAttempt>,
    },
    /// Events for a view that is being rebuilt.
    RebuildPage(Vec<Record>),
    /// A rebuild begins: the table that it fills is emptied.
    RebuildStart,
    /// A rebuild is complete: the table that it filled serves.
    RebuildSwap,
    /// What is parked first for a key is removed.
    Discard(Discard),
    /// New cursors get their first offset.
    FirstOffsets,
    /// Nothing, to find out whether the store takes commits again.
    Probe,
}

/// Where parked work stands, and how often it was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParkedAttempt {
    /// Its position in its queue.
    pub position: u64,
    /// Attempts so far.
    pub attempts: u32,
}

/// What is parked first for a key is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discard {
    /// Where it is parked.
    pub queue: Queue,
    /// Its key.
    pub key: String,
    /// The position that the administrator saw.
    pub position: u64,
}

/// How far a batch takes a cursor.
pub struct Reached {
    /// The cursor.
    pub cursor: CursorId,
    /// The position.
    pub to: u64,
    /// The last numbers of outboxes.
    pub numbers: BTreeMap<String, u64>,
}

/// The items of one batch.
#[derive(Default)]
pub struct Items {
    /// In the order in which they are handled.
    pub work: Vec<Item>,
    /// How far cursors have come when these are handled.
    pub reached: Vec<Reached>,
    /// The rebuild's position when this is done.
    pub rebuilt_to: Option<u64>,
    /// The store has rejected them, and they are being parked: they are not bisected again.
    pub quarantined: bool,
}

impl Items {
    /// One item alone: work of administration has a batch of its own.
    pub fn only(item: Item) -> Self {
        Self { work: vec![item], ..Self::default() }
    }

    /// Whether a rejection can be narrowed down to one of them: not, where there is none, or where it is being parked already.
    pub fn can_be_bisected(&self) -> bool {
        !self.work.is_empty() && !self.quarantined
    }

    /// Whether this is work of administration.
    pub fn is_administration(&self) -> bool {
        use Item::{Discard, FirstOffsets, Probe, RebuildStart, RebuildSwap};
        matches!(self.work[..], [Discard(_) | FirstOffsets | Probe | RebuildStart | RebuildSwap])
    }
}
