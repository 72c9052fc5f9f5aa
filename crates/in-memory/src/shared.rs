//! A shared store in memory, with the fences of a database: a commit based on outdated state is a conflict.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use super::lock;
use super::store::{Contents, MemoryStore};
use defects::{Defect, has};
use ports::model::{Model, TableId};
use ports::{
    AnswerRow, Commit, CommitError, ConsumerOffset, EffectRow, ParkedRow, ParkedWrite, Partition, Record, Recovered, RowRef,
    Store, StoreError, StoredRow, TimerRow, TimerWrite,
};

/// The database that instances share. Clones are the same database.
#[derive(Debug, Clone)]
pub struct SharedMemory {
    rows: MemoryStore,
    registry: Arc<Mutex<Registry>>,
    /// The snapshot that instances read instead of the current state, if any.
    past: Arc<Mutex<Option<MemoryStore>>>,
    lease_ms: i64,
}

/// The instances, and the owner of each effect.
#[derive(Debug, Default)]
pub(super) struct Registry {
    now_ms: i64,
    instances: BTreeMap<u64, Instance>,
    owners: BTreeMap<u64, u64>,
    pub relay: RelayState,
}

/// The relay state of an outbox: the last number sent, and the lease.
#[derive(Debug, Default)]
pub(super) struct RelayState {
    pub sent: u64,
    pub holder: u64,
    pub until_ms: i64,
    pub relays: u64,
}

#[derive(Debug, Default)]
struct Instance {
    last_commit: u64,
    until_ms: i64,
    fenced: bool,
}

/// The number of an instance is shifted by so many bits: its effect numbers are above those of earlier instances.
const NUMBERS: u32 = 40;

impl SharedMemory {
    /// An empty database; the lease of an instance expires after `lease_ms` milliseconds.
    pub fn new(model: &Model, lease_ms: i64) -> Self {
        Self { rows: MemoryStore::new(model), registry: Arc::default(), past: Arc::default(), lease_ms }
    }

    /// The reading side.
    pub fn reader(&self) -> &MemoryStore {
        &self.rows
    }

    /// The database's clock, milliseconds since 1970.
    pub fn set_now(&self, now_ms: i64) {
        self.registry().now_ms = now_ms;
    }

    /// The writing side for one process; it becomes an instance when it recovers.
    pub fn connect(&self) -> SharedStore {
        SharedStore { shared: self.clone(), me: 0 }
    }

    /// A snapshot of the current state, for [`Self::read_from`].
    pub fn snapshot(&self) -> MemoryStore {
        self.rows.copied()
    }

    /// Lets instances read from a snapshot, as a batch does that began before others committed; `None` for the current state.
    pub fn read_from(&self, past: Option<MemoryStore>) {
        *lock(&self.past) = past;
    }

    fn readable(&self) -> MemoryStore {
        lock(&self.past).clone().unwrap_or_else(|| self.rows.clone())
    }

    pub(super) fn registry(&self) -> MutexGuard<'_, Registry> {
        lock(&self.registry)
    }
}

impl Registry {
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }
}

/// One process's connection to a [`SharedMemory`].
#[derive(Debug)]
pub struct SharedStore {
    shared: SharedMemory,
    me: u64,
}

impl SharedStore {
    fn conflict(&self, contents: &Contents, registry: &Registry, commit: &Commit) -> Option<String> {
        let versions = commit.rows.iter().find_map(|row| {
            let there = contents.tables.get(row.table)?.by_key.get(&row.key).map_or(0, |indexed| indexed.row.version);
            (there != row.old_version).then(|| format!("row {} has version {there}, not {}", row.key, row.old_version))
        });
        versions
            .filter(|_| !has(Defect::VersionsUnfenced))
            .or_else(|| offset_conflict(contents, commit).filter(|_| !has(Defect::PositionsUnfenced)))
            .or_else(|| parked_conflict(contents, commit))
            .or_else(|| timer_conflict(contents, commit))
            .or_else(|| {
                let mine = |number: &u64| registry.owners.get(number) == Some(&self.me) || has(Defect::LeaseIgnored);
                let gone = commit.effects_done.iter().find(|number| !mine(number))?;
                Some(format!("effect {gone} is not this instance's"))
            })
            .or_else(|| {
                let stands = |answer: &&AnswerRow| {
                    let there = contents.answers.get(&(answer.scope.clone(), answer.key.clone()));
                    there.is_some_and(|there| there.expires_ms > registry.now_ms) && !has(Defect::AnswersUnfenced)
                };
                commit.answers.iter().find(stands).map(|answer| format!("the key {} is answered", answer.key))
            })
    }
}

