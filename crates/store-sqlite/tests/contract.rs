//! The embedded store keeps the contract of every store.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it expects")]

use std::sync::Arc;

use contract_tests::StoreHarness;
use ports::{Model, Reader, Store};
use store_sqlite::{SqliteReader, SqliteStore};
use tempfile::TempDir;

/// A store in a directory of its own.
struct Embedded {
    model: Arc<Model>,
    dir: TempDir,
    open: Option<(SqliteStore, Arc<SqliteReader>)>,
    crashes: u32,
}

impl Embedded {
    fn open(&mut self) {
        let path = self.dir.path().join(format!("sample-{}.db", self.crashes));
        let (store, reader) = SqliteStore::open(path, &self.model).expect("opens");
        self.open = Some((store, Arc::new(reader)));
    }
}

impl StoreHarness for Embedded {
    fn fresh(model: &Arc<Model>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut fixture = Self { model: Arc::clone(model), dir, open: None, crashes: 0 };
        fixture.open();
        fixture
    }

    fn store(&mut self) -> &mut dyn Store {
        &mut self.open.as_mut().expect("open").0
    }

    fn reader(&self) -> Arc<dyn Reader> {
        let reader: Arc<SqliteReader> = Arc::clone(&self.open.as_ref().expect("open").1);
        reader
    }

    /// The files of a killed process: the database and its write-ahead log, not closed.
    fn reopen(&mut self) {
        for end in ["", "-wal"] {
            let file = |crash: u32| self.dir.path().join(format!("sample-{crash}.db{end}"));
            std::fs::copy(file(self.crashes), file(self.crashes + 1)).expect("copied");
        }
        self.crashes += 1;
        self.open();
    }
}

contract_tests::store_suite!(Embedded);
