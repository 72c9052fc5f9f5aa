//! The store's own tables, and the migrations from each version of them to the next. There is no downgrade.

use rusqlite::{Connection, Result};

/// `PABL`: tells these files from other programs'.
pub(crate) const APPLICATION_ID: i32 = 0x5041_424C;

/// Each brings a file from the version before its own to its own; the first one's is [`FIRST`]. A released step never changes.
///
/// A table is referred to by its name: operators read these rows, and a rebuild swaps two tables. The log has no index but
/// its order: one on scattered keys cost a third of the throughput of large batches, and a search in history is rare. Wide
/// rows with scattered keys (answers) lie in the order of insertion under a narrow index.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE store_meta (
        singleton   INTEGER PRIMARY KEY CHECK (singleton = 1),
        system      TEXT NOT NULL,
        last_commit INTEGER NOT NULL DEFAULT 0,
        last_seq    INTEGER NOT NULL DEFAULT 0,
        last_effect INTEGER NOT NULL DEFAULT 0,
        noop_commits INTEGER NOT NULL DEFAULT 0  -- empty commits that resolved one in doubt
    ) STRICT;
    CREATE TABLE last_id (table_name TEXT PRIMARY KEY, id INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    -- The names of the counters that are maintained for each table.
    CREATE TABLE maintained_counter (table_name TEXT PRIMARY KEY, names TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE counter (
        table_name TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
        number INTEGER NOT NULL,
        PRIMARY KEY (table_name, name, value)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE consumer_offset (
        subscription TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL,
        PRIMARY KEY (subscription, topic, partition)
    ) STRICT, WITHOUT ROWID;
    -- The last number that a subscription has consumed from each outbox: what a relay publishes twice is recognized by it.
    CREATE TABLE outbox_offset (
        subscription TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, outbox TEXT NOT NULL,
        number INTEGER NOT NULL,
        PRIMARY KEY (subscription, topic, partition, outbox)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE log (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL, source TEXT NOT NULL, event_type TEXT NOT NULL, version INTEGER NOT NULL,
        key TEXT NOT NULL, time_ms INTEGER NOT NULL,
        actor TEXT NOT NULL, request TEXT NOT NULL, causation TEXT NOT NULL, trace TEXT NOT NULL,
        data BLOB NOT NULL
    ) STRICT;
    CREATE TABLE timer (
        table_name TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL,
        due_ms INTEGER NOT NULL, version INTEGER NOT NULL, command BLOB NOT NULL, cause TEXT NOT NULL,
        PRIMARY KEY (table_name, key, name)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX timer_by_due ON timer(due_ms);
    CREATE TABLE effect (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL, table_name TEXT NOT NULL, key TEXT NOT NULL, port TEXT NOT NULL, lane TEXT,
        version INTEGER NOT NULL, payload BLOB NOT NULL, cause TEXT NOT NULL, withdrawn INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX effect_by_aggregate ON effect(table_name, key);
    CREATE TABLE parked (
        subscription TEXT NOT NULL, partition INTEGER NOT NULL, key TEXT NOT NULL, position INTEGER NOT NULL,
        attempts INTEGER NOT NULL, next_try_ms INTEGER NOT NULL, dead INTEGER NOT NULL,
        cause TEXT NOT NULL, since_ms INTEGER NOT NULL, work TEXT NOT NULL,
        PRIMARY KEY (subscription, partition, key, position)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX parked_by_age ON parked(since_ms, subscription, partition, position);
    CREATE TABLE answer (
        scope TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, expires_ms INTEGER NOT NULL, answer BLOB NOT NULL,
        UNIQUE (scope, key)
    ) STRICT;
    CREATE INDEX answer_by_expiry ON answer(expires_ms);
"];

/// The version of the first migration. Versions 1 to 3 had other table names and were never released: they are refused.
pub(crate) const FIRST: i64 = 4;

/// The version that this code writes.
pub(crate) fn newest() -> i64 {
    FIRST - 1 + i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX - FIRST)
}

/// Runs the migrations that a file of this version lacks, each in a transaction of its own.
pub(crate) fn migrate(conn: &mut Connection, from: i64, system: &str) -> Result<()> {
    for (step, version) in MIGRATIONS.iter().zip(FIRST..).filter(|(_, version)| *version > from) {
        let work = conn.transaction()?;
        work.execute_batch(step)?;
        work.pragma_update(None, "user_version", version)?;
        if version == FIRST {
            work.pragma_update(None, "application_id", APPLICATION_ID)?;
            work.execute("INSERT INTO store_meta (singleton, system) VALUES (1, ?1)", [system])?;
        }
        work.commit()?;
        tracing::info!(store.system = system, store.schema_version = version, "schema migrated");
    }
    Ok(())
}
