//! The outbox: numbers committed records in an order that loses none, and keeps them until they are published.
//!
//! Writers are assigned positions and commit in any order: a consumer that reads "after the last position" would skip records
//! that become visible late. So one relay, which holds the row `relay` locked, numbers the visible records without a number, in
//! the order of their positions. A late record gets a later number; per key none is late, because the second writer of a key is
//! assigned its position after the first has committed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ports::{Outbox, Record, StoreError};

use crate::connection::notifier::Notifier;
use crate::connection::options::{PostgresOptions, millis};
use crate::connection::pipeline::Pipeline;
use crate::connection::session::{Connection, Session};
use crate::error::DatabaseError;
use crate::records::log::{RECORD, record};
use crate::value::{clamp_i64, get, get_u64, limit, values};

/// The outbox of a service, for one relay. It connects on first use.
pub struct PostgresOutbox {
    session: Session,
    notifier: Arc<Notifier>,
    name: String,
    lease: Duration,
    release_on_drop: bool,
    /// The relay's number, assigned with its first lease request; 0 before.
    instance: i64,
    /// The last number marked as sent, and when the lease was renewed. The database checks the lease; this only saves a round
    /// trip.
    held: Option<(u64, Instant)>,
    /// The last poll found nothing to relay.
    idle: bool,
}

/// A mark that a crash of the server loses is recovered from the topic: no need to wait for the disk.
const ASYNC_COMMIT: &str = "SET LOCAL synchronous_commit = off";

/// Fails without the lease, and locks it until the transaction ends.
const REQUIRE_LEASE: &str = "SELECT expect(count(*), 1, 'PB006', 'leases of this relay') FROM (SELECT 1 FROM relay \
                    WHERE holder = $1 AND lease_until >= clock_timestamp() FOR UPDATE) AS held";

impl PostgresOutbox {
    pub(crate) fn new(session: Session, notifier: Arc<Notifier>, name: String, options: &PostgresOptions) -> Self {
        let PostgresOptions { relay_lease, release_on_drop, .. } = *options;
        Self { session, notifier, name, lease: relay_lease, release_on_drop, instance: 0, held: None, idle: false }
    }

    fn leased(&mut self) -> Result<Option<u64>, DatabaseError> {
        let (instance, lease) = (self.instance, millis(self.lease));
        let (instance, sent) = self.session.run(async |conn| {
            let mut work = Pipeline::default();
            // A relay without a number is assigned one.
            let sql = "WITH asks AS (SELECT CASE WHEN $1::int8 = 0 THEN nextval('relay_holder') ELSE $1::int8 END AS number), \
                       got AS (UPDATE relay SET holder = asks.number, \
                       lease_until = clock_timestamp() + $2::int8 * interval '1 millisecond' FROM asks \
                       WHERE holder = asks.number OR lease_until < clock_timestamp() RETURNING sent) \
                       SELECT asks.number, got.sent FROM asks LEFT JOIN got ON true";
            work.add(sql, values![instance, lease]);
            let row = work.run(conn, ASYNC_COMMIT).await.rows()?.pop().and_then(|mut rows| rows.pop());
            let row = row.ok_or_else(|| DatabaseError::Corrupt("the outbox has lost its own row".into()))?;
            Ok((get(&row, 0)?, get::<Option<i64>>(&row, 1)?))
        })?;
        self.instance = instance;
        Ok(sent.map(|sent| u64::try_from(sent).unwrap_or_default()))
    }

    /// An error invalidates the cached lease.
    fn done<T>(&mut self, result: Result<T, DatabaseError>) -> Result<T, StoreError> {
        result.map_err(|failed| {
            (self.held, self.idle) = (None, false);
            failed.store_error()
        })
    }
}

