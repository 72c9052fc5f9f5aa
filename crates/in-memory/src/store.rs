//! The store in memory: the writing side. A clone shares its contents, so they survive a core that "crashes".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use super::lock;
use super::tables::Tables;
use ports::model::{Model, TableId};
use ports::query::TableFields;
use ports::{
    AnswerRow, Commit, CommitError, ConsumerOffset, EffectRow, OffsetUpdate, ParkedRow, ParkedWrite, Partition, Record,
    Recovered, RowRef, Store, StoreError, StoredRow, TimerRow, TimerWrite,
};

/// A [`Store`] and its [`Reader`](ports::Reader) in one.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    contents: Arc<Mutex<Contents>>,
}

/// Consumer offsets, by subscription and partition.
pub(super) type Offsets = BTreeMap<(String, Partition), ConsumerOffset>;

/// Everything that a durable store has on disk.
#[derive(Debug, Clone)]
pub(super) struct Contents {
    pub last_commit: u64,
    pub last_seq: u64,
    last_effect: u64,
    pub last_ids: Vec<u64>,
    pub tables: Tables,
    pub fields: Vec<TableFields>,
    pub log: BTreeMap<u64, Record>,
    pub positions: Offsets,
    pub timers: BTreeMap<(TableId, String, String), TimerRow>,
    due: BTreeSet<(i64, TableId, String, String)>,
    pub effects: BTreeMap<u64, EffectRow>,
    /// By subscription, partition, key and position.
    pub parked: BTreeMap<(String, u32, String, u64), ParkedRow>,
    pub answers: BTreeMap<(String, String), AnswerRow>,
}

impl MemoryStore {
    /// An empty store for the tables of a model.
    pub fn new(model: &Model) -> Self {
        let contents = Contents {
            last_commit: 0,
            last_seq: 0,
            last_effect: 0,
            last_ids: vec![0; model.tables.len()],
            tables: Tables::new(model.tables.iter().map(|table| table.fields.len()).collect()),
            fields: model.tables.iter().map(TableFields::from).collect(),
            log: BTreeMap::new(),
            positions: BTreeMap::new(),
            timers: BTreeMap::new(),
            due: BTreeSet::new(),
            effects: BTreeMap::new(),
            parked: BTreeMap::new(),
            answers: BTreeMap::new(),
        };
        Self { contents: Arc::new(Mutex::new(contents)) }
    }

    /// A copy with the current contents.
    pub(super) fn copied(&self) -> Self {
        Self { contents: Arc::new(Mutex::new(self.contents().clone())) }
    }

    pub(super) fn contents(&self) -> MutexGuard<'_, Contents> {
        lock(&self.contents)
    }
}

impl Store for MemoryStore {
    fn recover(&mut self) -> Result<Recovered, StoreError> {
        let contents = self.contents();
        Ok(Recovered {
            last_commit: contents.last_commit,
            last_seq: contents.last_seq,
            last_effect: contents.last_effect,
            last_ids: contents.last_ids.clone(),
        })
    }

    fn consumer_offset(&mut self, subscription: &str, partition: &Partition) -> Result<Option<ConsumerOffset>, StoreError> {
        Ok(self.contents().positions.get(&(subscription.to_owned(), partition.clone())).cloned())
    }

    fn parked_heads(&mut self, subscription: &str, partition: u32) -> Result<Vec<ParkedRow>, StoreError> {
        Ok(self.contents().heads(subscription, partition))
    }

    fn load(&mut self, wanted: &[RowRef]) -> Result<Vec<Option<StoredRow>>, StoreError> {
        let contents = self.contents();
        let find = |row: &RowRef| Some(contents.tables.get(row.table)?.by_key.get(&row.key)?.row.clone());
        Ok(wanted.iter().map(find).collect())
    }

    fn answer(&mut self, scope: &str, key: &str) -> Result<Option<AnswerRow>, StoreError> {
        Ok(self.contents().answers.get(&(scope.to_owned(), key.to_owned())).cloned())
    }

    fn log_after(&mut self, seq: u64, limit: usize) -> Result<Vec<Record>, StoreError> {
        Ok(self.contents().log.range(seq.saturating_add(1)..).take(limit).map(|(_, record)| record.clone()).collect())
    }

    fn timers_due(&mut self, until_ms: i64, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        let contents = self.contents();
        let due = contents.due.iter().take_while(|(due_ms, ..)| *due_ms <= until_ms).take(limit);
        let rows = due.filter_map(|(_, table, key, name)| contents.timers.get(&(*table, key.clone(), name.clone())).cloned());
        Ok(rows.collect())
    }

    fn timer_due(&mut self, table: TableId, key: &str, name: &str) -> Result<Option<i64>, StoreError> {
        let contents = self.contents();
        Ok(contents.timers.get(&(table, key.to_owned(), name.to_owned())).map(|timer| timer.due_ms))
    }

    fn next_timer(&mut self) -> Result<Option<i64>, StoreError> {
        Ok(self.contents().due.first().map(|(due_ms, ..)| *due_ms))
    }

    fn effects_after(&mut self, number: u64, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        Ok(self.contents().effects.range(number.saturating_add(1)..).take(limit).map(|(_, row)| row.clone()).collect())
    }

