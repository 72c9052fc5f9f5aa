//! Several processes at one store: each commits under numbers of its own, upon what it has seen.

use std::sync::Arc;

use ports::model::TableId;
use ports::{Commit, CommitError, EffectRow, Model, Reader, RowRef, Store};

use crate::desk::effect;
use crate::sample::depot;
use crate::{SharedFixture, StoreFixture};

/// A fresh database of the sample system.
pub struct Crowd<F> {
    /// The fixture.
    pub fixture: F,
    /// The aggregate's table.
    pub parcels: TableId,
    /// The view's table.
    pub lines: TableId,
}

/// One process.
pub struct Hand {
    store: Box<dyn Store>,
    next: u64,
    /// The last effect number that was given before this instance.
    pub effects_from: u64,
}

impl<F: SharedFixture> Crowd<F> {
    /// An empty one.
    pub fn new() -> Self {
        let model = Model::new(depot()).expect("the sample system is well declared");
        let parcels = model.find("depot", "parcel").expect("the sample has an aggregate").id;
        let (_, lines, _) = model.view_of("lines").expect("the sample has a view");
        Self { fixture: F::fresh(&model), parcels, lines }
    }

    /// Another process.
    pub fn join(&self) -> Hand {
        let mut hand = Hand { store: self.fixture.connect(), next: 0, effects_from: 0 };
        hand.begin();
        hand
    }

    /// The reading side.
    pub fn reader(&self) -> Arc<dyn Reader> {
        self.fixture.reader()
    }

    /// The version of an aggregate's row, 0 where there is none.
    pub fn version(&self, key: &str) -> u64 {
        self.reader().by_key(self.parcels, key).expect("a row is read").map_or(0, |row| row.version)
    }

    /// Nobody is heard of for longer than a lease.
    pub fn leases_run_out(&self) {
        self.fixture.pass(self.fixture.lease() + self.fixture.lease() / 4);
    }
}

impl<F: SharedFixture> Default for Crowd<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl Hand {
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

    /// Commits what nobody stands in the way of.
    pub fn commit(&mut self, commit: Commit) {
        self.attempt(commit).expect("the commit is in order");
    }

    /// Commits upon what is no longer so.
    pub fn conflict(&mut self, commit: Commit) {
        let result = self.attempt(commit);
        assert!(matches!(result, Err(CommitError::Conflict(_))), "it must be a conflict, but: {result:?}");
    }

    /// Commits though it was taken for dead.
    pub fn fenced(&mut self, commit: Commit) {
        let result = self.attempt(commit);
        assert!(matches!(result, Err(CommitError::Fenced)), "it must be fenced, but: {result:?}");
    }

    /// Prolongs its lease and adopts what the dead have left.
    pub fn adopt(&mut self, limit: usize) -> Vec<EffectRow> {
        self.store.adopt(limit).expect("it adopts what is left")
    }

    /// The effect with that place among those of this instance.
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
pub struct Alone<F> {
    fixture: F,
    store: Box<dyn Store>,
}

impl<F: SharedFixture> StoreFixture for Alone<F> {
    fn fresh(model: &Arc<Model>) -> Self {
        let fixture = F::fresh(model);
        let store = fixture.connect();
        Self { fixture, store }
    }

    fn store(&mut self) -> &mut dyn Store {
        self.store.as_mut()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.fixture.reader()
    }

    /// It is dead for the others once its lease has run out; only then are its effects taken over.
    fn reopen(&mut self) {
        self.fixture.pass(self.fixture.lease() + self.fixture.lease() / 4);
        self.store = self.fixture.connect();
    }
}
