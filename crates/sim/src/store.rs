//! A store that fails in all the ways a real one does, and keeps its contract otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use ports::{
    AnswerRow, Commit, CommitError, ConsumerOffset, EffectRow, ParkedRow, Partition, Record, Recovered, RowRef, Store,
    StoreError, StoredRow, TableId, TimerRow,
};

use crate::chance::Chance;
use crate::faults::Faults;

/// A store behind seeded faults. Clones share the faults that last (a full disk, a crash).
#[derive(Clone)]
pub struct FaultyStore<S> {
    inner: S,
    chance: Chance,
    faults: Faults,
    crashed: Arc<AtomicBool>,
    full_for: Arc<AtomicU32>,
}

/// So many commits fail in a row when the disk is full.
const FULL_FOR: u32 = 5;

impl<S> FaultyStore<S> {
    /// Faults around a store.
    pub fn new(inner: S, chance: Chance, faults: Faults) -> Self {
        Self { inner, chance, faults, crashed: Arc::default(), full_for: Arc::default() }
    }

    /// Whether the process has died in a commit; shared, as the store itself moves into a core.
    pub fn crashed(&self) -> Arc<AtomicBool> {
        self.crashed.clone()
    }

    /// Whether the process has died in a commit since the last call.
    pub fn take_crash(&self) -> bool {
        self.crashed.swap(false, Ordering::SeqCst)
    }

    fn die(&self) -> CommitError {
        self.crashed.store(true, Ordering::SeqCst);
        CommitError::Unknown("the process is dead".into())
    }

    fn read(&self) -> Result<(), StoreError> {
        if self.crashed.load(Ordering::SeqCst) || self.chance.strikes("read failed", self.faults.read_fails) {
            return Err(StoreError::Unavailable("no answer".into()));
        }
        Ok(())
    }
}

impl<S: Store> Store for FaultyStore<S> {
    fn recover(&mut self) -> Result<Recovered, StoreError> {
        self.inner.recover()
    }
    fn lease_ms(&self) -> Option<i64> {
        self.inner.lease_ms()
    }
    fn ids(&mut self, table: TableId, count: u64) -> Result<std::ops::Range<u64>, StoreError> {
        self.read()?;
        self.inner.ids(table, count)
    }
    fn adopt(&mut self, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        self.read()?;
        let left = self.inner.adopt(limit).inspect_err(|error| {
            if matches!(error, StoreError::Fenced) {
                self.chance.note("fenced");
            }
        })?;
        if !left.is_empty() {
            self.chance.note("effects adopted");
        }
        Ok(left)
    }
    fn load(&mut self, wanted: &[RowRef]) -> Result<Vec<Option<StoredRow>>, StoreError> {
        self.read()?;
        self.inner.load(wanted)
    }
    fn answer(&mut self, scope: &str, key: &str) -> Result<Option<AnswerRow>, StoreError> {
        self.read()?;
        self.inner.answer(scope, key)
    }
    fn log_after(&mut self, seq: u64, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.read()?;
        self.inner.log_after(seq, limit)
    }
    fn timers_due(&mut self, until_ms: i64, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        self.read()?;
        self.inner.timers_due(until_ms, limit)
    }
    fn timer_due(&mut self, table: TableId, key: &str, name: &str) -> Result<Option<i64>, StoreError> {
        self.read()?;
        self.inner.timer_due(table, key, name)
    }
    fn next_timer(&mut self) -> Result<Option<i64>, StoreError> {
        self.inner.next_timer()
    }
    fn effects_after(&mut self, number: u64, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        self.read()?;
        self.inner.effects_after(number, limit)
    }
    fn consumer_offset(&mut self, subscription: &str, partition: &Partition) -> Result<Option<ConsumerOffset>, StoreError> {
        self.read()?;
        self.inner.consumer_offset(subscription, partition)
    }
    fn parked_heads(&mut self, subscription: &str, partition: u32) -> Result<Vec<ParkedRow>, StoreError> {
        self.inner.parked_heads(subscription, partition)
    }
    fn parked(&mut self, subscription: &str, partition: u32, key: &str, limit: usize) -> Result<Vec<ParkedRow>, StoreError> {
        self.read()?;
        self.inner.parked(subscription, partition, key, limit)
    }
    fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        if self.crashed.load(Ordering::SeqCst) {
            return Err(CommitError::Unknown("the process is dead".into()));
        }
        if self.chance.strikes("crash before a commit", self.faults.crash_before_commit) {
            return Err(self.die());
        }
        if self.chance.strikes("disk full", self.faults.store_unavailable) {
            self.full_for.store(FULL_FOR, Ordering::SeqCst);
        }
        let full = self.full_for.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if full.is_ok() {
            return Err(CommitError::Unavailable("disk full".into()));
        }
        if self.chance.strikes("commit lost, outcome unknown", self.faults.commit_unknown_lost) {
            return Err(CommitError::Unknown("the connection broke".into()));
        }
        self.inner.commit(commit).inspect_err(|error| match error {
            CommitError::Conflict(_) => self.chance.note("version conflict"),
            CommitError::Fenced => self.chance.note("fenced"),
            _ => {}
        })?;
        if self.chance.strikes("crash after a commit", self.faults.crash_after_commit) {
            return Err(self.die());
        }
        if self.chance.strikes("commit applied, outcome unknown", self.faults.commit_unknown_applied) {
            return Err(CommitError::Unknown("the connection broke".into()));
        }
        Ok(())
    }
    fn last_commit(&mut self) -> Result<u64, StoreError> {
        self.read()?;
        self.inner.last_commit()
    }
    fn prune(&mut self, before_ms: i64, upto_seq: u64, now_ms: i64, limit: usize) -> Result<u64, StoreError> {
        self.inner.prune(before_ms, upto_seq, now_ms, limit)
    }
    fn exclusive(&self) -> bool {
        self.inner.exclusive()
    }
}
