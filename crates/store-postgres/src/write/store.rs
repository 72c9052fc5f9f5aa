//! The writing side: one connection, used by the core alone, and the instance that it commits for.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use ports::model::{Table, TableId};
use ports::{
    AnswerRow, Commit, CommitError, ConsumerOffset, EffectRow, ParkedRow, Partition, Record, Recovered, RowRef, Store,
    StoreError, StoredRow, TimerRow,
};

use crate::connection::notifier::Notifier;
use crate::connection::options::{PostgresOptions, millis};
use crate::connection::pipeline::Pipeline;
use crate::connection::session::{Connection, Session, references};
use crate::error::DatabaseError;
use crate::layout::{Layouts, TableLayout, stored};
use crate::records::effects;
use crate::records::log;
use crate::records::timers;
use crate::records::{answers, offsets, parked};
use crate::schema::backfill;
use crate::value::{clamp_i64, get, get_u64, limit, to_i64, values};
use crate::write::commit::{self, AttemptError, InstanceSession};

/// A service's shared store. Several processes may open the same schema, each as an instance of its own.
pub struct PostgresStore {
    session: Session,
    layouts: Arc<[TableLayout]>,
    tables: Vec<Table>,
    notifier: Arc<Notifier>,
    lease: Duration,
    timer_claim: Duration,
    release_on_drop: bool,
    instance: InstanceSession,
    /// The connection was replaced, or the outcome of the last commit is unknown.
    session_stale: bool,
    last_commit: u64,
    backfill_pending: bool,
}

/// How long dropping the store may take to release its lease.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

impl PostgresStore {
    pub(crate) fn new(
        session: Session,
        layouts: Arc<[TableLayout]>,
        tables: Vec<Table>,
        notifier: Arc<Notifier>,
        options: &PostgresOptions,
    ) -> Self {
        let PostgresOptions { lease, timer_claim, release_on_drop, .. } = *options;
        let backfill_pending = layouts.iter().any(TableLayout::may_need_backfill);
        let instance = InstanceSession::default();
        Self {
            session,
            layouts,
            tables,
            notifier,
            lease,
            timer_claim,
            release_on_drop,
            instance,
            session_stale: false,
            last_commit: 0,
            backfill_pending,
        }
    }

    /// The number of the instance; 0 before it has recovered.
    pub fn instance(&self) -> u64 {
        self.instance.number.unsigned_abs()
    }

    /// Registers the current connection as the one that may commit for this instance. Waits for a commit still running on the
    /// previous one, and fences one that may still arrive there.
    fn ensure_session(&mut self) -> Result<(), DatabaseError> {
        if !self.session.is_connected() {
            self.session_stale = true;
        }
        if self.instance.number == 0 || !self.session_stale {
            return Ok(());
        }
        let instance = self.instance.number;
        let answer = self.session.run(async |conn| {
            let mut work = Pipeline::default();
            let sql = "UPDATE instance SET session = session + 1 WHERE number = $1 RETURNING session, last_commit";
            work.add(sql, values![instance]);
            let row = work.run(conn, "").await.rows()?.pop().and_then(|mut rows| rows.pop());
            // Instances are kept for a week after they were fenced.
            let row = row.ok_or_else(|| DatabaseError::Corrupt(format!("instance {instance} is not known any more")))?;
            Ok((get(&row, 0)?, get_u64(&row, 1)?))
        });
        (self.instance.session, self.last_commit) = answer?;
        self.session_stale = false;
        Ok(())
    }