/// The commit with its expected versions replaced by the stored ones.
fn overwriting(contents: &Contents, commit: &Commit) -> Commit {
    let mut commit = commit.clone();
    for row in &mut commit.rows {
        let there = contents.tables.get(row.table).and_then(|rows| rows.by_key.get(&row.key));
        row.old_version = there.map_or(0, |indexed| indexed.row.version);
    }
    commit
}

fn offset_conflict(contents: &Contents, commit: &Commit) -> Option<String> {
    commit.positions.iter().find_map(|update| {
        let there = contents.positions.get(&(update.subscription.clone(), update.partition.clone()));
        let there = there.map(|consumer_offset| consumer_offset.position);
        (there != update.from).then(|| format!("{} is at {there:?}, not {:?}", update.subscription, update.from))
    })
}

fn parked_conflict(contents: &Contents, commit: &Commit) -> Option<String> {
    let mut seen = contents.parked.iter().map(|(at, row)| (at.clone(), row.attempts)).collect::<BTreeMap<_, _>>();
    commit.parked.iter().find_map(|write| match write {
        ParkedWrite::Put(row) => {
            let at = (row.subscription.clone(), row.partition, row.key.clone(), row.position);
            let fits = seen.get(&at).map_or(row.attempts <= 1, |attempts| attempts + 1 == row.attempts);
            seen.insert(at, row.attempts);
            (!fits).then(|| format!("{} at {} of {} was parked concurrently", row.key, row.position, row.subscription))
        }
        ParkedWrite::Remove { subscription, key, partition, position } => {
            let was = seen.remove(&(subscription.clone(), *partition, key.clone(), *position));
            was.is_none().then(|| format!("{key} at {position} of {subscription} is not parked any more"))
        }
    })
}

fn timer_conflict(contents: &Contents, commit: &Commit) -> Option<String> {
    commit.timers.iter().find_map(|write| match write {
        TimerWrite::Clear { table, key, name, fires_ms: Some(due) } => {
            let there = contents.timers.get(&(*table, key.clone(), name.clone())).map(|timer| timer.due_ms);
            (there != Some(*due)).then(|| format!("timer {name} of {key} is due at {there:?}, not {due}"))
        }
        _ => None,
    })
}

impl Store for SharedStore {
    fn recover(&mut self) -> Result<Recovered, StoreError> {
        let last_ids = self.shared.rows.contents().last_ids.clone();
        let mut registry = self.shared.registry();
        self.me = registry.instances.len() as u64 + 1;
        let until_ms = registry.now_ms + self.shared.lease_ms;
        registry.instances.insert(self.me, Instance { until_ms, ..Instance::default() });
        Ok(Recovered { last_commit: 0, last_seq: 0, last_effect: self.me << NUMBERS, last_ids })
    }

    fn consumer_offset(&mut self, subscription: &str, partition: &Partition) -> Result<Option<ConsumerOffset>, StoreError> {
        self.shared.readable().consumer_offset(subscription, partition)
    }

    fn parked_heads(&mut self, subscription: &str, partition: u32) -> Result<Vec<ParkedRow>, StoreError> {
        self.shared.readable().parked_heads(subscription, partition)
    }

    fn ids(&mut self, table: TableId, count: u64) -> Result<Range<u64>, StoreError> {
        let mut contents = self.shared.rows.contents();
        let last = contents.last_ids.get_mut(table.0).ok_or_else(|| StoreError::Corrupt("there is no such table".into()))?;
        let first = *last + 1;
        *last += if has(Defect::IdsGivenTwice) { 1 } else { count };
        Ok(first..first + count)
    }

