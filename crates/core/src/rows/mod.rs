//! Rows in memory: those of the present batch, changed or not, and those cached from earlier batches.

mod directories;

use std::any::TypeId;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use kernel::context::{Lookup, Missing, Opaque};
use kernel::event::CodecError;
use kernel::field::IndexValue;

use ports::{Model, RowRef, ServiceId, Store, StoreError, StoredRow, Table, TableId};

use crate::guard::guarded;
pub use directories::DirectoryAnswers;

/// One row as it stands now. Absent rows have version 0.
#[derive(Clone, Default)]
pub struct Slot {
    /// Its id.
    pub id: Option<u64>,
    /// Its version.
    pub version: u64,
    /// The typed state.
    pub state: Option<Opaque>,
    /// Its index values, if it is listed.
    pub listed: Option<Arc<[IndexValue]>>,
    /// The state as JSON, where this batch has written it already.
    pub json: Option<Arc<str>>,
}

/// A row that the present batch has changed.
pub struct Changed<'a> {
    /// Which.
    pub row: &'a RowRef,
    /// As it was before the batch.
    pub before: &'a Slot,
    /// As it is now.
    pub now: &'a Slot,
}

/// The row cache. An absent row is cached as absent.
pub struct RowCache {
    model: Arc<Model>,
    tables: Vec<HashMap<String, Slot>>,
    order: VecDeque<RowRef>,
    /// The service whose decision looks at rows now.
    service: ServiceId,
    /// Every write since the batch began, with what was there before, newest last.
    undo: Vec<(RowRef, Slot)>,
    /// Answers of directories.
    pub answers: DirectoryAnswers,
    missing: RefCell<Vec<Missing>>,
}

impl RowCache {
    /// An empty cache.
    pub fn new(model: Arc<Model>, answers: DirectoryAnswers) -> Self {
        let tables = model.tables.iter().map(|_| HashMap::new()).collect();
        Self {
            model,
            tables,
            order: VecDeque::new(),
            service: ServiceId(0),
            undo: Vec::new(),
            answers,
            missing: RefCell::default(),
        }
    }

    /// A decision of this service follows: it sees no other service's rows, cached or not.
    pub fn decide_for(&mut self, service: ServiceId) {
        self.service = service;
    }

    /// The row, if it is cached; absence is cached too.
    pub fn get(&self, table: TableId, key: &str) -> Option<&Slot> {
        self.tables[table.0].get(key)
    }

    /// Loads rows that are not cached, all at once.
    pub fn load(&mut self, store: &mut dyn Store, mut wanted: Vec<RowRef>) -> Result<(), StoreError> {
        wanted.retain(|row| self.get(row.table, &row.key).is_none());
        wanted.sort();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(());
        }
        let loaded = store.load(&wanted)?;
        debug_assert_eq!(loaded.len(), wanted.len(), "a store answers for each row that it is asked for");
        for (row, stored) in wanted.iter().zip(loaded) {
            let put = self.put(row.table, &row.key, stored);
            put.map_err(|error| StoreError::Corrupt(format!("{}: {error}", row.key)))?;
        }
        Ok(())
    }

    /// Caches a loaded row.
    fn put(&mut self, table: TableId, key: &str, row: Option<StoredRow>) -> Result<(), CodecError> {
        let slot = match row {
            None => Slot::default(),
            Some(row) => {
                let def = self.model.table_of(table);
                let read = || {
                    let state = def.read(&row.key, row.schema, &row.data)?;
                    let listed = row.id.map(|_| def.index(&state).into());
                    Ok(Slot { id: row.id, version: row.version, state: Some(state), listed, json: None })
                };
                guarded(def.name, read).map_err(CodecError).flatten()?
            }
        };
        if self.tables[table.0].insert(key.to_owned(), slot).is_none() {
            self.order.push_back(RowRef { table, key: key.to_owned() });
        }
        Ok(())
    }

    /// Changes a cached row. The change is undone by [`Self::rollback`].
    pub fn write(&mut self, table: TableId, key: &str, slot: Slot) {
        let before = self.tables[table.0].insert(key.to_owned(), slot).unwrap_or_default();
        self.undo.push((RowRef { table, key: key.to_owned() }, before));
    }

    /// The row as it stands now is this in JSON, so that the commit need not write it once more.
    pub fn written(&mut self, table: TableId, key: &str, json: Arc<str>) {
        if let Some(slot) = self.tables[table.0].get_mut(key) {
            slot.json = Some(json);
        }
    }

    /// A point to roll back to.
    pub fn savepoint(&self) -> usize {
        self.undo.len()
    }

    /// Undoes every write since the savepoint; 0 is the beginning of the batch.
    pub fn rollback(&mut self, savepoint: usize) {
        while self.undo.len() > savepoint {
            if let Some((row, before)) = self.undo.pop() {
                self.tables[row.table.0].insert(row.key, before);
            }
        }
    }

    /// Whether the batch has changed a row.
    pub fn has_changed(&self) -> bool {
        !self.undo.is_empty()
    }

    /// The rows that the batch has changed, by table and key.
    pub fn changed(&self) -> Vec<Changed<'_>> {
        let mut first: HashMap<&RowRef, &Slot> = HashMap::new();
        for (row, before) in &self.undo {
            first.entry(row).or_insert(before);
        }
        let mut changed: Vec<_> = first.into_iter().collect();
        changed.sort_by_key(|(row, _)| *row);
        let now = |row: &RowRef| self.tables[row.table.0].get(&row.key);
        changed.into_iter().filter_map(|(row, before)| Some(Changed { row, before, now: now(row)? })).collect()
    }

    /// The batch is committed: what it wrote is the truth now.
    pub fn settle(&mut self) {
        for (row, _) in self.undo.drain(..) {
            if let Some(slot) = self.tables[row.table.0].get_mut(&row.key) {
                slot.json = None;
            }
        }
    }

    /// Between batches: keeps at most `keep` rows; 0 where others write too.
    pub fn trim(&mut self, keep: usize) {
        while self.order.len() > keep {
            if let Some(row) = self.order.pop_front() {
                self.tables[row.table.0].remove(&row.key);
            }
        }
    }

    /// Forgets a table's rows, as after a swap.
    pub fn forget(&mut self, table: TableId) {
        self.tables[table.0].clear();
        self.order.retain(|row| row.table != table);
    }

    /// What a decision asked for and was not cached, since the last call.
    pub fn take_missing(&self) -> Vec<Missing> {
        std::mem::take(&mut self.missing.borrow_mut())
    }
}

impl Lookup for RowCache {
    fn row(&self, aggregate: TypeId, key: &str) -> Option<Opaque> {
        let table = self.model.by_type(aggregate).filter(|table| self.model.table_of(*table).service == self.service);
        let cached = table.and_then(|table| self.get(table, key));
        if cached.is_none() {
            self.missing.borrow_mut().push(Missing::Row(aggregate, key.to_owned()));
        }
        cached.and_then(|slot| slot.state.clone())
    }

    fn answer(&self, port: &'static str, question: String) -> Option<Opaque> {
        if let Some(answer) = self.answers.get(port, &question) {
            return answer.clone();
        }
        self.missing.borrow_mut().push(Missing::Answer(port, question));
        None
    }

    fn settings(&self) -> Option<&Opaque> {
        self.model.system.settings.as_ref()
    }
}

/// A state as answers carry it.
pub fn state_json(table: &Table, state: &Opaque) -> Result<Arc<str>, CodecError> {
    String::from_utf8(table.encode(state)?).map(Into::into).map_err(|error| CodecError(error.to_string()))
}
