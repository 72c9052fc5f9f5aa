//! The store's own tables, and the migrations from each version of them to the next. There is no downgrade.
//!
//! An earlier version keeps running while a later one migrates the schema, so a step only adds. What removes something
//! waits until no running version uses it, and raises [`COMPATIBLE`].

use crate::connection::session::Connection;
use crate::error::DatabaseError;
use crate::value::values;

/// Each brings a schema from the version before its own to its own; the first one's is [`FIRST`]. A released step never changes.
///
/// A table is referred to by its name: operators read these rows, and a rebuild swaps two tables. Texts sort by their bytes,
/// in the database as in Rust. Tables that are small and frequently updated are vacuumed often and leave room on each page
/// for new versions of its rows (HOT updates).
const MIGRATIONS: &[&str] = &[r#"
    CREATE TABLE store_meta (
        singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
        system text NOT NULL, service text NOT NULL,
        version integer NOT NULL, compatible integer NOT NULL,
        pruned_seq bigint NOT NULL DEFAULT 0  -- the last position that was pruned from the log
    );
    -- Each declaration of a table's fields so far.
    CREATE TABLE table_layout (
        table_name text COLLATE "C" NOT NULL, number integer NOT NULL, columns text[] NOT NULL, counters text[] NOT NULL,
        PRIMARY KEY (table_name, number)
    );
    -- Processes. `session` counts the connections of one: only the latest may commit.
    CREATE SEQUENCE instance_number;
    CREATE TABLE instance (
        number bigint PRIMARY KEY,
        session bigint NOT NULL DEFAULT 1, last_commit bigint NOT NULL DEFAULT 0,
        lease_until timestamptz NOT NULL, fenced boolean NOT NULL DEFAULT false,
        started_at timestamptz NOT NULL DEFAULT clock_timestamp()
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
    CREATE TABLE last_id (table_name text COLLATE "C" PRIMARY KEY, id bigint NOT NULL)
        WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
    -- A counter is the sum over its slots; each instance updates its own, so that instances do not block each other.
    CREATE TABLE counter (
        table_name text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, value text COLLATE "C" NOT NULL, slot smallint NOT NULL,
        number bigint NOT NULL,
        PRIMARY KEY (table_name, name, value, slot)
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500);
    CREATE TABLE consumer_offset (
        subscription text COLLATE "C" NOT NULL, topic text COLLATE "C" NOT NULL, partition integer NOT NULL, position bigint NOT NULL,
        PRIMARY KEY (subscription, topic, partition)
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
    -- The last number that a subscription has consumed from each outbox: what a relay publishes twice is recognized by it.
    CREATE TABLE outbox_offset (
        subscription text COLLATE "C" NOT NULL, topic text COLLATE "C" NOT NULL, partition integer NOT NULL,
        outbox text COLLATE "C" NOT NULL, number bigint NOT NULL,
        PRIMARY KEY (subscription, topic, partition, outbox)
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
    -- Positions are assigned at insertion: in commit order per key only, and with gaps.
    CREATE SEQUENCE log_seq;
    CREATE TABLE log (
        seq bigint PRIMARY KEY DEFAULT nextval('log_seq'),
        id text NOT NULL, source text NOT NULL, event_type text NOT NULL, version integer NOT NULL,
        key text COLLATE "C" NOT NULL, time_ms bigint NOT NULL,
        actor text NOT NULL, request text NOT NULL, causation text NOT NULL, trace text NOT NULL,
        data bytea NOT NULL
    );
    -- Records to be relayed. Apart from the log, so that numbering does not rewrite events.
    CREATE TABLE outbox (seq bigint PRIMARY KEY, number bigint)
        WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
    CREATE INDEX outbox_unnumbered ON outbox (seq) WHERE number IS NULL;
    CREATE UNIQUE INDEX outbox_numbered ON outbox (number) WHERE number IS NOT NULL;
    CREATE SEQUENCE relay_holder;
    CREATE TABLE relay (
        singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
        name text NOT NULL,  -- unique across databases
        holder bigint NOT NULL DEFAULT 0, lease_until timestamptz NOT NULL DEFAULT '-infinity',
        numbered bigint NOT NULL DEFAULT 0, sent bigint NOT NULL DEFAULT 0
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
    CREATE TABLE timer (
        table_name text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL,
        due_ms bigint NOT NULL, version integer NOT NULL, command bytea NOT NULL, cause text NOT NULL,
        claimed_by bigint, claimed_until timestamptz,
        PRIMARY KEY (table_name, key, name)
    ) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
    CREATE INDEX timer_by_due ON timer (due_ms, table_name, key, name);
    CREATE TABLE effect (
        number bigint PRIMARY KEY, owner bigint NOT NULL,
        id text NOT NULL, table_name text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, port text NOT NULL, lane text,
        version integer NOT NULL, payload bytea NOT NULL, cause text NOT NULL, withdrawn boolean NOT NULL
    ) WITH (autovacuum_vacuum_scale_factor = 0.05);
    CREATE INDEX effect_by_owner ON effect (owner, number);
    CREATE INDEX effect_by_aggregate ON effect (table_name, key);
    CREATE TABLE parked (
        subscription text COLLATE "C" NOT NULL, partition integer NOT NULL, key text COLLATE "C" NOT NULL, position bigint NOT NULL,
        attempts integer NOT NULL, next_try_ms bigint NOT NULL, dead boolean NOT NULL,
        cause text NOT NULL, since_ms bigint NOT NULL, work text NOT NULL,
        PRIMARY KEY (subscription, partition, key, position)
    );
    CREATE INDEX parked_by_age ON parked (since_ms, subscription, partition, position);
    CREATE TABLE answer (
        scope text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, fingerprint text NOT NULL,
        expires_ms bigint NOT NULL, answer bytea NOT NULL,
        PRIMARY KEY (scope, key)
    );
    CREATE INDEX answer_by_expiry ON answer (expires_ms);

    -- The database's clock, milliseconds since 1970.
    CREATE FUNCTION now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
        $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;
    -- Fails unless as many rows match as are expected.
    CREATE FUNCTION expect(matched bigint, expected bigint, sqlstate_code text, what text) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            IF matched <> expected THEN
                RAISE EXCEPTION 'expected % %, found %', expected, what, matched USING ERRCODE = sqlstate_code;
            END IF;
        END $$;
    -- The first statement of a commit: it must be this instance's next one, on its latest connection, under an unexpired lease.
    CREATE FUNCTION begin_commit(p_instance bigint, p_session bigint, p_commit bigint, p_lease_ms bigint) RETURNS void
        LANGUAGE plpgsql AS $$
        DECLARE present record;
        BEGIN
            UPDATE instance SET last_commit = p_commit, lease_until = clock_timestamp() + p_lease_ms * interval '1 millisecond'
            WHERE number = p_instance AND session = p_session AND NOT fenced AND last_commit = p_commit - 1;
            IF FOUND THEN RETURN; END IF;
            SELECT session, last_commit, fenced INTO present FROM instance WHERE number = p_instance;
            IF NOT FOUND OR present.fenced THEN
                RAISE EXCEPTION 'instance % is fenced: its lease has expired', p_instance USING ERRCODE = 'PB002';
            ELSIF present.session <> p_session THEN
                RAISE EXCEPTION 'instance % has reconnected since: this connection is stale', p_instance USING ERRCODE = 'PB005';
            END IF;
            RAISE EXCEPTION 'commit % cannot follow commit %', p_commit, present.last_commit USING ERRCODE = 'PB003';
        END $$;
"#];

/// The version of the first migration. Versions 1 and 2 had other table names and were never released: they are refused.
pub(crate) const FIRST: i32 = 3;

/// The oldest version that can work on a schema of the newest.
const COMPATIBLE: i32 = FIRST;

/// The version that this code writes.
pub(crate) fn newest() -> i32 {
    FIRST - 1 + i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX - FIRST)
}

/// Runs the migrations that a schema of this version lacks, each in a transaction of its own.
pub(crate) async fn migrate(
    conn: &mut Connection,
    from: i32,
    (system, service): (&str, &str),
    schema: &str,
) -> Result<(), DatabaseError> {
    for (step, version) in MIGRATIONS.iter().zip(FIRST..).filter(|(_, version)| *version > from) {
        let work = conn.client.transaction().await?;
        work.batch_execute(step).await?;
        if version == FIRST {
            let insert = "INSERT INTO store_meta (system, service, version, compatible) VALUES ($1, $2, 0, 0)";
            work.execute(insert, &[&system, &service]).await?;
            // Another database, or this one recreated, must not number its events under the same name.
            let name = "INSERT INTO relay (name) VALUES ($1 || ':' || left(md5(random()::text || clock_timestamp()::text), 12))";
            work.execute(name, &[&schema]).await?;
        }
        let done = "UPDATE store_meta SET version = $1, compatible = $2";
        work.execute(done, &[&version, &COMPATIBLE.min(version)]).await?;
        work.commit().await?;
        tracing::info!(store.schema = schema, store.schema_version = version, "schema migrated");
    }
    Ok(())
}

/// A row for the last id of each table, so that a commit only updates.
pub(crate) async fn insert_last_ids(conn: &mut Connection, names: Vec<&str>) -> Result<(), DatabaseError> {
    let sql = "INSERT INTO last_id (table_name, id) SELECT unnest($1::text[]), 0 ON CONFLICT DO NOTHING";
    conn.rows(sql, &values![names]).await.map(|_| ())
}
