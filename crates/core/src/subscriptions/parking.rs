//! Parked keys: what fails holds back what comes later for its key, and no other key.

use std::collections::BTreeMap;

use ports::ParkedRow;

use crate::ids::Queue;

/// What is known in memory about the keys that are parked; what is parked itself is in the store.
#[derive(Default)]
pub struct Parking {
    heads: BTreeMap<(Queue, String), Head>,
}

/// What is parked first for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// When it is tried again, milliseconds since 1970.
    pub next_try_ms: i64,
    /// It is a dead letter: it waits for an administrator.
    pub dead: bool,
}

impl Head {
    /// It is tried again with the next batch.
    pub const DUE: Self = Self { next_try_ms: 0, dead: false };
}

/// The head of a key, as it is once a batch is committed.
pub struct HeadChange {
    /// Where it is parked.
    pub queue: Queue,
    /// Its key.
    pub key: String,
    /// Its head.
    pub head: Head,
}

impl Parking {
    /// A head as it is in the store.
    pub fn restore(&mut self, queue: Queue, row: &ParkedRow) {
        self.set(queue, &row.key, Head { next_try_ms: row.next_try_ms, dead: row.dead });
    }

    /// Forgets what is parked in a queue: it is another instance's, or is about to be read again.
    pub fn forget(&mut self, queue: Queue) {
        self.heads.retain(|(other, _), _| *other != queue);
    }

    /// Whether what comes for this key must wait.
    pub fn holds(&self, queue: Queue, key: &str) -> bool {
        self.heads.contains_key(&(queue, key.to_owned()))
    }

    /// Changes when and whether the head is tried again.
    pub fn set(&mut self, queue: Queue, key: &str, head: Head) {
        self.heads.insert((queue, key.to_owned()), head);
    }

    /// Nothing is parked for the key any more.
    pub fn release(&mut self, queue: Queue, key: &str) {
        self.heads.remove(&(queue, key.to_owned()));
    }

    /// At most so many keys whose head is to be tried now, of those queues that are worked on.
    pub fn due(&self, now_ms: i64, limit: usize, works: impl Fn(Queue) -> bool) -> Vec<(Queue, String)> {
        let due = self.heads.iter().filter(|(_, head)| !head.dead && head.next_try_ms <= now_ms);
        due.filter(|((queue, _), _)| works(*queue)).take(limit).map(|(key, _)| key.clone()).collect()
    }

    /// The parked keys of one queue.
    pub fn keys(&self, queue: Queue) -> Vec<String> {
        self.heads.keys().filter(|(other, _)| *other == queue).map(|(_, key)| key.clone()).collect()
    }

    /// When the next head is to be tried, of those queues that are worked on; milliseconds since 1970.
    pub fn next_ms(&self, works: impl Fn(Queue) -> bool) -> Option<i64> {
        let waiting = self.heads.iter().filter(|((queue, _), head)| !head.dead && works(*queue));
        waiting.map(|(_, head)| head.next_try_ms).min()
    }

    /// Parked keys, and those of them whose head is dead.
    pub fn counts(&self) -> (usize, usize) {
        (self.heads.len(), self.heads.values().filter(|head| head.dead).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CursorId;

    #[test]
    fn a_dead_head_is_not_tried_by_itself_and_a_key_parks_alone() {
        let (here, there) = (Queue::Cursor(CursorId(0)), Queue::Timers(ports::ServiceId(0)));
        let mut parking = Parking::default();
        parking.set(here, "a", Head { next_try_ms: 50, dead: false });
        parking.set(here, "b", Head { next_try_ms: 0, dead: true });
        parking.set(there, "c", Head::DUE);
        assert_eq!(parking.due(49, 10, |queue| queue == here), []);
        assert_eq!(parking.due(50, 10, |queue| queue == here), [(here, "a".to_owned())]);
        assert_eq!(parking.next_ms(|_| true), Some(0));
        assert_eq!(parking.counts(), (3, 1));
        assert!(parking.holds(here, "b") && !parking.holds(there, "b"));
        parking.set(here, "b", Head::DUE);
        assert_eq!(parking.due(0, 10, |_| true).len(), 2, "redriven");
    }
}
