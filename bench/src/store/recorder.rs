//! A store in memory that remembers the commits it was given: what the core really writes, to be written again elsewhere.

use std::sync::{Arc, Mutex, PoisonError};

use in_memory::MemoryStore;
use ports::{
    AnswerRow, Commit, CommitError, ConsumerOffset, EffectRow, Model, ParkedRow, Partition, Record, Recovered, RowRef, Store,
    StoreError, StoredRow, TableId, TimerRow,
};

/// The store.
#[derive(Clone)]
pub struct Recorder {
    inner: MemoryStore,
    commits: Arc<Mutex<Vec<Commit>>>,
}

impl Recorder {
    /// An empty one.
    pub fn new(model: &Model) -> Self {
        Self { inner: MemoryStore::new(model), commits: Arc::default() }
    }

    /// The commits since the last time, in order.
    pub fn take(&self) -> Vec<Commit> {
        std::mem::take(&mut self.commits.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store for Recorder {
    fn recover(&mut self) -> Result<Recovered, StoreError> {
        self.inner.recover()
    }

    fn load(&mut self, wanted: &[RowRef]) -> Result<Vec<Option<StoredRow>>, StoreError> {
        self.inner.load(wanted)
    }

    fn answer(&mut self, scope: &str, key: &str) -> Result<Option<AnswerRow>, StoreError> {
        self.inner.answer(scope, key)
    }

    fn log_after(&mut self, seq: u64, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.inner.log_after(seq, limit)
    }

    fn timers_due(&mut self, until_ms: i64, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        self.inner.timers_due(until_ms, limit)
    }

    fn timer_due(&mut self, table: TableId, key: &str, name: &str) -> Result<Option<i64>, StoreError> {
        self.inner.timer_due(table, key, name)
    }
    fn next_timer(&mut self) -> Result<Option<i64>, StoreError> {
        self.inner.next_timer()
    }

    fn effects_after(&mut self, number: u64, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        self.inner.effects_after(number, limit)
    }

    fn consumer_offset(&mut self, subscription: &str, partition: &Partition) -> Result<Option<ConsumerOffset>, StoreError> {
        self.inner.consumer_offset(subscription, partition)
    }
    fn parked_heads(&mut self, subscription: &str, partition: u32) -> Result<Vec<ParkedRow>, StoreError> {
        self.inner.parked_heads(subscription, partition)
    }
    fn parked(&mut self, subscription: &str, partition: u32, key: &str, limit: usize) -> Result<Vec<ParkedRow>, StoreError> {
        self.inner.parked(subscription, partition, key, limit)
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        self.inner.commit(commit)?;
        self.commits.lock().unwrap_or_else(PoisonError::into_inner).push(commit.clone());
        Ok(())
    }

    fn last_commit(&mut self) -> Result<u64, StoreError> {
        self.inner.last_commit()
    }

    fn prune(&mut self, before_ms: i64, upto_seq: u64, now_ms: i64, limit: usize) -> Result<u64, StoreError> {
        self.inner.prune(before_ms, upto_seq, now_ms, limit)
    }

    fn exclusive(&self) -> bool {
        self.inner.exclusive()
    }
}