impl Drop for PostgresOutbox {
    /// Releases the lease, so that the next relay need not wait for it to expire.
    fn drop(&mut self) {
        let instance = self.instance;
        if instance == 0 || !self.release_on_drop || !self.session.is_connected() {
            return;
        }
        let said = self.session.run_for(Duration::from_secs(2), async |conn| {
            let mut work = Pipeline::default();
            work.add("UPDATE relay SET lease_until = '-infinity' WHERE holder = $1", values![instance]);
            work.run(conn, "").await.rows().map(|_| ())
        });
        if let Err(error) = said {
            tracing::debug!(%error, "the relay lease was not released; it expires");
        }
    }
}

impl Outbox for PostgresOutbox {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn lease(&mut self) -> Result<Option<u64>, StoreError> {
        if let Some((sent, since)) = self.held
            && since.elapsed() < self.lease / 3
        {
            return Ok(Some(sent));
        }
        let now = Instant::now();
        let leased = self.leased();
        let sent = self.done(leased)?;
        self.held = sent.map(|sent| (sent, now));
        Ok(sent)
    }

    fn unsent(&mut self, after: u64, limit: usize) -> Result<Vec<(u64, Record)>, StoreError> {
        let (instance, idle) = (self.instance, self.idle);
        let read = self.session.run(async |conn| {
            // While idle it only reads: numbering writes even if there is nothing to number.
            if idle && conn.row("SELECT 1 FROM outbox LIMIT 1", &[]).await?.is_none() {
                return Ok(Vec::new());
            }
            numbered(conn, instance, after, limit).await
        });
        let records = self.done(read)?;
        self.idle = records.is_empty();
        Ok(records)
    }

    fn sent(&mut self, number: u64) -> Result<(), StoreError> {
        let instance = self.instance;
        let sent = self.session.run(async |conn| {
            let mut work = Pipeline::default();
            work.add(REQUIRE_LEASE, values![instance]);
            // A mark counts records: those without a number get theirs first. Usually there are none.
            work.add(numbering("(SELECT greatest($1 - numbered, 0) FROM relay)"), values![clamp_i64(number)]);
            work.add("UPDATE relay SET sent = greatest(sent, least($1, numbered)) RETURNING sent", values![clamp_i64(number)]);
            work.add("DELETE FROM outbox WHERE number <= $1", values![clamp_i64(number)]);
            let answers = work.run(conn, ASYNC_COMMIT).await.rows()?;
            let row = answers.get(2).and_then(|rows| rows.first());
            get_u64(row.ok_or_else(|| DatabaseError::Corrupt("the outbox has lost its own row".into()))?, 0)
        });
        let sent = self.done(sent)?;
        self.held = self.held.map(|(_, since)| (sent, since));
        Ok(())
    }

    fn watch(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.notifier.watch(wake);
    }
}

/// Numbers the first unnumbered records, in the order of their positions.
fn numbering(limit: &str) -> String {
    format!(
        "WITH new AS (SELECT seq, row_number() OVER (ORDER BY seq) AS ordinal FROM (SELECT seq FROM outbox \
         WHERE number IS NULL ORDER BY seq LIMIT {limit}) AS first), \
         done AS (UPDATE outbox o SET number = relay.numbered + new.ordinal FROM new, relay \
         WHERE o.seq = new.seq RETURNING o.number) \
         UPDATE relay SET numbered = greatest(numbered, (SELECT max(number) FROM done))"
    )
}

/// Numbers records in a statement that starts once the lease is locked, then reads numbered ones.
async fn numbered(conn: &mut Connection, instance: i64, after: u64, rows: usize) -> Result<Vec<(u64, Record)>, DatabaseError> {
    let mut work = Pipeline::default();
    work.add(REQUIRE_LEASE, values![instance]);
    work.add(numbering("$1"), values![limit(rows)]);
    let read = format!(
        "SELECT o.number, {RECORD} FROM outbox o JOIN log l ON l.seq = o.seq WHERE o.number > $1 ORDER BY o.number LIMIT $2"
    );
    work.add(read, values![clamp_i64(after), limit(rows)]);
    let answers = work.run(conn, "").await.rows()?;
    answers.last().into_iter().flatten().map(|row| Ok((get_u64(row, 0)?, record(row, 1)?))).collect()
}