    fn adopt(&mut self, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        let contents = self.shared.rows.contents();
        let mut registry = self.shared.registry();
        let now_ms = registry.now_ms;
        let until_ms = now_ms + self.shared.lease_ms;
        for (number, instance) in &mut registry.instances {
            if *number == self.me && !instance.fenced {
                instance.until_ms = until_ms;
            }
            instance.fenced |= instance.until_ms < now_ms;
        }
        let dead = |owner: &u64| registry.instances.get(owner).is_none_or(|instance| instance.fenced) && *owner != self.me;
        if registry.instances.get(&self.me).is_none_or(|instance| instance.fenced) && !has(Defect::LeaseIgnored) {
            return Err(StoreError::Fenced);
        }
        let left: Vec<u64> =
            registry.owners.iter().filter(|(_, owner)| dead(owner)).map(|(number, _)| *number).take(limit).collect();
        let me = self.me;
        registry.owners.extend(left.iter().map(|number| (*number, me)));
        Ok(left.iter().filter_map(|number| contents.effects.get(number).cloned()).collect())
    }

    fn load(&mut self, wanted: &[RowRef]) -> Result<Vec<Option<StoredRow>>, StoreError> {
        self.shared.readable().load(wanted)
    }

    fn answer(&mut self, scope: &str, key: &str) -> Result<Option<AnswerRow>, StoreError> {
        self.shared.readable().answer(scope, key)
    }

    fn log_after(&mut self, seq: u64, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.shared.readable().log_after(seq, limit)
    }

    fn timers_due(&mut self, until_ms: i64, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        self.shared.readable().timers_due(until_ms, limit)
    }

    fn timer_due(&mut self, table: TableId, key: &str, name: &str) -> Result<Option<i64>, StoreError> {
        self.shared.readable().timer_due(table, key, name)
    }

    fn next_timer(&mut self) -> Result<Option<i64>, StoreError> {
        self.shared.readable().next_timer()
    }

    fn effects_after(&mut self, number: u64, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        let numbers = (self.me << NUMBERS)..((self.me + 1) << NUMBERS);
        let contents = self.shared.rows.contents();
        let rows = contents.effects.range(numbers).filter(|(other, _)| **other > number).take(limit);
        Ok(rows.map(|(_, row)| row.clone()).collect())
    }

    fn parked(&mut self, subscription: &str, partition: u32, key: &str, limit: usize) -> Result<Vec<ParkedRow>, StoreError> {
        self.shared.readable().parked(subscription, partition, key, limit)
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        let mut contents = self.shared.rows.contents();
        let mut registry = self.shared.registry();
        let mine = registry.instances.get(&self.me).filter(|instance| !instance.fenced || has(Defect::LeaseIgnored));
        let mine = mine.ok_or(CommitError::Fenced)?;
        if commit.number != mine.last_commit + 1 {
            let (number, last) = (commit.number, mine.last_commit);
            return Err(CommitError::Refused(format!("commit {number} cannot follow commit {last}")));
        }
        if let Some(conflict) = self.conflict(&contents, &registry, commit) {
            return Err(CommitError::Conflict(conflict));
        }
        let overwriting = has(Defect::VersionsUnfenced).then(|| overwriting(&contents, commit));
        contents.tables.apply(overwriting.as_ref().unwrap_or(commit)).map_err(CommitError::Refused)?;
        for (table, id) in &commit.last_ids {
            contents.last_ids[table.0] = contents.last_ids[table.0].max(*id);
        }
        contents.note(commit);
        registry.owners.retain(|number, _| !commit.effects_done.contains(number));
        registry.owners.extend(commit.effects.iter().map(|effect| (effect.number, self.me)));
        registry.instances.entry(self.me).or_default().last_commit = commit.number;
        Ok(())
    }

    fn last_commit(&mut self) -> Result<u64, StoreError> {
        Ok(self.shared.registry().instances.get(&self.me).map_or(0, |instance| instance.last_commit))
    }

    fn prune(&mut self, before_ms: i64, upto_seq: u64, now_ms: i64, limit: usize) -> Result<u64, StoreError> {
        let sent = self.shared.registry().relay.sent;
        self.shared.rows.clone().prune(before_ms, upto_seq.min(sent), now_ms, limit)
    }

    fn lease_ms(&self) -> Option<i64> {
        Some(self.shared.lease_ms)
    }

    fn exclusive(&self) -> bool {
        false
    }
}
