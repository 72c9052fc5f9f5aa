//! Ports that are wrong on purpose, one way at a time: a simulation that does not fail over them proves nothing.

use in_memory::MemoryStore;
use kernel::RetrySafety;
use ports::{
    AnswerRow, Commit, CommitError, ConsumerOffset, EffectRow, ParkedRow, Partition, Record, Recovered, RowRef, Store,
    StoreError, StoredRow, TableId, TimerRow, TimerWrite,
};

use crate::store::FaultyStore;

/// A way in which a port is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Nothing is wrong: the control, which must pass.
    Nothing,
    /// Offsets are not stored: records are handled again after a restart.
    PositionForgotten,
    /// Offsets are committed before the state that the records lead to.
    PositionBeforeEffect,
    /// Events are committed before the state that they came from.
    LogBeforeState,
    /// Effects are done before their aggregates have handled the reply.
    EffectForgotten,
    /// Timers are due an hour early.
    TimerEarly,
    /// A timer that has fired stays set.
    TimerTwice,
    /// A commit in doubt is reported as lost.
    UnknownIsLost,
    /// A commit in doubt is reported as applied.
    UnknownIsApplied,
    /// Idempotency keys are forgotten.
    KeysForgotten,
    /// A call of unknown outcome is repeated without a query.
    RepeatedBlindly,
    /// Parked events are not stored.
    ParkedLost,
}

impl Sabotage {
    /// What the effect handlers wrongly promise, if it is that which is wrong.
    pub(crate) fn retry_safety(self) -> Option<RetrySafety> {
        (self == Self::RepeatedBlindly).then_some(RetrySafety::Idempotent)
    }
}

/// The store of a core, wrong in that way.
pub(crate) fn sabotaged(store: &FaultyStore<MemoryStore>, sabotage: Option<Sabotage>) -> Box<dyn Store> {
    match sabotage {
        Some(sabotage) => Box::new(Saboteur { inner: store.clone(), sabotage, given: 0, applied: 0 }),
        None => Box::new(store.clone()),
    }
}

/// A store whose commits may come in two parts: the core's numbers are not the inner store's.
struct Saboteur {
    inner: FaultyStore<MemoryStore>,
    sabotage: Sabotage,
    given: u64,
    applied: u64,
}

impl Saboteur {
    /// The parts in which a commit is applied; a crash may come between them.
    fn parts(&self, commit: &Commit) -> Vec<Commit> {
        let mut rest = commit.clone();
        let first = match self.sabotage {
            Sabotage::PositionBeforeEffect => {
                Some(Commit { positions: std::mem::take(&mut rest.positions), ..Commit::default() })
            }
            Sabotage::LogBeforeState => Some(Commit { log: std::mem::take(&mut rest.log), ..Commit::default() }),
            Sabotage::EffectForgotten => {
                Some(Commit { effects_done: std::mem::take(&mut rest.effects_done), ..Commit::default() })
            }
            _ => None,
        };
        match self.sabotage {
            Sabotage::PositionForgotten => rest.positions.clear(),
            Sabotage::TimerTwice => rest.timers.retain(|change| !matches!(change, TimerWrite::Clear { .. })),
            Sabotage::ParkedLost => rest.parked.clear(),
            _ => {}
        }
        first.into_iter().chain([rest]).collect()
    }
}

impl Store for Saboteur {
    fn recover(&mut self) -> Result<Recovered, StoreError> {
        let recovered = self.inner.recover()?;
        (self.given, self.applied) = (recovered.last_commit, recovered.last_commit);
        Ok(recovered)
    }
    fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        self.given = commit.number;
        for mut part in self.parts(commit) {
            let last = self.inner.recover().map_err(|error| CommitError::Unavailable(error.to_string()))?;
            part.number = last.last_commit + 1;
            let result = self.inner.commit(&part);
            if let Err(CommitError::Unknown(cause)) = result {
                let known = self.inner.recover().is_ok_and(|now| now.last_commit == part.number);
                self.applied = if known { commit.number } else { self.applied };
                return Err(CommitError::Unknown(cause));
            }
            result?;
        }
        self.applied = commit.number;
        Ok(())
    }
    fn last_commit(&mut self) -> Result<u64, StoreError> {
        self.inner.last_commit()?;
        Ok(match self.sabotage {
            Sabotage::UnknownIsLost => self.given.saturating_sub(1),
            Sabotage::UnknownIsApplied => self.given,
            _ => self.applied,
        })
    }
    fn timers_due(&mut self, until_ms: i64, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        let early_ms = if self.sabotage == Sabotage::TimerEarly { 3_600_000 } else { 0 };
        self.inner.timers_due(until_ms + early_ms, limit)
    }
    fn timer_due(&mut self, table: TableId, key: &str, name: &str) -> Result<Option<i64>, StoreError> {
        self.inner.timer_due(table, key, name)
    }
    fn next_timer(&mut self) -> Result<Option<i64>, StoreError> {
        let early_ms = if self.sabotage == Sabotage::TimerEarly { 3_600_000 } else { 0 };
        Ok(self.inner.next_timer()?.map(|due| due - early_ms))
    }
    fn answer(&mut self, scope: &str, key: &str) -> Result<Option<AnswerRow>, StoreError> {
        let answer = self.inner.answer(scope, key)?;
        Ok(answer.filter(|_| self.sabotage != Sabotage::KeysForgotten))
    }
    fn consumer_offset(&mut self, subscription: &str, partition: &Partition) -> Result<Option<ConsumerOffset>, StoreError> {
        self.inner.consumer_offset(subscription, partition)
    }
    fn parked_heads(&mut self, subscription: &str, partition: u32) -> Result<Vec<ParkedRow>, StoreError> {
        self.inner.parked_heads(subscription, partition)
    }
    fn load(&mut self, wanted: &[RowRef]) -> Result<Vec<Option<StoredRow>>, StoreError> {
        self.inner.load(wanted)
    }
    fn log_after(&mut self, seq: u64, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.inner.log_after(seq, limit)
    }
    fn effects_after(&mut self, number: u64, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        self.inner.effects_after(number, limit)
    }
    fn parked(&mut self, subscription: &str, partition: u32, key: &str, limit: usize) -> Result<Vec<ParkedRow>, StoreError> {
        self.inner.parked(subscription, partition, key, limit)
    }
    fn prune(&mut self, before_ms: i64, upto_seq: u64, now_ms: i64, limit: usize) -> Result<u64, StoreError> {
        self.inner.prune(before_ms, upto_seq, now_ms, limit)
    }
    fn exclusive(&self) -> bool {
        self.inner.exclusive()
    }
}
