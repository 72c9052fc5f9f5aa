//! Parked keys: an event that fails holds back the later events of its key, and nobody else.

use std::collections::BTreeMap;

use ports::ParkedRow;

/// What is known in memory about the keys that are parked, by the number of their place; the events themselves are in the
/// store.
#[derive(Default)]
pub struct Parking {
    keys: BTreeMap<(usize, String), Parked>,
}

/// The head of a parked key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parked {
    /// When the head is tried again, milliseconds since 1970.
    pub next_try_ms: i64,
    /// The head waits for a person.
    pub dead: bool,
}

impl Parking {
    /// A head as it is in the store.
    pub fn note(&mut self, place: usize, row: &ParkedRow) {
        self.keys.insert((place, row.key.clone()), Parked { next_try_ms: row.next_try_ms, dead: row.dead });
    }

    /// Forgets a place: its parked events are another process's, or are about to be read again.
    pub fn leave(&mut self, place: usize) {
        self.keys.retain(|(other, _), _| *other != place);
    }

    /// Whether events of this key must wait.
    pub fn holds(&self, place: usize, key: &str) -> bool {
        self.keys.contains_key(&(place, key.to_owned()))
    }

    /// Changes when and whether the head is tried again.
    pub fn set(&mut self, place: usize, key: &str, parked: Parked) {
        self.keys.insert((place, key.to_owned()), parked);
    }

    /// The key has no parked events any more.
    pub fn release(&mut self, place: usize, key: &str) {
        self.keys.remove(&(place, key.to_owned()));
    }

    /// Keys whose head is to be tried now, of those places that are at work.
    pub fn due(&self, now_ms: i64, most: usize, at_work: impl Fn(usize) -> bool) -> Vec<(usize, String)> {
        let due = self.keys.iter().filter(|(_, parked)| !parked.dead && parked.next_try_ms <= now_ms);
        due.filter(|((place, _), _)| at_work(*place)).take(most).map(|(key, _)| key.clone()).collect()
    }

    /// The keys of one place.
    pub fn of(&self, place: usize) -> Vec<String> {
        self.keys.keys().filter(|(other, _)| *other == place).map(|(_, key)| key.clone()).collect()
    }

    /// When the next head is to be tried, of those places that are at work.
    pub fn next_ms(&self, at_work: impl Fn(usize) -> bool) -> Option<i64> {
        let waiting = self.keys.iter().filter(|((place, _), parked)| !parked.dead && at_work(*place));
        waiting.map(|(_, parked)| parked.next_try_ms).min()
    }

    /// Parked keys, and those of them whose head is dead.
    pub fn counts(&self) -> (usize, usize) {
        (self.keys.len(), self.keys.values().filter(|parked| parked.dead).count())
    }
}
