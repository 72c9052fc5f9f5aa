//! The machine's own tables, and the way forward from each version of them to the next. There is no way back.

use rusqlite::{Connection, Result};

/// `PABL`: tells our files from other programs'.
pub(crate) const APPLICATION_ID: i32 = 0x5041_424C;

/// Each brings a file from the version that is its place to the next one. Never change one that was released.
///
/// What names a table here names it by its text: it is read by people too, and it changes places with another in a
/// rebuild. The log has no index but its order: one on scattered keys took a third of the throughput of large batches,
/// and who looks for a key or a request in history can wait. Wide rows with scattered keys (answers) lie in the order of arrival under an index of narrow ones.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE machine (
        one         INTEGER PRIMARY KEY CHECK (one = 1),
        system      TEXT NOT NULL,
        last_commit INTEGER NOT NULL DEFAULT 0,
        last_seq    INTEGER NOT NULL DEFAULT 0,
        last_effect INTEGER NOT NULL DEFAULT 0,
        settled     INTEGER NOT NULL DEFAULT 0  -- counts the commits of nothing that ended a doubt
    ) STRICT;
    CREATE TABLE last_id (tbl TEXT PRIMARY KEY, id INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE counted (tbl TEXT PRIMARY KEY, names TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE counter (
        tbl TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
        number INTEGER NOT NULL,
        PRIMARY KEY (tbl, name, value)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE position (
        follower TEXT NOT NULL, topic TEXT NOT NULL, position INTEGER NOT NULL,
        PRIMARY KEY (follower, topic)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE log (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL, source TEXT NOT NULL, event_type TEXT NOT NULL, version INTEGER NOT NULL,
        key TEXT NOT NULL, time_ms INTEGER NOT NULL,
        actor TEXT NOT NULL, request TEXT NOT NULL, causation TEXT NOT NULL, trace TEXT NOT NULL,
        data BLOB NOT NULL
    ) STRICT;
    CREATE TABLE timer (
        tbl TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL,
        due_ms INTEGER NOT NULL, command BLOB NOT NULL, cause TEXT NOT NULL,
        PRIMARY KEY (tbl, key, name)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX timer_by_due ON timer(due_ms);
    CREATE TABLE effect (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL, tbl TEXT NOT NULL, key TEXT NOT NULL, port TEXT NOT NULL, lane TEXT,
        payload BLOB NOT NULL, cause TEXT NOT NULL, withdrawn INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX effect_by_aggregate ON effect(tbl, key);
    CREATE TABLE parked (
        follower TEXT NOT NULL, key TEXT NOT NULL, place INTEGER NOT NULL,
        attempts INTEGER NOT NULL, next_try_ms INTEGER NOT NULL, dead INTEGER NOT NULL,
        cause TEXT NOT NULL, since_ms INTEGER NOT NULL, record TEXT NOT NULL,
        PRIMARY KEY (follower, key, place)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX parked_by_age ON parked(since_ms, follower, place);
    CREATE TABLE answer (
        scope TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, expires_ms INTEGER NOT NULL, answer BLOB NOT NULL,
        UNIQUE (scope, key)
    ) STRICT;
    CREATE INDEX answer_by_end ON answer(expires_ms);
",
    "
    -- Followers stand in partitions, and know the last number that they have had of each outbox.
    ALTER TABLE position RENAME TO position_before;
    CREATE TABLE position (
        follower TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL,
        PRIMARY KEY (follower, topic, partition)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO position SELECT follower, topic, 0, position FROM position_before;
    DROP TABLE position_before;
    CREATE TABLE relayed (
        follower TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, outbox TEXT NOT NULL,
        number INTEGER NOT NULL,
        PRIMARY KEY (follower, topic, partition, outbox)
    ) STRICT, WITHOUT ROWID;
    ALTER TABLE parked RENAME TO parked_before;
    DROP INDEX parked_by_age;
    CREATE TABLE parked (
        follower TEXT NOT NULL, partition INTEGER NOT NULL, key TEXT NOT NULL, place INTEGER NOT NULL,
        attempts INTEGER NOT NULL, next_try_ms INTEGER NOT NULL, dead INTEGER NOT NULL,
        cause TEXT NOT NULL, since_ms INTEGER NOT NULL, record TEXT NOT NULL,
        PRIMARY KEY (follower, partition, key, place)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO parked SELECT follower, 0, key, place, attempts, next_try_ms, dead, cause, since_ms, record FROM parked_before;
    DROP TABLE parked_before;
    CREATE INDEX parked_by_age ON parked(since_ms, follower, partition, place);
",
    "
    -- Commands and effects say the schema version of their JSON.
    ALTER TABLE timer ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE effect ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
",
];

/// The version that this code writes.
pub(crate) fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Takes the steps from a version to the newest, each in a transaction of its own.
pub(crate) fn migrate(conn: &mut Connection, from: i64, system: &str) -> Result<()> {
    for (step, version) in MIGRATIONS.iter().zip(1..).filter(|(_, version)| *version > from) {
        let work = conn.transaction()?;
        work.execute_batch(step)?;
        work.pragma_update(None, "user_version", version)?;
        if version == 1 {
            work.pragma_update(None, "application_id", APPLICATION_ID)?;
            work.execute("INSERT INTO machine (one, system) VALUES (1, ?1)", [system])?;
        }
        work.commit()?;
        tracing::info!(store.system = system, store.schema = version, "the store has a new schema");
    }
    Ok(())
}
