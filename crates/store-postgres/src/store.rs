//! The writing side: one connection, used by the core alone, and the instance that this process is.

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

use crate::commit::{self, Me, Stopped};
use crate::error::Failed;
use crate::options::{PostgresOptions, millis};
use crate::pipeline::Pipeline;
use crate::session::{Link, Session, references};
use crate::shape::{Shape, Tables, stored};
use crate::signal::Signal;
use crate::value::{get, limit, most, natural, values, whole};
use crate::{effects, record, refill, timers, work};

/// A service's part of the shared store. Others may work on the same schema, each as an instance of its own.
pub struct PostgresStore {
    session: Session,
    shapes: Arc<[Shape]>,
    tables: Vec<Table>,
    signal: Arc<Signal>,
    lease: Duration,
    timer_claim: Duration,
    farewell: bool,
    me: Me,
    /// The connection has changed since the instance last spoke, or the fate of its last commit is not known.
    unsure: bool,
    last_commit: u64,
    unshaped_rows: bool,
}

/// How long a store that is being dropped tries to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

impl PostgresStore {
    pub(crate) fn new(
        session: Session,
        shapes: Arc<[Shape]>,
        tables: Vec<Table>,
        signal: Arc<Signal>,
        options: &PostgresOptions,
    ) -> Self {
        let PostgresOptions { lease, timer_claim, farewell, .. } = *options;
        let unshaped_rows = shapes.iter().any(Shape::may_lack);
        let me = Me::default();
        Self { session, shapes, tables, signal, lease, timer_claim, farewell, me, unsure: false, last_commit: 0, unshaped_rows }
    }

    /// The number of the instance that this is; 0 before it has recovered.
    pub fn instance(&self) -> u64 {
        self.me.number.unsigned_abs()
    }

    /// Makes sure that the connection which stands is the one that may commit for this instance. It waits for a commit that
    /// an earlier one may still be at, and shuts out one that may still arrive.
    fn ready(&mut self) -> Result<(), Failed> {
        if !self.session.stands() {
            self.unsure = true;
        }
        if self.me.number == 0 || !self.unsure {
            return Ok(());
        }
        let me = self.me.number;
        let answer = self.session.run(async |link| {
            let mut work = Pipeline::default();
            let sql = "UPDATE instance SET session = session + 1 WHERE number = $1 RETURNING session, last_commit";
            work.add(sql, values![me]);
            let row = work.run(link, "").await.rows()?.pop().and_then(|mut rows| rows.pop());
            // Nobody forgets an instance before a week has passed.
            let row = row.ok_or_else(|| Failed::Damaged(format!("instance {me} is not known any more")))?;
            Ok((get(&row, 0)?, natural(&row, 1)?))
        });
        (self.me.session, self.last_commit) = answer?;
        self.unsure = false;
        Ok(())
    }

