//! Parked keys: an event that fails holds back the later events of its key, and no other key.

use std::collections::BTreeMap;

use ports::ParkedRow;

use super::cursor::CursorId;

/// What is known in memory about the keys that are parked; the events themselves are in the store.
#[derive(Default)]
pub struct Parking {
    heads: BTreeMap<(CursorId, String), Head>,
}

/// The first parked event of a key.
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
    pub cursor: CursorId,
    /// Its key.
    pub key: String,
    /// Its head.
    pub head: Head,
}

impl Parking {
    /// A head as it is in the store.
    pub fn restore(&mut self, cursor: CursorId, row: &ParkedRow) {
        self.set(cursor, &row.key, Head { next_try_ms: row.next_try_ms, dead: row.dead });
    }

    /// Forgets what is parked at a cursor: it is another instance's, or is about to be read again.
    pub fn forget(&mut self, cursor: CursorId) {
        self.heads.retain(|(other, _), _| *other != cursor);
    }

    /// Whether events of this key must wait.
    pub fn holds(&self, cursor: CursorId, key: &str) -> bool {
        self.heads.contains_key(&(cursor, key.to_owned()))
    }

    /// Changes when and whether the head is tried again.
    pub fn set(&mut self, cursor: CursorId, key: &str, head: Head) {
        self.heads.insert((cursor, key.to_owned()), head);
    }

    /// The key has no parked events any more.
    pub fn release(&mut self, cursor: CursorId, key: &str) {
        self.heads.remove(&(cursor, key.to_owned()));
    }

    /// At most so many keys whose head is to be tried now, of those cursors that consume.
    pub fn due(&self, now_ms: i64, limit: usize, consumes: impl Fn(CursorId) -> bool) -> Vec<(CursorId, String)> {
        let due = self.heads.iter().filter(|(_, head)| !head.dead && head.next_try_ms <= now_ms);
        due.filter(|((cursor, _), _)| consumes(*cursor)).take(limit).map(|(key, _)| key.clone()).collect()
    }

    /// The parked keys of one cursor.
    pub fn keys(&self, cursor: CursorId) -> Vec<String> {
        self.heads.keys().filter(|(other, _)| *other == cursor).map(|(_, key)| key.clone()).collect()
    }

    /// When the next head is to be tried, of those cursors that consume; milliseconds since 1970.
    pub fn next_ms(&self, consumes: impl Fn(CursorId) -> bool) -> Option<i64> {
        let waiting = self.heads.iter().filter(|((cursor, _), head)| !head.dead && consumes(*cursor));
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

    #[test]
    fn a_dead_head_is_not_tried_by_itself_and_a_key_parks_alone() {
        let (here, there) = (CursorId(0), CursorId(1));
        let mut parking = Parking::default();
        parking.set(here, "a", Head { next_try_ms: 50, dead: false });
        parking.set(here, "b", Head { next_try_ms: 0, dead: true });
        parking.set(there, "c", Head::DUE);
        assert_eq!(parking.due(49, 10, |cursor| cursor == here), []);
        assert_eq!(parking.due(50, 10, |cursor| cursor == here), [(here, "a".to_owned())]);
        assert_eq!(parking.next_ms(|_| true), Some(0));
        assert_eq!(parking.counts(), (3, 1));
        assert!(parking.holds(here, "b") && !parking.holds(there, "b"));
        parking.set(here, "b", Head::DUE);
        assert_eq!(parking.due(0, 10, |_| true).len(), 2, "redriven");
    }
}
