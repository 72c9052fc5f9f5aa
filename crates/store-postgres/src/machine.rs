//! The machine's own tables, and the way forward from each version of them to the next. There is no way back.
//!
//! An earlier version goes on working while a later one takes the schema forward, so a step only ever adds. What takes
//! something away is for the step after everybody has stopped using it, and raises [`COMPATIBLE`].

use crate::error::Failed;
use crate::session::Link;
use crate::value::values;

/// Each brings a schema from the version that is its place to the next one. Never change one that was released.
///
/// What names a table here names it by its text: it is read by people too, and it changes places with another in a rebuild.
/// Texts sort by their bytes, in the database as in the machine. Tables that are small and always changing are vacuumed
/// often and have room for new versions of a row on its own page.
const MIGRATIONS: &[&str] = &[
    r#"
    CREATE TABLE machine (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        system text NOT NULL, service text NOT NULL,
        version integer NOT NULL, compatible integer NOT NULL,
        pruned bigint NOT NULL DEFAULT 0  -- the last position that the log has had and has no more
    );
    -- Each declaration of a table's fields that there has been.
    CREATE TABLE shape (
        tbl text COLLATE "C" NOT NULL, number integer NOT NULL, columns text[] NOT NULL, counted text[] NOT NULL,
        PRIMARY KEY (tbl, number)
    );
    -- Processes. `session` counts the connections that one has had: the last is the only one that may commit.
    CREATE SEQUENCE instance_number;
    CREATE TABLE instance (
        number bigint PRIMARY KEY,
        session bigint NOT NULL DEFAULT 1, last_commit bigint NOT NULL DEFAULT 0,
        until timestamptz NOT NULL, fenced boolean NOT NULL DEFAULT false, began timestamptz NOT NULL DEFAULT clock_timestamp()
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
    CREATE TABLE last_id (tbl text COLLATE "C" PRIMARY KEY, id bigint NOT NULL)
        WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
    -- A counter is the sum over its slots; an instance has one of them, so that instances do not wait for each other.
    CREATE TABLE counter (
        tbl text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, value text COLLATE "C" NOT NULL, slot smallint NOT NULL,
        number bigint NOT NULL,
        PRIMARY KEY (tbl, name, value, slot)
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500);
    CREATE TABLE position (
        follower text COLLATE "C" NOT NULL, topic text COLLATE "C" NOT NULL, partition integer NOT NULL, position bigint NOT NULL,
        PRIMARY KEY (follower, topic, partition)
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
    CREATE TABLE relayed (
        follower text COLLATE "C" NOT NULL, topic text COLLATE "C" NOT NULL, partition integer NOT NULL,
        outbox text COLLATE "C" NOT NULL, number bigint NOT NULL,
        PRIMARY KEY (follower, topic, partition, outbox)
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
    -- Positions are drawn by whoever inserts: they are in the order of the commits for one key only, and have gaps.
    CREATE SEQUENCE log_seq;
    CREATE TABLE log (
        seq bigint PRIMARY KEY DEFAULT nextval('log_seq'),
        id text NOT NULL, source text NOT NULL, event_type text NOT NULL, version integer NOT NULL,
        key text COLLATE "C" NOT NULL, time_ms bigint NOT NULL,
        actor text NOT NULL, request text NOT NULL, causation text NOT NULL, trace text NOT NULL,
        data bytea NOT NULL
    );
    -- What is still to be relayed. Apart from the log, so that giving numbers does not rewrite events.
    CREATE TABLE outbox (seq bigint PRIMARY KEY, number bigint)
        WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
    CREATE INDEX outbox_unnumbered ON outbox (seq) WHERE number IS NULL;
    CREATE UNIQUE INDEX outbox_numbered ON outbox (number) WHERE number IS NOT NULL;
    CREATE SEQUENCE relay_holder;
    CREATE TABLE relay (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        name text NOT NULL,  -- tells this outbox from any other, also from one of the same name elsewhere
        holder bigint NOT NULL DEFAULT 0, until timestamptz NOT NULL DEFAULT '-infinity',
        numbered bigint NOT NULL DEFAULT 0, sent bigint NOT NULL DEFAULT 0
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
    CREATE TABLE timer (
        tbl text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL,
        due_ms bigint NOT NULL, command bytea NOT NULL, cause text NOT NULL,
        claimed_by bigint, claimed_until timestamptz,
        PRIMARY KEY (tbl, key, name)
    ) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
    CREATE INDEX timer_by_due ON timer (due_ms, tbl, key, name);
    CREATE TABLE effect (
        number bigint PRIMARY KEY, owner bigint NOT NULL,
        id text NOT NULL, tbl text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, port text NOT NULL, lane text,
        payload bytea NOT NULL, cause text NOT NULL, withdrawn boolean NOT NULL
    ) WITH (autovacuum_vacuum_scale_factor = 0.05);
    CREATE INDEX effect_by_owner ON effect (owner, number);
    CREATE INDEX effect_by_aggregate ON effect (tbl, key);
    CREATE TABLE parked (
        follower text COLLATE "C" NOT NULL, partition integer NOT NULL, key text COLLATE "C" NOT NULL, place bigint NOT NULL,
        attempts integer NOT NULL, next_try_ms bigint NOT NULL, dead boolean NOT NULL,
        cause text NOT NULL, since_ms bigint NOT NULL, record text NOT NULL,
        PRIMARY KEY (follower, partition, key, place)
    );
    CREATE INDEX parked_by_age ON parked (since_ms, follower, partition, place);
    CREATE TABLE answer (
        scope text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, fingerprint text NOT NULL,
        expires_ms bigint NOT NULL, answer bytea NOT NULL,
        PRIMARY KEY (scope, key)
    );
    CREATE INDEX answer_by_end ON answer (expires_ms);

    -- The database's clock, as the machine counts.
    CREATE FUNCTION now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
        $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;
    -- Fails unless as many were found as should be.
    CREATE FUNCTION expect(seen bigint, wanted bigint, fault text, what text) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            IF seen <> wanted THEN
                RAISE EXCEPTION '% % are as they should be, not %', seen, what, wanted USING ERRCODE = fault;
            END IF;
        END $$;
    -- The first word of a commit: it is this instance's next one, by its last connection, and nobody has taken it for dead.
    CREATE FUNCTION begin_commit(me bigint, mine bigint, wanted bigint, lease bigint) RETURNS void LANGUAGE plpgsql AS $$
        DECLARE there record;
        BEGIN
            UPDATE instance SET last_commit = wanted, until = clock_timestamp() + lease * interval '1 millisecond'
            WHERE number = me AND session = mine AND NOT fenced AND last_commit = wanted - 1;
            IF FOUND THEN RETURN; END IF;
            SELECT session, last_commit, fenced INTO there FROM instance WHERE number = me;
            IF NOT FOUND OR there.fenced THEN
                RAISE EXCEPTION 'instance % has lost its lease', me USING ERRCODE = 'PB002';
            ELSIF there.session <> mine THEN
                RAISE EXCEPTION 'instance % has another connection by now', me USING ERRCODE = 'PB005';
            END IF;
            RAISE EXCEPTION 'commit % cannot follow commit %', wanted, there.last_commit USING ERRCODE = 'PB003';
        END $$;
"#,
    "
    -- Commands and effects say the schema version of their JSON.
    ALTER TABLE timer ADD COLUMN version integer NOT NULL DEFAULT 1;
    ALTER TABLE effect ADD COLUMN version integer NOT NULL DEFAULT 1;
",
];

/// The oldest version that can work on a schema of the newest.
const COMPATIBLE: i32 = 1;

/// The version that this code writes.
pub(crate) fn newest() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

/// Takes the steps from a version to the newest, each in a transaction of its own.
pub(crate) async fn migrate(link: &mut Link, from: i32, (system, service): (&str, &str), schema: &str) -> Result<(), Failed> {
    for (step, version) in MIGRATIONS.iter().zip(1..).filter(|(_, version)| *version > from) {
        let work = link.client.transaction().await?;
        work.batch_execute(step).await?;
        if version == 1 {
            let insert = "INSERT INTO machine (system, service, version, compatible) VALUES ($1, $2, 0, 0)";
            work.execute(insert, &[&system, &service]).await?;
            // Another database, or this one after it was lost, must not count its events under the same name.
            let name = "INSERT INTO relay (name) VALUES ($1 || ':' || left(md5(random()::text || clock_timestamp()::text), 12))";
            work.execute(name, &[&schema]).await?;
        }
        let done = "UPDATE machine SET version = $1, compatible = $2";
        work.execute(done, &[&version, &COMPATIBLE.min(version)]).await?;
        work.commit().await?;
        tracing::info!(store.schema = schema, store.version = version, "the store has a new version");
    }
    Ok(())
}

/// A place for the last id of each table, so that a commit need not make one.
pub(crate) async fn make_room_for_ids(link: &mut Link, names: Vec<&str>) -> Result<(), Failed> {
    let sql = "INSERT INTO last_id (tbl, id) SELECT unnest($1::text[]), 0 ON CONFLICT DO NOTHING";
    link.rows(sql, &values![names]).await.map(|_| ())
}