    fn read<T: Send>(
        &mut self,
        work: impl AsyncFn(&mut Link, Tables<'_>) -> Result<T, Failed> + Send + Sync,
    ) -> Result<T, StoreError> {
        let shapes = Arc::clone(&self.shapes);
        self.session.read(async |link| work(link, Tables(&shapes)).await).map_err(|failed| failed.unread())
    }

    /// Something that changes the store beside commits, and does no harm if it is done twice.
    fn change<T: Send>(
        &mut self,
        work: impl AsyncFnOnce(&mut Link, Tables<'_>, Me) -> Result<T, Failed> + Send,
    ) -> Result<T, StoreError> {
        self.ready().map_err(|failed| failed.unread())?;
        let (shapes, me) = (Arc::clone(&self.shapes), self.me);
        self.session.run(async |link| work(link, Tables(&shapes), me).await).map_err(|failed| failed.unread())
    }

    fn register(&mut self) -> Result<(), StoreError> {
        let lease = millis(self.lease);
        let before = self.me.number;
        let number = self.session.run(async |link| {
            let mut work = Pipeline::default();
            // What the one before has left is for whoever looks first.
            work.add("UPDATE instance SET fenced = true WHERE number = $1", values![before]);
            let sql = "INSERT INTO instance (number, until) VALUES (nextval('instance_number'), \
                       clock_timestamp() + $1::int8 * interval '1 millisecond') RETURNING number";
            work.add(sql, values![lease]);
            let row = work.run(link, "").await.rows()?.pop().and_then(|mut rows| rows.pop());
            get(&row.ok_or_else(|| Failed::Damaged("an instance gets no number".into()))?, 0)
        });
        self.me = Me { number: number.map_err(|failed| failed.unread())?, session: 1 };
        (self.unsure, self.last_commit) = (false, 0);
        Ok(())
    }

    /// One attempt at a commit.
    fn attempt(&mut self, commit: &Commit) -> Result<(), Stopped> {
        self.ready().map_err(|failed| Stopped::Told(CommitError::Unavailable(failed.to_string())))?;
        let shapes = Arc::clone(&self.shapes);
        let written = commit::written(Tables(&shapes), self.me, millis(self.lease), commit);
        let written = written.map_err(|failed| Stopped::Told(failed.uncommitted()))?;
        let (mut begun, mut stopped) = (false, None);
        let sent = self.session.run(async |link| {
            begun = true;
            stopped = Some(commit::run(link, &written).await);
            Ok(())
        });
        match (stopped, sent) {
            (Some(done), _) => done,
            (None, Err(failed)) if !begun => Err(Stopped::Told(CommitError::Unavailable(failed.to_string()))),
            // The time ran out while it was under way.
            (None, Err(failed)) => Err(Stopped::Told(CommitError::Unknown(failed.to_string()))),
            (None, Ok(())) => Err(Stopped::Told(CommitError::Unknown("it has not ended".into()))),
        }
    }

    /// Of two who make the same row with the same id at once, the second may hear of the id before it hears of the row. That
    /// others came first is what it is to know.
    fn overtaken(&mut self, commit: &Commit) -> Option<CommitError> {
        let wanted: Vec<RowRef> = commit.rows.iter().map(|row| RowRef { table: row.table, key: row.key.clone() }).collect();
        let there = self.load(&wanted).ok()?;
        let versions = there.iter().map(|row| row.as_ref().map_or(0, |row| row.version));
        let moved = commit.rows.iter().zip(versions).any(|(row, version)| row.old_version != version);
        moved.then(|| CommitError::Conflict("a row was made by another".into()))
    }

    /// A commit fails on rows as they are written by a version that does not know all fields, as it does on rows that have
    /// changed. They get the fields now; says how many rows were meant.
    fn fill(&mut self, commit: &Commit) -> Result<u64, CommitError> {
        let (shapes, tables) = (Arc::clone(&self.shapes), &self.tables);
        let filled = self.session.run(async |link| {
            let mut rows = 0;
            for same in commit.rows.chunk_by(|one, next| one.table == next.table) {
                let Some(place) = same.first().map(|row| row.table.0) else { continue };
                let (Some(shape), Some(table)) = (shapes.get(place), tables.get(place)) else { continue };
                let keys: Vec<&str> = same.iter().filter(|row| row.old_version > 0).map(|row| row.key.as_str()).collect();
                if shape.newest && refill::lack(link, shape, &keys).await? {
                    let filled = refill::fill_some(link, table, shape, Some(&keys)).await;
                    rows += filled.map_err(|error| Failed::Refused(error.to_string()))?;
                }
            }
            Ok(rows)
        });
        filled.map_err(|failed| failed.uncommitted())
    }

    /// Those that nobody has touched since, a few at a time.
    fn fill_some(&mut self) -> Result<(), StoreError> {
        if !self.unshaped_rows {
            return Ok(());
        }
        self.ready().map_err(|failed| failed.unread())?;
        let (shapes, tables) = (Arc::clone(&self.shapes), &self.tables);
        let filled = self.session.run(async |link| {
            for (shape, table) in shapes.iter().zip(tables).filter(|(shape, _)| shape.may_lack()) {
                if let Err(error) = refill::fill_some(link, table, shape, None).await {
                    // It is of no concern to what else is to be done, and will be seen again with the row's next change.
                    tracing::warn!(store.table = shape.name, %error, "rows of an earlier version are left as they are");
                }
            }
            Ok(())
        });
        filled.map_err(|failed| failed.unread())
    }
}

impl Drop for PostgresStore {
    /// What is left undone need not wait until the lease has run out.
    fn drop(&mut self) {
        let me = self.me.number;
        if me == 0 || !self.farewell || !self.session.stands() {
            return;
        }
        let said = self.session.run_for(GOODBYE, async |link| {
            let mut work = Pipeline::default();
            work.add("UPDATE instance SET fenced = true, until = clock_timestamp() WHERE number = $1", values![me]);
            work.run(link, "").await.rows().map(|_| ())
        });
        if let Err(error) = said {
            tracing::debug!(%error, "the lease runs out by itself");
        }
    }
}

impl Store for PostgresStore {
    fn recover(&mut self) -> Result<Recovered, StoreError> {
        self.register()?;
        let (last_seq, ids) = self.read(async |link, _| {
            let (_, last_seq) = record::ends(link).await?;
            let rows = link.rows("SELECT tbl, id FROM last_id", &[]).await?;
            let ids =
                rows.iter().map(|row| Ok((get(row, 0)?, natural(row, 1)?))).collect::<Result<HashMap<String, u64>, Failed>>();
            Ok((last_seq, ids?))
        })?;
        let last_ids = self.shapes.iter().map(|shape| ids.get(&shape.name).copied().unwrap_or_default()).collect();
        Ok(Recovered { last_commit: 0, last_seq, last_effect: self.instance() << effects::NUMBERS, last_ids })
    }

    fn consumer_offset(&mut self, subscription: &str, partition: &Partition) -> Result<Option<ConsumerOffset>, StoreError> {
        self.read(async |link, _| work::consumer_offset(link, subscription, partition).await)
    }

    fn parked_heads(&mut self, subscription: &str, partition: u32) -> Result<Vec<ParkedRow>, StoreError> {
        self.read(async |link, _| work::parked_heads(link, subscription, partition).await)
    }

    fn ids(&mut self, table: TableId, count: u64) -> Result<Range<u64>, StoreError> {
        let last = self.change(async |link, tables, _| {
            let mut work = Pipeline::default();
            let sql = "UPDATE last_id SET id = id + $2 WHERE tbl = $1 RETURNING id";
            work.add(sql, values![tables.name(table)?, whole(count)?]);
            let row = work.run(link, "").await.rows()?.pop().and_then(|mut rows| rows.pop());
            natural(&row.ok_or_else(|| Failed::Damaged("a table has no ids".into()))?, 0)
        })?;
        Ok(last + 1 - count..last + 1)
    }

    fn lease_ms(&self) -> Option<i64> {
        Some(millis(self.lease))
    }

    fn adopt(&mut self, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        #[allow(clippy::cast_precision_loss)] // as the database multiplies intervals; it is some seconds
        let lease = millis(self.lease) as f64;
        self.change(async |link, tables, me| effects::adopt(link, tables, me.number, lease, limit).await)
    }

    fn load(&mut self, wanted: &[RowRef]) -> Result<Vec<Option<StoredRow>>, StoreError> {
        self.read(async |link, tables| load(link, tables, wanted).await)
    }

    fn answer(&mut self, scope: &str, key: &str) -> Result<Option<AnswerRow>, StoreError> {
        Ok(self.answers(&[(scope.to_owned(), key.to_owned())])?.pop().flatten())
    }

    fn answers(&mut self, wanted: &[(String, String)]) -> Result<Vec<Option<AnswerRow>>, StoreError> {
        self.read(async |link, _| work::answers(link, wanted).await)
    }

    /// For one who reads history, and not for one who follows it: among several writers a position may become visible after
    /// larger ones. Who follows takes what the relay publishes.
    fn log_after(&mut self, seq: u64, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.read(async |link, _| record::after(link, seq, u64::MAX, limit).await)
    }

    fn timers_due(&mut self, until_ms: i64, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        let claim = millis(self.timer_claim);
        self.change(async |link, tables, me| timers::due(link, tables, (me.number, claim), until_ms, limit).await)
    }

    fn timer_due(&mut self, table: TableId, key: &str, name: &str) -> Result<Option<i64>, StoreError> {
        self.read(async |link, tables| timers::due_of(link, tables, table, key, name).await)
    }

    fn next_timer(&mut self) -> Result<Option<i64>, StoreError> {
        let me = self.me.number;
        self.read(async |link, tables| timers::next(link, tables, me).await)
    }

    fn effects_after(&mut self, number: u64, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        let me = self.me.number;
        self.read(async |link, tables| effects::after(link, tables, me, number, limit).await)
    }

    fn parked(&mut self, subscription: &str, partition: u32, key: &str, limit: usize) -> Result<Vec<ParkedRow>, StoreError> {
        self.read(async |link, _| work::parked_of(link, subscription, partition, key, limit).await)
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        let mut done = self.attempt(commit);
        if matches!(done, Err(Stopped::Told(CommitError::Conflict(_)))) && self.fill(commit)? > 0 {
            done = self.attempt(commit);
        }
        match done {
            Ok(()) => {
                self.last_commit = commit.number;
                if !commit.log.is_empty() {
                    self.signal.committed();
                }
                Ok(())
            }
            Err(Stopped::Taken(error)) => Err(self.overtaken(commit).unwrap_or(error)),
            Err(Stopped::Told(error)) => {
                if matches!(error, CommitError::Unknown(_) | CommitError::Unavailable(_)) {
                    self.session.hang_up();
                    self.unsure = true;
                }
                Err(error)
            }
        }
    }

    fn last_commit(&mut self) -> Result<u64, StoreError> {
        self.ready().map_err(|failed| failed.unread())?;
        Ok(self.last_commit)
    }

    fn prune(&mut self, before_ms: i64, upto_seq: u64, now_ms: i64, limit: usize) -> Result<u64, StoreError> {
        self.fill_some()?;
        self.change(async |link, _, _| prune(link, before_ms, upto_seq, now_ms, limit).await)
    }

    fn exclusive(&self) -> bool {
        false
    }
}

/// Rows by key, in the order asked for: a statement for each table, all sent before the first is answered.
async fn load(link: &mut Link, tables: Tables<'_>, wanted: &[RowRef]) -> Result<Vec<Option<StoredRow>>, Failed> {
    let mut by_table: HashMap<TableId, Vec<&str>> = HashMap::new();
    for row in wanted {
        by_table.entry(row.table).or_default().push(&row.key);
    }
    let mut asked = Vec::with_capacity(by_table.len());
    for (table, keys) in by_table {
        let Ok(shape) = tables.get(table) else { continue };
        asked.push((table, link.prepared(&shape.by_keys()).await?, values![keys]));
    }
    let client = &link.client;
    let answers =
        asked.iter().map(async |(table, statement, keys)| Ok((*table, client.query(statement, &references(keys)).await?)));
    let mut found: HashMap<(TableId, String), StoredRow> = HashMap::new();
    for (table, rows) in try_join_all(answers).await.map_err(|error: tokio_postgres::Error| Failed::from(error))? {
        for row in rows {
            let row = stored(&row)?;
            found.insert((table, row.key.clone()), row);
        }
    }
    Ok(wanted.iter().map(|row| found.get(&(row.table, row.key.clone())).cloned()).collect())
}

async fn prune(link: &mut Link, before_ms: i64, upto_seq: u64, now_ms: i64, rows: usize) -> Result<u64, Failed> {
    let mut work = Pipeline::default();
    // Only the oldest are looked at, or a log of young rows would be read whole each time.
    let log = "WITH oldest AS (SELECT seq, time_ms FROM log WHERE seq <= $1 ORDER BY seq LIMIT $3), \
               gone AS (DELETE FROM log USING oldest WHERE log.seq = oldest.seq AND oldest.time_ms < $2 \
               AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.seq = oldest.seq) RETURNING log.seq), \
               told AS (UPDATE machine SET pruned = (SELECT max(seq) FROM gone) WHERE pruned < (SELECT max(seq) FROM gone)) \
               SELECT count(*) FROM gone";
    work.add(log, values![most(upto_seq), before_ms, limit(rows)]);
    let answers = "WITH expired AS (SELECT scope, key FROM answer WHERE expires_ms <= $1 ORDER BY expires_ms LIMIT $2 \
                   FOR UPDATE SKIP LOCKED), gone AS (DELETE FROM answer USING expired WHERE answer.scope = expired.scope \
                   AND answer.key = expired.key RETURNING 1) SELECT count(*) FROM gone";
    work.add(answers, values![now_ms, limit(rows)]);
    // Slots that hold nothing are not worth keeping; one that is being changed stays.
    let counters = "WITH idle AS (SELECT tbl, name, value, slot FROM counter WHERE number = 0 LIMIT 1000 FOR UPDATE SKIP LOCKED) \
                    DELETE FROM counter c USING idle WHERE c.tbl = idle.tbl AND c.name = idle.name AND c.value = idle.value \
                    AND c.slot = idle.slot";
    work.add(counters, Vec::new());
    let answers = work.run(link, "").await.rows()?;
    let mut gone = 0;
    for rows in answers.iter().take(2) {
        gone += rows.first().map_or(Ok(0), |row| natural(row, 0))?;
    }
    Ok(gone)
}
