//! What happens next outside of the cores: at an instant, in the order of being planned.

use std::collections::BTreeMap;

/// A schedule of virtual time.
pub(crate) struct Schedule<T> {
    entries: BTreeMap<(i64, u64), T>,
    planned: u64,
}

impl<T> Default for Schedule<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), planned: 0 }
    }
}

impl<T> Schedule<T> {
    /// Plans something for `after_ms` from now.
    pub fn plan(&mut self, now_ms: i64, after_ms: u64, entry: T) {
        self.planned += 1;
        let at_ms = now_ms.saturating_add(i64::try_from(after_ms).unwrap_or(i64::MAX));
        self.entries.insert((at_ms, self.planned), entry);
    }

    /// When the next entry is due.
    pub fn next_ms(&self) -> Option<i64> {
        self.entries.keys().next().map(|(at_ms, _)| *at_ms)
    }

    /// Takes the next entry out, if it is due.
    pub fn take_due(&mut self, now_ms: i64) -> Option<T> {
        let entry = self.entries.first_entry()?;
        (entry.key().0 <= now_ms).then(|| entry.remove())
    }

    /// Drops the entries that do not hold.
    pub fn retain(&mut self, holds: impl Fn(&T) -> bool) {
        self.entries.retain(|_, entry| holds(entry));
    }
}
