//! The rows and counters of each table, changed by a commit completely or not at all.

use std::collections::BTreeMap;

use kernel::field::IndexValue;

use ports::model::{Counter, TableId};
use ports::{Commit, CounterDelta, RowWrite, StoredRow};

/// A row with its index values.
#[derive(Debug, Clone)]
pub(super) struct IndexedRow {
    pub row: StoredRow,
    pub index: Vec<IndexValue>,
}

/// One table.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    pub by_key: BTreeMap<String, IndexedRow>,
    /// The listed rows: those that have an id.
    pub ids: BTreeMap<u64, String>,
    pub counters: BTreeMap<Counter, u64>,
}

impl Rows {
    /// Replaces a row and returns the previous one.
    fn replace(&mut self, key: &str, new: Option<IndexedRow>) -> Option<IndexedRow> {
        let id = new.as_ref().and_then(|indexed| indexed.row.id);
        let old = match new {
            Some(indexed) => self.by_key.insert(key.to_owned(), indexed),
            None => self.by_key.remove(key),
        };
        if let Some(old_id) = old.as_ref().and_then(|indexed| indexed.row.id) {
            self.ids.remove(&old_id);
        }
        if let Some(id) = id {
            self.ids.insert(id, key.to_owned());
        }
        old
    }

    fn count(&mut self, counter: &Counter, rows: u64) {
        if rows == 0 {
            self.counters.remove(counter);
        } else {
            self.counters.insert(counter.clone(), rows);
        }
    }

    /// The value of a counter, 0 where nothing is counted.
    pub fn counter(&self, counter: &Counter) -> u64 {
        self.counters.get(counter).copied().unwrap_or_default()
    }

    /// The listed rows in the order of their ids.
    pub fn listed(&self) -> impl DoubleEndedIterator<Item = (u64, &IndexedRow)> {
        self.ids.iter().filter_map(|(id, key)| Some((*id, self.by_key.get(key)?)))
    }
}

/// All tables of a system, with the number of declared fields of each.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    tables: Vec<Rows>,
    fields: Vec<usize>,
}

/// The state before one step of a commit.
enum Undo {
    Table(TableId, Rows),
    Row(TableId, String, Option<IndexedRow>),
    Counter(TableId, Counter, u64),
}

impl Tables {
    pub fn new(fields: Vec<usize>) -> Self {
        Self { tables: vec![Rows::default(); fields.len()], fields }
    }

    pub fn len(&self) -> usize {
        self.tables.len()
    }

    pub fn get(&self, table: TableId) -> Option<&Rows> {
        self.tables.get(table.0)
    }

    fn get_mut(&mut self, table: TableId) -> Result<&mut Rows, String> {
        self.tables.get_mut(table.0).ok_or_else(|| format!("there is no table {}", table.0))
    }

    /// Applies a commit's rows and counters; an error leaves everything unchanged.
    pub fn apply(&mut self, commit: &Commit) -> Result<(), String> {
        let mut undo = Vec::new();
        let applied = self.steps(commit, &mut undo);
        if applied.is_err() {
            for step in undo.into_iter().rev() {
                self.undo(step);
            }
        }
        applied
    }

    fn steps(&mut self, commit: &Commit, undo: &mut Vec<Undo>) -> Result<(), String> {
        for table in &commit.clear {
            let rows = std::mem::take(self.get_mut(*table)?);
            undo.push(Undo::Table(*table, rows));
        }
        for write in &commit.rows {
            self.write(write, undo)?;
        }
        for delta in &commit.counters {
            self.count(delta, undo)?;
        }
        if let Some((one, other)) = commit.swap {
            self.swap(one, other)?;
        }
        Ok(())
    }

    fn write(&mut self, write: &RowWrite, undo: &mut Vec<Undo>) -> Result<(), String> {
        let fields = self.fields.get(write.table.0).copied().unwrap_or_default();
        let rows = self.get_mut(write.table)?;
        let refuse = |fault: String| Err(format!("row {} of table {}: {fault}", write.key, write.table.0));
        let there = rows.by_key.get(&write.key).map_or(0, |indexed| indexed.row.version);
        if there != write.old_version {
            return refuse(format!("version {} was expected, {there} is there", write.old_version));
        }
        let new = match &write.data {
            None => None,
            Some(_) if write.index.len() != fields => {
                return refuse(format!("{} index values for {fields} fields", write.index.len()));
            }
            Some(data) => {
                if let Some(id) = write.id
                    && rows.ids.get(&id).is_some_and(|owner| *owner != write.key)
                {
                    return refuse(format!("the id {id} is taken"));
                }
                let (key, data) = (write.key.clone(), data.clone());
                let row = StoredRow { key, id: write.id, version: write.version, schema: write.schema, data };
                Some(IndexedRow { row, index: write.index.clone() })
            }
        };
        let old = rows.replace(&write.key, new);
        undo.push(Undo::Row(write.table, write.key.clone(), old));
        Ok(())
    }

    fn count(&mut self, delta: &CounterDelta, undo: &mut Vec<Undo>) -> Result<(), String> {
        let rows = self.get_mut(delta.table)?;
        let before = rows.counter(&delta.counter);
        let after = before.checked_add_signed(delta.delta).ok_or_else(|| {
            let Counter { name, value } = &delta.counter;
            format!("counter {name}={value} of table {} is {before} and cannot change by {}", delta.table.0, delta.delta)
        })?;
        rows.count(&delta.counter, after);
        undo.push(Undo::Counter(delta.table, delta.counter.clone(), before));
        Ok(())
    }

    fn swap(&mut self, one: TableId, other: TableId) -> Result<(), String> {
        let (first, second) = (one.0.min(other.0), one.0.max(other.0));
        if second >= self.tables.len() || self.fields[first] != self.fields[second] {
            return Err(format!("tables {first} and {second} cannot change places"));
        }
        self.tables.swap(first, second);
        Ok(())
    }

    fn undo(&mut self, step: Undo) {
        match step {
            Undo::Table(table, rows) => self.tables[table.0] = rows,
            Undo::Row(table, key, old) => {
                self.tables[table.0].replace(&key, old);
            }
            Undo::Counter(table, counter, before) => self.tables[table.0].count(&counter, before),
        }
    }
}
