//! The fixture of the suites for shared stores.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use contract_tests::{OutboxHarness, SharedStoreHarness};
use ports::{Commit, CommitError, Model, Outbox, Reader, Store};
use store_postgres::{PostgresOptions, PostgresReader, PostgresStore};

use super::Schema;

const LEASE: Duration = Duration::from_millis(1_500);

/// A schema with leases of about a second, and no release on drop.
pub struct Shared {
    model: Arc<Model>,
    options: PostgresOptions,
    reader: Arc<PostgresReader>,
    // After the connections.
    schema: Mutex<Schema>,
}

impl SharedStoreHarness for Shared {
    fn fresh(model: &Arc<Model>) -> Self {
        let schema = Schema::new();
        let mut options = schema.options();
        (options.lease, options.relay_lease, options.release_on_drop) = (LEASE, LEASE, false);
        // Timer claims would hide due timers from the suite.
        options.timer_claim = Duration::ZERO;
        let (_, reader, _) = PostgresStore::connect(&options, model).expect("a fresh schema");
        Self { model: model.clone(), options, reader: Arc::new(reader), schema: Mutex::new(schema) }
    }

    fn connect(&self) -> Box<dyn Store> {
        Box::new(PostgresStore::connect(&self.options, &self.model).expect("another process").0)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.reader.clone()
    }

    fn lease(&self) -> Duration {
        LEASE
    }

    fn pass(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

impl OutboxHarness for Shared {
    fn outbox(&self) -> Box<dyn Outbox> {
        Box::new(PostgresStore::connect(&self.options, &self.model).expect("another process").2)
    }

    /// The last row that a commit locks is that of the last id.
    fn commit_slowly(&self, store: &mut dyn Store, commit: &Commit, meanwhile: &mut dyn FnMut()) -> Result<(), CommitError> {
        let table = self.model.tables.first().expect("it has tables");
        let commit = Commit { last_ids: vec![(table.id, 1_000_000)], ..commit.clone() };
        let mut look = self.schema.lock().expect("whole").look();
        look.run(&format!("BEGIN; SELECT FROM last_id WHERE table_name = '{}' FOR UPDATE", table.sql_name));
        std::thread::scope(|scope| {
            let slow = scope.spawn(|| store.commit(&commit));
            let name = self.schema.lock().expect("whole").name.clone();
            look.until(&format!(
                "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'pabal {name} writer' AND wait_event_type = 'Lock'"
            ));
            meanwhile();
            look.run("COMMIT");
            slow.join().expect("it ends")
        })
    }
}
