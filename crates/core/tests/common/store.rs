//! A store in memory, with faults that a test orders in advance.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use ports::{
    AnswerRow, Commit, CommitError, ConsumerOffset, EffectRow, ParkedRow, Partition, Record, Recovered, RowRef, Store,
    StoreError, StoredRow, TableId, TimerRow,
};

/// What becomes of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is applied.
    Fine,
    /// The disk is full.
    Full,
    /// It is applied, and nobody hears of it.
    AppliedUnheard,
    /// It is not applied, and nobody hears of it.
    LostUnheard,
}

/// What goes wrong.
#[derive(Default)]
pub struct Plan {
    /// The fates of the next commits; fine where there are no more.
    pub fates: VecDeque<Fate>,
    /// Reads fail: so many of the next.
    pub failing_reads: usize,
    /// Questions for the next timer fail: so many of the next.
    pub silent_about_timers: usize,
    /// Questions for the last commit fail: so many of the next.
    pub failing_questions: usize,
    /// Commits with a row of such a key are refused.
    pub refused_key: Option<String>,
    /// Rows of such a key cannot be read.
    pub damaged_key: Option<String>,
    /// Others write, too, though the store is an exclusive one.
    pub shared: bool,
    /// The last ids that were given where others write, too.
    pub ids: BTreeMap<TableId, u64>,
    /// What others do between the batches of the next commits and the commits.
    pub meanwhile: VecDeque<Box<dyn FnOnce() + Send>>,
    /// Commits that were asked for.
    pub commits: usize,
    /// Loads that were asked for.
    pub loads: usize,
}

/// The store. Clones share everything.
#[derive(Clone)]
pub struct Fickle {
    inner: Arc<Mutex<Box<dyn Store>>>,
    plan: Arc<Mutex<Plan>>,
}

impl Fickle {
    /// Around a store in memory, without faults yet.
    pub fn around(inner: Box<dyn Store>) -> Self {
        Self { inner: Arc::new(Mutex::new(inner)), plan: Arc::default() }
    }

    /// The process has died, and another connects.
    pub fn reconnect(&self, inner: Box<dyn Store>) {
        *self.inner() = inner;
    }

    /// What is behind the faults.
    pub fn inner(&self) -> MutexGuard<'_, Box<dyn Store>> {
        self.inner.lock().unwrap()
    }

    /// What goes wrong.
    pub fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap()
    }

    fn fate(&self, commit: &Commit) -> Result<Fate, CommitError> {
        let mut plan = self.plan();
        plan.commits += 1;
        if plan.refused_key.as_ref().is_some_and(|key| commit.rows.iter().any(|row| row.key == *key)) {
            return Err(CommitError::Refused("such a row cannot be".into()));
        }
        Ok(plan.fates.pop_front().unwrap_or(Fate::Fine))
    }

    fn read(&self) -> Result<(), StoreError> {
        let mut plan = self.plan();
        if plan.failing_reads == 0 {
            return Ok(());
        }
        plan.failing_reads -= 1;
        Err(StoreError::Unavailable("it does not read".into()))
    }
}

impl Store for Fickle {
    fn recover(&mut self) -> Result<Recovered, StoreError> {
        self.inner().recover()
    }
    fn consumer_offset(&mut self, subscription: &str, partition: &Partition) -> Result<Option<ConsumerOffset>, StoreError> {
        self.read()?;
        self.inner().consumer_offset(subscription, partition)
    }
    fn parked_heads(&mut self, subscription: &str, partition: u32) -> Result<Vec<ParkedRow>, StoreError> {
        self.inner().parked_heads(subscription, partition)
    }
    fn load(&mut self, wanted: &[RowRef]) -> Result<Vec<Option<StoredRow>>, StoreError> {
        self.read()?;
        self.plan().loads += 1;
        let damaged = self.plan().damaged_key.clone();
        if damaged.is_some_and(|key| wanted.iter().any(|row| row.key == key)) {
            return Err(StoreError::Corrupt("a row is damaged".into()));
        }
        self.inner().load(wanted)
    }
    fn answer(&mut self, scope: &str, key: &str) -> Result<Option<AnswerRow>, StoreError> {
        self.inner().answer(scope, key)
    }
    fn log_after(&mut self, seq: u64, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.read()?;
        self.inner().log_after(seq, limit)
    }
    fn timers_due(&mut self, until_ms: i64, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        self.read()?;
        self.inner().timers_due(until_ms, limit)
    }
    fn timer_due(&mut self, table: TableId, key: &str, name: &str) -> Result<Option<i64>, StoreError> {
        self.inner().timer_due(table, key, name)
    }
    fn next_timer(&mut self) -> Result<Option<i64>, StoreError> {
        let left = self.plan().silent_about_timers;
        if left > 0 {
            self.plan().silent_about_timers = left - 1;
            return Err(StoreError::Unavailable("it does not read".into()));
        }
        self.inner().next_timer()
    }
    fn effects_after(&mut self, number: u64, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        self.inner().effects_after(number, limit)
    }
    fn parked(&mut self, subscription: &str, partition: u32, key: &str, limit: usize) -> Result<Vec<ParkedRow>, StoreError> {
        self.inner().parked(subscription, partition, key, limit)
    }
    fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        let meanwhile = self.plan().meanwhile.pop_front();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        match self.fate(commit)? {
            Fate::Fine => self.inner().commit(commit),
            Fate::Full => Err(CommitError::Unavailable("the disk is full".into())),
            Fate::LostUnheard => Err(CommitError::Unknown("no answer".into())),
            Fate::AppliedUnheard => {
                self.inner().commit(commit)?;
                Err(CommitError::Unknown("no answer".into()))
            }
        }
    }
    fn last_commit(&mut self) -> Result<u64, StoreError> {
        let left = self.plan().failing_questions;
        if left > 0 {
            self.plan().failing_questions = left - 1;
            return Err(StoreError::Unavailable("it does not answer".into()));
        }
        self.inner().last_commit()
    }
    fn prune(&mut self, before_ms: i64, upto_seq: u64, now_ms: i64, limit: usize) -> Result<u64, StoreError> {
        self.inner().prune(before_ms, upto_seq, now_ms, limit)
    }
    fn exclusive(&self) -> bool {
        !self.plan().shared && self.inner().exclusive()
    }
    fn lease_ms(&self) -> Option<i64> {
        self.inner().lease_ms()
    }
    fn ids(&mut self, table: TableId, count: u64) -> Result<Range<u64>, StoreError> {
        if !self.inner().exclusive() {
            return self.inner().ids(table, count);
        }
        let given = self.inner().recover()?.last_ids[table.0];
        let mut plan = self.plan();
        let last = plan.ids.entry(table).or_default();
        let first = given.max(*last) + 1;
        *last = first + count - 1;
        Ok(first..first + count)
    }
    fn adopt(&mut self, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        self.read()?;
        self.inner().adopt(limit)
    }
}
