//! Several processes at one store: each commits under numbers of its own, upon what it has seen.

use std::sync::Arc;

use ports::model::TableId;
use ports::{Commit, CommitError, EffectRow, Model, Reader, RowRef, Store};

use crate::rows::effect;
use crate::sample::depot;
use crate::{SharedStoreHarness, StoreHarness};

/// A fresh database of the sample system.
pub struct SharedStore<H> {
    /// The harness.
    pub harness: H,
    /// The aggregate's table.
    pub parcels: TableId,
    /// The view's table.
    pub lines: TableId,
}

/// One process.
pub struct Session {
    store: Box<dyn Store>,
    next: u64,
    /// The last effect number that was assigned before this instance began.
    pub effects_from: u64,
}

impl<H: SharedStoreHarness> SharedStore<H> {
    /// An empty one.
    pub fn new() -> Self {
        let model = Model::new(depot()).expect("the sample system is well declared");
        let parcels = model.find("depot", "parcel").expect("the sample has an aggregate").id;
        let (_, lines, _) = model.view_of("lines").expect("the sample has a view");
        Self { harness: H::fresh(&model), parcels, lines }
    }

    /// Another process.
    pub fn join(&self) -> Session {
        let mut session = Session { store: self.harness.connect(), next: 0, effects_from: 0 };
        session.begin();
        session
    }

    /// The reading side.
    pub fn reader(&self) -> Arc<dyn Reader> {
        self.harness.reader()
    }

    /// The version of an aggregate's row, 0 where there is none.
    pub fn version(&self, key: &str) -> u64 {
        self.reader().by_key(self.parcels, key).expect("a row is read").map_or(0, |row| row.version)
    }

    /// Lets every lease expire.
    pub fn leases_run_out(&self) {
        self.harness.pass(self.harness.lease() + self.harness.lease() / 4);
    }
}

impl<H: SharedStoreHarness> Default for SharedStore<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl Session {
    /// Becomes an instance, or another one.
    pub fn begin(&mut self) {
        let recovered = self.store.recover().expect("a store recovers");
        (self.next, self.effects_from) = (recovered.last_commit + 1, recovered.last_effect);
    }

    /// The writing side.
    pub fn store(&mut self) -> &mut dyn Store {
        self.store.as_mut()
    }

    /// The number of the next commit.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Says that a commit under the next number was applied by other means.
    pub fn committed(&mut self) {
        self.next += 1;
    }

    /// Commits under the next number, which is given again if it fails.
    pub fn attempt(&mut self, commit: Commit) -> Result<(), CommitError> {
        self.store.commit(&Commit { number: self.next, ..commit })?;
        self.next += 1;
        Ok(())
    }

    /// Commits, where no conflict is expected.
    pub fn commit(&mut self, commit: Commit) {
        self.attempt(commit).expect("the commit is in order");
    }

    /// Commits on outdated rows: a conflict.
    pub fn conflict(&mut self, commit: Commit) {
        let result = self.attempt(commit);
        assert!(matches!(result, Err(CommitError::Conflict(_))), "it must be a conflict, but: {result:?}");
    }

    /// Commits after its lease has expired.
    pub fn fenced(&mut self, commit: Commit) {
        let result = self.attempt(commit);
        assert!(matches!(result, Err(CommitError::Fenced)), "it must be fenced, but: {result:?}");
    }

    /// Renews its lease and adopts the effects of expired instances.
    pub fn adopt(&mut self, limit: usize) -> Vec<EffectRow> {
        self.store.adopt(limit).expect("it adopts what is left")
    }

    /// This instance's effect of that number, counted from 1.
    pub fn effect(&self, place: u64, table: TableId, key: &str) -> EffectRow {
        effect(self.effects_from + place, table, key)
    }

    /// Its own effects that have not ended.
    pub fn effects(&mut self) -> Vec<EffectRow> {
        self.store.effects_after(0, 1000).expect("effects are read")
    }

    /// The version of a row, 0 where there is none.
    pub fn version(&mut self, table: TableId, key: &str) -> u64 {
        let rows = self.store.load(&[RowRef { table, key: key.into() }]).expect("rows are loaded");
        rows.into_iter().next().flatten().map_or(0, |row| row.version)
    }
}

/// One connection to a shared store, as the suite of every store sees it.
pub struct SingleSession<H> {
    harness: H,
    store: Box<dyn Store>,
}

impl<H: SharedStoreHarness> StoreHarness for SingleSession<H> {
    fn fresh(model: &Arc<Model>) -> Self {
        let harness = H::fresh(model);
        let store = harness.connect();
        Self { harness, store }
    }

    fn store(&mut self) -> &mut dyn Store {
        self.store.as_mut()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.harness.reader()
    }

    /// Its effects can be adopted only after its lease has expired.
    fn reopen(&mut self) {
        self.harness.pass(self.harness.lease() + self.harness.lease() / 4);
        self.store = self.harness.connect();
    }
}