    fn read<T: Send>(
        &mut self,
        work: impl AsyncFn(&mut Connection, Layouts<'_>) -> Result<T, DatabaseError> + Send + Sync,
    ) -> Result<T, StoreError> {
        let layouts = Arc::clone(&self.layouts);
        self.session.read(async |conn| work(conn, Layouts(&layouts)).await).map_err(|failed| failed.store_error())
    }

    /// An idempotent change outside of commits.
    fn change<T: Send>(
        &mut self,
        work: impl AsyncFnOnce(&mut Connection, Layouts<'_>, InstanceSession) -> Result<T, DatabaseError> + Send,
    ) -> Result<T, StoreError> {
        self.ensure_session().map_err(|failed| failed.store_error())?;
        let (layouts, instance) = (Arc::clone(&self.layouts), self.instance);
        self.session.run(async |conn| work(conn, Layouts(&layouts), instance).await).map_err(|failed| failed.store_error())
    }

    fn register(&mut self) -> Result<(), StoreError> {
        let lease = millis(self.lease);
        let before = self.instance.number;
        let number = self.session.run(async |conn| {
            let mut work = Pipeline::default();
            // What the previous instance has left is adopted by any instance.
            work.add("UPDATE instance SET fenced = true WHERE number = $1", values![before]);
            let sql = "INSERT INTO instance (number, lease_until) VALUES (nextval('instance_number'), \
                       clock_timestamp() + $1::int8 * interval '1 millisecond') RETURNING number";
            work.add(sql, values![lease]);
            let row = work.run(conn, "").await.rows()?.pop().and_then(|mut rows| rows.pop());
            get(&row.ok_or_else(|| DatabaseError::Corrupt("no instance number was assigned".into()))?, 0)
        });
        self.instance = InstanceSession { number: number.map_err(|failed| failed.store_error())?, session: 1 };
        (self.session_stale, self.last_commit) = (false, 0);
        Ok(())
    }

    /// One attempt to commit.
    fn attempt(&mut self, commit: &Commit) -> Result<(), AttemptError> {
        self.ensure_session().map_err(|failed| AttemptError::Final(CommitError::Unavailable(failed.to_string())))?;
        let layouts = Arc::clone(&self.layouts);
        let written = commit::written(Layouts(&layouts), self.instance, millis(self.lease), commit);
        let written = written.map_err(|failed| AttemptError::Final(failed.commit_error()))?;
        let (mut begun, mut stopped) = (false, None);
        let sent = self.session.run(async |conn| {
            begun = true;
            stopped = Some(commit::run(conn, &written).await);
            Ok(())
        });
        match (stopped, sent) {
            (Some(done), _) => done,
            (None, Err(failed)) if !begun => Err(AttemptError::Final(CommitError::Unavailable(failed.to_string()))),
            // The timeout expired while it was running.
            (None, Err(failed)) => Err(AttemptError::Final(CommitError::Unknown(failed.to_string()))),
            (None, Ok(())) => Err(AttemptError::Final(CommitError::Unknown("it has not ended".into()))),
        }
    }

    /// On a concurrent insert the unique-id violation can surface before the version conflict, which is the answer that the
    /// core needs.
    fn conflict_behind(&mut self, commit: &Commit) -> Option<CommitError> {
        let wanted: Vec<RowRef> = commit.rows.iter().map(|row| RowRef { table: row.table, key: row.key.clone() }).collect();
        let there = self.load(&wanted).ok()?;
        let versions = there.iter().map(|row| row.as_ref().map_or(0, |row| row.version));
        let moved = commit.rows.iter().zip(versions).any(|(row, version)| row.old_version != version);
        moved.then(|| CommitError::Conflict("a row was inserted concurrently".into()))
    }

    /// A commit conflicts on rows that a version without all fields has written, as on rows that have changed. Backfills those
    /// rows; returns how many.
    fn fill(&mut self, commit: &Commit) -> Result<u64, CommitError> {
        let (layouts, tables) = (Arc::clone(&self.layouts), &self.tables);
        let filled = self.session.run(async |conn| {
            let mut rows = 0;
            for same in commit.rows.chunk_by(|one, next| one.table == next.table) {
                let Some(position) = same.first().map(|row| row.table.0) else { continue };
                let (Some(layout), Some(table)) = (layouts.get(position), tables.get(position)) else { continue };
                let keys: Vec<&str> = same.iter().filter(|row| row.old_version > 0).map(|row| row.key.as_str()).collect();
                if layout.newest && backfill::needed(conn, layout, &keys).await? {
                    let filled = backfill::batch(conn, table, layout, Some(&keys)).await;
                    rows += filled.map_err(|error| DatabaseError::Rejected(error.to_string()))?;
                }
            }
            Ok(rows)
        });
        filled.map_err(|failed| failed.commit_error())
    }

    /// Backfills a few of the rows that no commit has touched since.
    fn batch(&mut self) -> Result<(), StoreError> {
        if !self.backfill_pending {
            return Ok(());
        }
        self.ensure_session().map_err(|failed| failed.store_error())?;
        let (layouts, tables) = (Arc::clone(&self.layouts), &self.tables);
        let filled = self.session.run(async |conn| {
            for (layout, table) in layouts.iter().zip(tables).filter(|(layout, _)| layout.may_need_backfill()) {
                if let Err(error) = backfill::batch(conn, table, layout, None).await {
                    // Does not block the other tables; the next change of the row reports it again.
                    tracing::warn!(store.table = layout.name, %error, "backfill failed; rows of an earlier version stay as they are");
                }
            }
            Ok(())
        });
        filled.map_err(|failed| failed.store_error())
    }
}

impl Drop for PostgresStore {
    /// Releases the lease, so that pending effects are adopted before it would expire.
    fn drop(&mut self) {
        let instance = self.instance.number;
        if instance == 0 || !self.release_on_drop || !self.session.is_connected() {
            return;
        }
        let said = self.session.run_for(RELEASE_TIMEOUT, async |conn| {
            let mut work = Pipeline::default();
            work.add("UPDATE instance SET fenced = true, lease_until = clock_timestamp() WHERE number = $1", values![instance]);
            work.run(conn, "").await.rows().map(|_| ())
        });
        if let Err(error) = said {
            tracing::debug!(%error, "the lease was not released; it expires");
        }
    }
}

impl Store for PostgresStore {
    fn recover(&mut self) -> Result<Recovered, StoreError> {
        self.register()?;
        let (last_seq, ids) = self.read(async |conn, _| {
            let (_, last_seq) = log::ends(conn).await?;
            let rows = conn.rows("SELECT table_name, id FROM last_id", &[]).await?;
            let ids = rows
                .iter()
                .map(|row| Ok((get(row, 0)?, get_u64(row, 1)?)))
                .collect::<Result<HashMap<String, u64>, DatabaseError>>();
            Ok((last_seq, ids?))
        })?;
        let last_ids = self.layouts.iter().map(|layout| ids.get(&layout.name).copied().unwrap_or_default()).collect();
        Ok(Recovered { last_commit: 0, last_seq, last_effect: self.instance() << effects::INSTANCE_SHIFT, last_ids })
    }

    fn consumer_offset(&mut self, subscription: &str, partition: &Partition) -> Result<Option<ConsumerOffset>, StoreError> {
        self.read(async |conn, _| offsets::consumer_offset(conn, subscription, partition).await)
    }

    fn parked_heads(&mut self, subscription: &str, partition: u32) -> Result<Vec<ParkedRow>, StoreError> {
        self.read(async |conn, _| parked::parked_heads(conn, subscription, partition).await)
    }

    fn ids(&mut self, table: TableId, count: u64) -> Result<Range<u64>, StoreError> {
        let last = self.change(async |conn, tables, _| {
            let mut work = Pipeline::default();
            let sql = "UPDATE last_id SET id = id + $2 WHERE table_name = $1 RETURNING id";
            work.add(sql, values![tables.name(table)?, to_i64(count)?]);
            let row = work.run(conn, "").await.rows()?.pop().and_then(|mut rows| rows.pop());
            get_u64(&row.ok_or_else(|| DatabaseError::Corrupt("a table has no ids".into()))?, 0)
        })?;
        Ok(last + 1 - count..last + 1)
    }

    fn lease_ms(&self) -> Option<i64> {
        Some(millis(self.lease))
    }

    fn adopt(&mut self, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        #[allow(clippy::cast_precision_loss)] // as the database multiplies intervals; it is some seconds
        let lease = millis(self.lease) as f64;
        self.change(async |conn, tables, instance| effects::adopt(conn, tables, instance.number, lease, limit).await)
    }

    fn load(&mut self, wanted: &[RowRef]) -> Result<Vec<Option<StoredRow>>, StoreError> {
        self.read(async |conn, tables| load(conn, tables, wanted).await)
    }

    fn answer(&mut self, scope: &str, key: &str) -> Result<Option<AnswerRow>, StoreError> {
        Ok(self.answers(&[(scope.to_owned(), key.to_owned())])?.pop().flatten())
    }

    fn answers(&mut self, wanted: &[(String, String)]) -> Result<Vec<Option<AnswerRow>>, StoreError> {
        self.read(async |conn, _| answers::answers(conn, wanted).await)
    }

    /// For reading history, not for consuming: a position may become visible after larger ones. Consumers read what the relay
    /// publishes.
    fn log_after(&mut self, seq: u64, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.read(async |conn, _| log::after(conn, seq, u64::MAX, limit).await)
    }

    fn timers_due(&mut self, until_ms: i64, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        let claim = millis(self.timer_claim);
        self.change(async |conn, tables, instance| timers::due(conn, tables, (instance.number, claim), until_ms, limit).await)
    }

    fn timer_due(&mut self, table: TableId, key: &str, name: &str) -> Result<Option<i64>, StoreError> {
        self.read(async |conn, tables| timers::due_of(conn, tables, table, key, name).await)
    }

    fn next_timer(&mut self) -> Result<Option<i64>, StoreError> {
        let instance = self.instance.number;
        self.read(async |conn, tables| timers::next(conn, tables, instance).await)
    }

    fn effects_after(&mut self, number: u64, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        let instance = self.instance.number;
        self.read(async |conn, tables| effects::after(conn, tables, instance, number, limit).await)
    }

    fn parked(&mut self, subscription: &str, partition: u32, key: &str, limit: usize) -> Result<Vec<ParkedRow>, StoreError> {
        self.read(async |conn, _| parked::parked_of(conn, subscription, partition, key, limit).await)
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        let mut done = self.attempt(commit);
        if matches!(done, Err(AttemptError::Final(CommitError::Conflict(_)))) && self.fill(commit)? > 0 {
            done = self.attempt(commit);
        }
        match done {
            Ok(()) => {
                self.last_commit = commit.number;
                if !commit.log.is_empty() {
                    self.notifier.committed();
                }
                Ok(())
            }
            Err(AttemptError::UniqueViolation(error)) => Err(self.conflict_behind(commit).unwrap_or(error)),
            Err(AttemptError::Final(error)) => {
                if matches!(error, CommitError::Unknown(_) | CommitError::Unavailable(_)) {
                    self.session.disconnect();
                    self.session_stale = true;
                }
                Err(error)
            }
        }
    }

    fn last_commit(&mut self) -> Result<u64, StoreError> {
        self.ensure_session().map_err(|failed| failed.store_error())?;
        Ok(self.last_commit)
    }

    fn prune(&mut self, before_ms: i64, upto_seq: u64, now_ms: i64, limit: usize) -> Result<u64, StoreError> {
        self.batch()?;
        self.change(async |conn, _, _| prune(conn, before_ms, upto_seq, now_ms, limit).await)
    }

    fn exclusive(&self) -> bool {
        false
    }
}

/// Rows by key, in the order asked for: one statement for each table, all sent before the first answer.
async fn load(conn: &mut Connection, tables: Layouts<'_>, wanted: &[RowRef]) -> Result<Vec<Option<StoredRow>>, DatabaseError> {
    let mut by_table: HashMap<TableId, Vec<&str>> = HashMap::new();
    for row in wanted {
        by_table.entry(row.table).or_default().push(&row.key);
    }
    let mut asked = Vec::with_capacity(by_table.len());
    for (table, keys) in by_table {
        let Ok(layout) = tables.get(table) else { continue };
        asked.push((table, conn.prepared(&layout.by_keys()).await?, values![keys]));
    }
    let client = &conn.client;
    let answers =
        asked.iter().map(async |(table, statement, keys)| Ok((*table, client.query(statement, &references(keys)).await?)));
    let mut found: HashMap<(TableId, String), StoredRow> = HashMap::new();
    for (table, rows) in try_join_all(answers).await.map_err(|error: tokio_postgres::Error| DatabaseError::from(error))? {
        for row in rows {
            let row = stored(&row)?;
            found.insert((table, row.key.clone()), row);
        }
    }
    Ok(wanted.iter().map(|row| found.get(&(row.table, row.key.clone())).cloned()).collect())
}

async fn prune(conn: &mut Connection, before_ms: i64, upto_seq: u64, now_ms: i64, rows: usize) -> Result<u64, DatabaseError> {
    let mut work = Pipeline::default();
    // Only the oldest rows are examined, or a log of recent rows would be scanned whole each time.
    let log = "WITH oldest AS (SELECT seq, time_ms FROM log WHERE seq <= $1 ORDER BY seq LIMIT $3), \
               gone AS (DELETE FROM log USING oldest WHERE log.seq = oldest.seq AND oldest.time_ms < $2 \
               AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.seq = oldest.seq) RETURNING log.seq), \
               marked AS (UPDATE store_meta SET pruned_seq = (SELECT max(seq) FROM gone) WHERE pruned_seq < (SELECT max(seq) FROM gone)) \
               SELECT count(*) FROM gone";
    work.add(log, values![clamp_i64(upto_seq), before_ms, limit(rows)]);
    let answers = "WITH expired AS (SELECT scope, key FROM answer WHERE expires_ms <= $1 ORDER BY expires_ms LIMIT $2 \
                   FOR UPDATE SKIP LOCKED), gone AS (DELETE FROM answer USING expired WHERE answer.scope = expired.scope \
                   AND answer.key = expired.key RETURNING 1) SELECT count(*) FROM gone";
    work.add(answers, values![now_ms, limit(rows)]);
    // Deletes counter slots at zero; one that is being changed is skipped.
    let counters = "WITH idle AS (SELECT table_name, name, value, slot FROM counter WHERE number = 0 LIMIT 1000 FOR UPDATE SKIP LOCKED) \
                    DELETE FROM counter c USING idle WHERE c.table_name = idle.table_name AND c.name = idle.name AND c.value = idle.value \
                    AND c.slot = idle.slot";
    work.add(counters, Vec::new());
    let answers = work.run(conn, "").await.rows()?;
    let mut gone = 0;
    for rows in answers.iter().take(2) {
        gone += rows.first().map_or(Ok(0), |row| get_u64(row, 0))?;
    }
    Ok(gone)
}