    fn parked(&mut self, subscription: &str, partition: u32, key: &str, limit: usize) -> Result<Vec<ParkedRow>, StoreError> {
        let position = |position| (subscription.to_owned(), partition, key.to_owned(), position);
        let contents = self.contents();
        Ok(contents.parked.range(position(0)..=position(u64::MAX)).take(limit).map(|(_, row)| row.clone()).collect())
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        self.contents().commit(commit).map_err(CommitError::Refused)
    }

    fn last_commit(&mut self) -> Result<u64, StoreError> {
        Ok(self.contents().last_commit)
    }

    fn prune(&mut self, before_ms: i64, upto_seq: u64, now_ms: i64, limit: usize) -> Result<u64, StoreError> {
        let mut contents = self.contents();
        let old = contents.log.range(..=upto_seq).filter(|(_, record)| record.time_ms < before_ms);
        let old: Vec<u64> = old.map(|(seq, _)| *seq).take(limit).collect();
        let expired = contents.answers.iter().filter(|(_, answer)| answer.expires_ms <= now_ms);
        let expired: Vec<_> = expired.map(|(key, _)| key.clone()).take(limit).collect();
        for seq in &old {
            contents.log.remove(seq);
        }
        for key in &expired {
            contents.answers.remove(key);
        }
        Ok((old.len() + expired.len()) as u64)
    }

    fn exclusive(&self) -> bool {
        true
    }
}

impl Contents {
    /// Rejects before it changes anything; what follows the tables cannot fail.
    fn commit(&mut self, commit: &Commit) -> Result<(), String> {
        self.check(commit)?;
        self.tables.apply(commit)?;
        self.last_commit = commit.number;
        for (table, id) in &commit.last_ids {
            self.last_ids[table.0] = *id;
        }
        self.note(commit);
        Ok(())
    }

    /// Applies everything of a commit but its rows and numbers. It cannot fail.
    pub fn note(&mut self, commit: &Commit) {
        for record in &commit.log {
            self.last_seq += 1;
            self.log.insert(self.last_seq, Record { seq: self.last_seq, ..record.clone() });
        }
        for OffsetUpdate { subscription, partition, to, numbers, .. } in &commit.positions {
            let consumer_offset = self.positions.entry((subscription.clone(), partition.clone())).or_default();
            consumer_offset.position = *to;
            consumer_offset.numbers.retain(|(outbox, _)| !numbers.iter().any(|(other, _)| other == outbox));
            consumer_offset.numbers.extend(numbers.iter().cloned());
        }
        commit.timers.iter().for_each(|write| self.write_timer(write));
        self.write_effects(commit);
        commit.parked.iter().for_each(|write| self.write_parked(write));
        for answer in &commit.answers {
            self.answers.insert((answer.scope.clone(), answer.key.clone()), answer.clone());
        }
    }

    fn check(&self, commit: &Commit) -> Result<(), String> {
        if commit.number != self.last_commit + 1 {
            return Err(format!("commit {} cannot follow commit {}", commit.number, self.last_commit));
        }
        for (record, seq) in commit.log.iter().zip(self.last_seq + 1..) {
            if record.seq != seq {
                return Err(format!("record {} cannot be at position {seq}", record.seq));
            }
        }
        let mut last = self.last_effect;
        for effect in &commit.effects {
            if effect.number <= last {
                return Err(format!("effect {} cannot follow effect {last}", effect.number));
            }
            last = effect.number;
        }
        let strange = commit.last_ids.iter().find(|(table, _)| table.0 >= self.tables.len());
        strange.map_or(Ok(()), |(table, _)| Err(format!("there is no table {}", table.0)))
    }

    fn write_timer(&mut self, write: &TimerWrite) {
        let (table, key, name) = match write {
            TimerWrite::Set(row) => (row.table, &row.key, &row.name),
            TimerWrite::Clear { table, key, name, .. } => (*table, key, name),
        };
        if let Some(old) = self.timers.remove(&(table, key.clone(), name.clone())) {
            self.due.remove(&(old.due_ms, table, old.key, old.name));
        }
        if let TimerWrite::Set(row) = write {
            self.due.insert((row.due_ms, table, key.clone(), name.clone()));
            self.timers.insert((table, key.clone(), name.clone()), row.clone());
        }
    }

    /// Inserts effects after the withdrawals: a new effect carries its own withdrawn flag.
    fn write_effects(&mut self, commit: &Commit) {
        for number in &commit.effects_done {
            self.effects.remove(number);
        }
        if !commit.withdrawn.is_empty() {
            for effect in self.effects.values_mut() {
                effect.withdrawn |= commit.withdrawn.iter().any(|row| row.table == effect.table && row.key == effect.key);
            }
        }
        for effect in &commit.effects {
            self.last_effect = effect.number;
            self.effects.insert(effect.number, effect.clone());
        }
    }

    fn write_parked(&mut self, write: &ParkedWrite) {
        match write {
            ParkedWrite::Put(row) => {
                let at = (row.subscription.clone(), row.partition, row.key.clone(), row.position);
                self.parked.insert(at, row.clone());
            }
            ParkedWrite::Remove { subscription, key, partition, position } => {
                self.parked.remove(&(subscription.clone(), *partition, key.clone(), *position));
            }
        }
    }

    /// The first parked row of each key.
    fn heads(&self, subscription: &str, partition: u32) -> Vec<ParkedRow> {
        let mut heads: Vec<ParkedRow> = Vec::new();
        for row in self.parked.values().filter(|row| row.subscription == subscription && row.partition == partition) {
            if heads.last().is_none_or(|head| head.key != row.key) {
                heads.push(row.clone());
            }
        }
        heads
    }
}
