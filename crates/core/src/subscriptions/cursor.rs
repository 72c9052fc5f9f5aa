//! The cursor of one subscription in one partition: its committed offset, and what has been read ahead for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ports::{ConsumerOffset, Delivery, Partition, SubscriptionId};

use crate::items::Reached;

/// One subscription in one partition.
pub struct PartitionCursor {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The partition.
    pub partition: Partition,
    /// It reads its own system's log, not a broker's topic.
    pub own: bool,
    /// Whether it consumes.
    pub phase: Phase,
    /// Its service is paused.
    pub paused: bool,
    /// The offset that the store has, where this cursor is new here and the store has one.
    pub stored: Option<u64>,
    /// The last position whose handling is committed.
    pub offset: u64,
    /// The last number of each outbox whose handling is committed.
    pub numbers: BTreeMap<String, u64>,
    /// The last position that was read ahead.
    pub read_to: u64,
    /// Read ahead and not yet taken into a batch; several cursors share a delivery.
    pub backlog: VecDeque<Arc<Delivery>>,
}

/// Whether a cursor consumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its offset must be read from the store first. A subscription without one begins at this end, if it does not begin at
    /// the beginning.
    Opening {
        /// The last position of the partition when it was assigned.
        end: u64,
    },
    /// It has an offset that the store does not know yet: its first, or one that was handed over.
    New,
    /// It consumes.
    Open,
    /// The partition is another instance's.
    Closed,
}

impl PartitionCursor {
    /// A cursor whose offset must be read.
    pub fn opening(subscription: SubscriptionId, partition: Partition, own: bool, end: u64) -> Self {
        Self {
            subscription,
            partition,
            own,
            phase: Phase::Opening { end },
            paused: false,
            stored: None,
            offset: 0,
            numbers: BTreeMap::new(),
            read_to: 0,
            backlog: VecDeque::new(),
        }
    }

    /// It consumes, and its service is not paused.
    pub fn consumes(&self) -> bool {
        self.phase == Phase::Open && !self.paused
    }

    /// It reads a broker's topic and has room for more, of a backlog of `limit` deliveries.
    pub fn has_room(&self, limit: usize) -> bool {
        !self.own && self.consumes() && limit.saturating_sub(self.backlog.len()) >= limit / 2
    }

    /// It has unhandled events, or can read them.
    pub fn is_behind(&self, last_seq: u64) -> bool {
        self.consumes() && (!self.backlog.is_empty() || (self.own && self.offset < last_seq))
    }

    /// Forgets what was read ahead: it is read again from the committed offset.
    pub fn rewind(&mut self) {
        self.backlog.clear();
        self.read_to = self.offset;
    }

    /// Stands where the store says.
    pub fn restore(&mut self, stored: ConsumerOffset) {
        self.offset = stored.position;
        self.numbers = stored.numbers.into_iter().collect();
        self.rewind();
    }

    /// Takes over what a committed batch has reached.
    pub fn advance(&mut self, reached: &Reached) {
        debug_assert!(reached.to >= self.offset, "an offset never goes back");
        self.offset = reached.to;
        self.read_to = self.read_to.max(reached.to);
        self.numbers.extend(reached.numbers.iter().map(|(outbox, number)| (outbox.clone(), *number)));
    }

    /// Whether a record is seen for the first time: one that a relay has published twice has the same number twice. `taken`
    /// are the numbers of the present batch.
    pub fn is_new(&self, delivery: &Delivery, taken: &BTreeMap<String, u64>) -> bool {
        let Some(stamp) = &delivery.stamp else { return true };
        let last = taken.get(&stamp.outbox).or_else(|| self.numbers.get(&stamp.outbox));
        last.is_none_or(|last| stamp.number > *last)
    }

    /// Reads ahead what a broker delivered, as far as there is room.
    pub fn read_ahead(&mut self, deliveries: &[Arc<Delivery>], limit: usize) {
        for delivery in deliveries {
            if delivery.record.seq > self.read_to && self.backlog.len() < limit {
                self.read_to = delivery.record.seq;
                self.backlog.push_back(delivery.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kernel::event::Cause;
    use ports::{Record, Stamp};

    use super::*;
    use crate::ids::CursorId;

    fn delivery(seq: u64, number: u64) -> Arc<Delivery> {
        let record = Record {
            seq,
            id: format!("event-{seq}"),
            source: "desk".into(),
            event_type: "Taken".into(),
            version: 1,
            key: "a".into(),
            time_ms: 0,
            data: b"{}".to_vec(),
            cause: Cause::default(),
        };
        Arc::new(Delivery { record, stamp: Some(Stamp { outbox: "desk".into(), number }) })
    }

    fn cursor() -> PartitionCursor {
        let mut cursor = PartitionCursor::opening(SubscriptionId(0), Partition::only("events"), false, 0);
        cursor.phase = Phase::Open;
        cursor
    }

    #[test]
    fn a_record_that_was_published_twice_is_new_once() {
        let mut cursor = cursor();
        let none = BTreeMap::new();
        assert!(cursor.is_new(&delivery(1, 4), &none));
        cursor.advance(&Reached { cursor: CursorId(0), to: 1, numbers: BTreeMap::from([("desk".to_owned(), 4)]) });
        assert!(!cursor.is_new(&delivery(2, 4), &none));
        assert!(!cursor.is_new(&delivery(3, 5), &BTreeMap::from([("desk".to_owned(), 5)])), "taken by this batch");
        assert!(cursor.is_new(&delivery(3, 5), &none));
    }

    #[test]
    fn what_was_read_ahead_is_read_again_after_a_rewind() {
        let mut cursor = cursor();
        cursor.read_ahead(&[delivery(1, 1), delivery(2, 2), delivery(3, 3)], 2);
        assert_eq!((cursor.backlog.len(), cursor.read_to), (2, 2), "no more than there is room for");
        cursor.rewind();
        assert_eq!((cursor.backlog.len(), cursor.read_to), (0, 0));
    }
}
