//! A process that commits, and retries until it succeeds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use contract_tests::rows::{parcel, record};
use contract_tests::sample::depot;
use ports::model::TableId;
use ports::{Commit, CommitError, Model, Outbox, Record, RowRef, RowWrite, Store};
use store_postgres::{PostgresOptions, PostgresOutbox, PostgresReader, PostgresStore};

/// The sample system.
pub fn model() -> Arc<Model> {
    Model::new(depot()).expect("well declared")
}

/// The aggregate's table.
pub fn parcels() -> TableId {
    model().find("depot", "parcel").expect("it has an aggregate").id
}

pub struct Worker {
    pub store: PostgresStore,
    pub reader: PostgresReader,
    pub outbox: PostgresOutbox,
    pub next: u64,
    pub effects_from: u64,
}

impl Worker {
    pub fn join(options: &PostgresOptions) -> Self {
        let (store, reader, outbox) = PostgresStore::connect(options, &model()).expect("connects");
        let mut worker = Self { store, reader, outbox, next: 1, effects_from: 0 };
        worker.begin();
        worker
    }

    pub fn begin(&mut self) {
        let recovered = self.store.recover().expect("recovers");
        (self.next, self.effects_from) = (recovered.last_commit + 1, recovered.last_effect);
    }

    /// Commits under the next number, which is reused after a failure.
    pub fn attempt(&mut self, commit: &Commit) -> Result<(), CommitError> {
        self.store.commit(&Commit { number: self.next, ..commit.clone() })?;
        self.next += 1;
        Ok(())
    }

    pub fn commit(&mut self, commit: &Commit) {
        self.attempt(commit).expect("the commit is in order");
    }

    /// Resolves whether the commit was applied, however long it takes.
    pub fn settled(&mut self, commit: &Commit) -> Result<bool, CommitError> {
        match self.attempt(commit) {
            Ok(()) => Ok(true),
            Err(CommitError::Unknown(_)) => {
                let last = patiently(|| self.store.last_commit());
                assert!(last == self.next || last + 1 == self.next, "{last} follows from no commit");
                let applied = last == self.next;
                self.next = last + 1;
                Ok(applied)
            }
            Err(CommitError::Unavailable(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub fn version(&mut self, key: &str) -> u64 {
        let wanted = [RowRef { table: parcels(), key: key.into() }];
        patiently(|| self.store.load(&wanted)).remove(0).map_or(0, |row| row.version)
    }
}

/// Retries until it succeeds.
pub fn patiently<T, E: std::fmt::Debug>(mut attempt: impl FnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        match attempt() {
            Ok(done) => return done,
            Err(error) => assert!(Instant::now() < end, "it does not come about: {error:?}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The next version of a row; its id follows from its key, which ends in a number.
pub fn row(key: &str, old_version: u64) -> RowWrite {
    let number: String = key.chars().filter(char::is_ascii_digit).collect();
    parcel(parcels(), key, number.parse::<u64>().unwrap_or_default() + 1, old_version)
}

/// A change of some rows, each with an event that carries the new version.
pub fn change(rows: &[(&str, u64)]) -> Commit {
    let mut rows: Vec<_> = rows.to_vec();
    rows.sort_unstable();
    Commit {
        log: rows.iter().map(|(key, version)| said(key, version + 1)).collect(),
        rows: rows.iter().map(|(key, version)| row(key, *version)).collect(),
        ..Commit::default()
    }
}

pub fn said(key: &str, version: u64) -> Record {
    Record { id: format!("{key}/{version}"), ..record(version, "Taken", key) }
}

/// Everything in an outbox, read as a relay does.
pub fn drained(outbox: &mut PostgresOutbox) -> Vec<(u64, Record)> {
    let leased =
        |outbox: &mut PostgresOutbox| patiently(|| outbox.lease().map_or(Err("no answer"), |sent| sent.ok_or("another relay")));
    let mut all = Vec::new();
    loop {
        // After an error a relay acquires the lease again, and continues after the mark.
        let after = leased(outbox);
        let Ok(some) = outbox.unsent(after, 1_000) else { continue };
        let Some(last) = some.last().map(|(number, _)| *number) else { return all };
        if outbox.sent(last).is_ok() || leased(outbox) == last {
            all.extend(some);
        }
    }
}
