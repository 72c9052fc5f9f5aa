//! The relay's side of the log: events get numbers in an order that loses none, and stay until they have arrived.
//!
//! Positions are drawn by writers who commit in any order: who reads "behind the last position" passes over those that
//! become visible late. So one relay, which holds the row `relay` locked, gives numbers to what it sees without any, in the
//! order of positions. What comes late gets a later number; for one key nothing does, because whoever writes second there
//! draws its position when the first has committed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ports::{Outbox, Record, StoreError};

use crate::error::Failed;
use crate::options::{PostgresOptions, millis};
use crate::pipeline::Pipeline;
use crate::record::{RECORD, record};
use crate::session::{Link, Session};
use crate::signal::Signal;
use crate::value::{get, limit, most, natural, values};

/// The outbox of a service, for one relay. It makes its connection when it is first asked.
pub struct PostgresOutbox {
    session: Session,
    signal: Arc<Signal>,
    name: String,
    lease: Duration,
    farewell: bool,
    /// Its number among all relays that there have been; 0 before it has asked for the lease.
    me: i64,
    /// The mark, and when the lease was prolonged. What is done is done under the lease that the database knows of; this only
    /// saves asking each time.
    held: Option<(u64, Instant)>,
    /// When it last looked there was nothing to relay.
    idle: bool,
}

/// What a crash of the server may undo, as the topic tells it again: nobody waits for the disk.
const AT_LEISURE: &str = "SET LOCAL synchronous_commit = off";

/// Fails where the lease is another's, and keeps it from becoming so until the transaction ends.
const HELD: &str = "SELECT expect(count(*), 1, 'PB006', 'leases of this relay') FROM (SELECT 1 FROM relay \
                    WHERE holder = $1 AND until >= clock_timestamp() FOR UPDATE) AS held";

impl PostgresOutbox {
    pub(crate) fn new(session: Session, signal: Arc<Signal>, name: String, options: &PostgresOptions) -> Self {
        let PostgresOptions { relay_lease, farewell, .. } = *options;
        Self { session, signal, name, lease: relay_lease, farewell, me: 0, held: None, idle: false }
    }

    fn leased(&mut self) -> Result<Option<u64>, Failed> {
        let (me, lease) = (self.me, millis(self.lease));
        let (me, sent) = self.session.run(async |link| {
            let mut work = Pipeline::default();
            // A number is drawn by who has none.
            let sql = "WITH asks AS (SELECT CASE WHEN $1::int8 = 0 THEN nextval('relay_holder') ELSE $1::int8 END AS number), \
                       got AS (UPDATE relay SET holder = asks.number, \
                       until = clock_timestamp() + $2::int8 * interval '1 millisecond' FROM asks \
                       WHERE holder = asks.number OR until < clock_timestamp() RETURNING sent) \
                       SELECT asks.number, got.sent FROM asks LEFT JOIN got ON true";
            work.add(sql, values![me, lease]);
            let row = work.run(link, AT_LEISURE).await.rows()?.pop().and_then(|mut rows| rows.pop());
            let row = row.ok_or_else(|| Failed::Damaged("the outbox has lost its own row".into()))?;
            Ok((get(&row, 0)?, get::<Option<i64>>(&row, 1)?))
        })?;
        self.me = me;
        Ok(sent.map(|sent| u64::try_from(sent).unwrap_or_default()))
    }

    /// After an error nothing is believed any more.
    fn done<T>(&mut self, result: Result<T, Failed>) -> Result<T, StoreError> {
        result.map_err(|failed| {
            (self.held, self.idle) = (None, false);
            failed.unread()
        })
    }
}

impl Drop for PostgresOutbox {
    /// The next relay need not wait until the lease has run out.
    fn drop(&mut self) {
        let me = self.me;
        if me == 0 || !self.farewell || !self.session.stands() {
            return;
        }
        let said = self.session.run_for(Duration::from_secs(2), async |link| {
            let mut work = Pipeline::default();
            work.add("UPDATE relay SET until = '-infinity' WHERE holder = $1", values![me]);
            work.run(link, "").await.rows().map(|_| ())
        });
        if let Err(error) = said {
            tracing::debug!(%error, "the relay's lease runs out by itself");
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
        let (me, idle) = (self.me, self.idle);
        let read = self.session.run(async |link| {
            // At rest it is only looked at: giving numbers writes, though there be none to give.
            if idle && link.row("SELECT 1 FROM outbox LIMIT 1", &[]).await?.is_none() {
                return Ok(Vec::new());
            }
            numbered(link, me, after, limit).await
        });
        let records = self.done(read)?;
        self.idle = records.is_empty();
        Ok(records)
    }

    fn sent(&mut self, number: u64) -> Result<(), StoreError> {
        let me = self.me;
        let sent = self.session.run(async |link| {
            let mut work = Pipeline::default();
            work.add(HELD, values![me]);
            // A mark counts events: those that have no number yet get theirs first. Usually there are none to count.
            work.add(numbering("(SELECT greatest($1 - numbered, 0) FROM relay)"), values![most(number)]);
            work.add("UPDATE relay SET sent = greatest(sent, least($1, numbered)) RETURNING sent", values![most(number)]);
            work.add("DELETE FROM outbox WHERE number <= $1", values![most(number)]);
            let answers = work.run(link, AT_LEISURE).await.rows()?;
            let row = answers.get(2).and_then(|rows| rows.first());
            natural(row.ok_or_else(|| Failed::Damaged("the outbox has lost its own row".into()))?, 0)
        });
        let sent = self.done(sent)?;
        self.held = self.held.map(|(_, since)| (sent, since));
        Ok(())
    }

    fn watch(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.signal.watch(wake);
    }
}

/// Gives numbers to the first so many events that have none, in the order of their positions.
fn numbering(most: &str) -> String {
    format!(
        "WITH new AS (SELECT seq, row_number() OVER (ORDER BY seq) AS place FROM (SELECT seq FROM outbox \
         WHERE number IS NULL ORDER BY seq LIMIT {most}) AS first), \
         done AS (UPDATE outbox o SET number = relay.numbered + new.place FROM new, relay \
         WHERE o.seq = new.seq RETURNING o.number) \
         UPDATE relay SET numbered = greatest(numbered, (SELECT max(number) FROM done))"
    )
}

/// Gives numbers under the lease, in a statement that begins when the lease is held, then reads what has one.
async fn numbered(link: &mut Link, me: i64, after: u64, rows: usize) -> Result<Vec<(u64, Record)>, Failed> {
    let mut work = Pipeline::default();
    work.add(HELD, values![me]);
    work.add(numbering("$1"), values![limit(rows)]);
    let read = format!(
        "SELECT o.number, {RECORD} FROM outbox o JOIN log l ON l.seq = o.seq WHERE o.number > $1 ORDER BY o.number LIMIT $2"
    );
    work.add(read, values![most(after), limit(rows)]);
    let answers = work.run(link, "").await.rows()?;
    answers.last().into_iter().flatten().map(|row| Ok((natural(row, 0)?, record(row, 1)?))).collect()
}
