//! One connection, used by one thread at a time, and reconnected when it is lost.
//!
//! The ports are synchronous and are called from a writer thread, from blocking threads and, at start and stop, from within an
//! async runtime. So each connection has a current-thread runtime, driven by the caller; within another runtime, which must not
//! be blocked, by a helper thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Row, Statement};

use crate::connection::options::PostgresOptions;
use crate::connection::tls::{self, Encryption};
use crate::error::DatabaseError;
use crate::value::Value;

/// Prepared statements of a connection; beyond that all are dropped.
const STATEMENTS: usize = 512;

/// The first pause after a failed attempt to connect; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How connections of one store are made; shared by all of them.
#[derive(Debug)]
pub(crate) struct Connector {
    config: Config,
    encryption: Encryption,
    setup: String,
    connect_timeout: Duration,
    /// The longest that one unit of work may take; the database's own timeouts are shorter.
    work_timeout: Duration,
    pause: Mutex<Pause>,
}

#[derive(Debug, Default)]
struct Pause {
    failures: u32,
    until: Option<Instant>,
    cause: String,
}

impl Connector {
    /// Connections to a schema; `pg_stat_activity` shows the purpose.
    pub fn new(options: &PostgresOptions, schema: &str, purpose: &str) -> Self {
        let mut config = options.config.clone();
        config.connect_timeout(options.connect_timeout);
        config.keepalives_idle(Duration::from_secs(15));
        config.tcp_user_timeout(options.statement_timeout);
        config.application_name(format!("pabal {schema} {purpose}"));
        let statement = options.statement_timeout.as_millis().max(1);
        let lock = options.lock_timeout.as_millis().max(1);
        // Only transactions that are READ WRITE may write: see the pipeline. Plans must not depend on the age of the statistics:
        // each statement has an index made for it. Joins are nested loops over the arrays, so that rows are locked in key order.
        let setup = format!(
            "SET search_path = \"{schema}\"; SET default_transaction_read_only = on; SET statement_timeout = {statement}; SET lock_timeout = {lock}; \
             SET idle_in_transaction_session_timeout = {statement}; SET client_min_messages = warning; SET jit = off; \
             SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;"
        );
        let work_timeout = options.statement_timeout * 2 + Duration::from_secs(5);
        let (encryption, connect_timeout) = (options.encryption.clone(), options.connect_timeout);
        Self { config, encryption, setup, connect_timeout, work_timeout, pause: Mutex::default() }
    }

    /// A server that does not answer is not contacted again before the pause is over.
    fn check(&self) -> Result<(), DatabaseError> {
        let pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        match pause.until {
            Some(until) if Instant::now() < until => Err(DatabaseError::ConnectionLost(pause.cause.clone())),
            _ => Ok(()),
        }
    }

    fn came_to<T>(&self, result: &Result<T, DatabaseError>) {
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(_) => *pause = Pause::default(),
            Err(failed) => {
                let time = FIRST_PAUSE.saturating_mul(1 << pause.failures.min(10)).min(LONGEST_PAUSE);
                *pause = Pause { failures: pause.failures + 1, until: Some(Instant::now() + time), cause: failed.to_string() };
            }
        }
    }

    async fn connect(&self) -> Result<Connection, DatabaseError> {
        self.check()?;
        let connected = within(self.connect_timeout * 2, self.connector()).await;
        self.came_to(&connected);
        connected
    }

    async fn connector(&self) -> Result<Connection, DatabaseError> {
        let (client, driver) = tls::connect(&self.config, &self.encryption, None).await?;
        // From here on the driver task ends with the connection, also on errors.
        let conn = Connection { client, driver, statements: HashMap::new() };
        conn.client.batch_execute(&self.setup).await?;
        Ok(conn)
    }
}

async fn within<T>(time: Duration, work: impl Future<Output = Result<T, DatabaseError>>) -> Result<T, DatabaseError> {
    tokio::time::timeout(time, work).await.unwrap_or_else(|_| Err(DatabaseError::ConnectionLost("timeout".into())))
}

/// An open connection.
pub(crate) struct Connection {
    pub client: Client,
    driver: JoinHandle<()>,
    statements: HashMap<String, Statement>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// A prepared statement.
    pub async fn prepared(&mut self, sql: &str) -> Result<Statement, DatabaseError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// The rows of a prepared statement.
    pub async fn rows(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, DatabaseError> {
        let statement = self.prepared(sql).await?;
        Ok(self.client.query(&statement, &references(values)).await?)
    }

    /// The first row of a prepared statement.
    pub async fn row(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Option<Row>, DatabaseError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// The rows of an unprepared statement, planned for these values.
    pub async fn query_once(&mut self, sql: &str, values: &[(Value<'_>, Type)]) -> Result<Vec<Row>, DatabaseError> {
        let values: Vec<(&(dyn ToSql + Sync), Type)> =
            values.iter().map(|(value, of)| (&**value as &(dyn ToSql + Sync), of.clone())).collect();
        Ok(self.client.query_typed(sql, &values).await?)
    }

    /// Runs statements without parameters.
    pub async fn batch(&mut self, sql: &str) -> Result<(), DatabaseError> {
        Ok(self.client.batch_execute(sql).await?)
    }
}

/// Parameters as the driver takes them.
pub(crate) fn references<'a>(values: &'a [Value<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect()
}

/// A connection that is made on first use.
pub(crate) struct Session {
    connector: Arc<Connector>,
    runtime: Option<Runtime>,
    conn: Option<Connection>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.conn = None;
        // Dropping a runtime blocks, which is forbidden within an async runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Session {
    /// Not connected yet.
    pub fn new(connector: Arc<Connector>) -> Result<Self, DatabaseError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| DatabaseError::ConnectionLost(format!("no runtime for a connection: {error}")))?;
        Ok(Self { connector, runtime: Some(runtime), conn: None })
    }

    /// Whether a connection is open, as far as is known without a round trip.
    pub fn is_connected(&self) -> bool {
        self.conn.as_ref().is_some_and(|conn| !conn.client.is_closed())
    }

    /// Closes the connection.
    pub fn disconnect(&mut self) {
        self.conn = None;
    }

    /// Runs work on the connection, connecting if necessary. A connection that breaks is dropped.
    pub fn run<T: Send>(
        &mut self,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, DatabaseError> + Send,
    ) -> Result<T, DatabaseError> {
        let time = self.connector.work_timeout;
        self.run_for(time, work)
    }

    /// The same with another timeout.
    pub fn run_for<T: Send>(
        &mut self,
        time: Duration,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, DatabaseError> + Send,
    ) -> Result<T, DatabaseError> {
        let connected = self.is_connected();
        let conn = self.conn.take().filter(|_| connected);
        let Some(runtime) = &self.runtime else { return Err(DatabaseError::ConnectionLost("it is closed".into())) };
        let connector = &*self.connector;
        let (conn, result) = driven(runtime, move |runtime| {
            runtime.block_on(async {
                let mut conn = match alive(conn).await {
                    Some(conn) => conn,
                    None => match connector.connect().await {
                        Ok(conn) => conn,
                        Err(failed) => return (None, Err(failed)),
                    },
                };
                let result = within(time, work(&mut conn)).await;
                let lost = conn.client.is_closed() || result.as_ref().err().is_some_and(DatabaseError::is_lost);
                ((!lost).then_some(conn), result)
            })
        })?;
        self.conn = conn;
        result
    }

    /// Runs a read; on a connection that turns out to be lost it is retried on another.
    pub fn read<T: Send>(
        &mut self,
        work: impl AsyncFn(&mut Connection) -> Result<T, DatabaseError> + Send + Sync,
    ) -> Result<T, DatabaseError> {
        let stood = self.is_connected();
        match self.run(&work) {
            Err(failed) if stood && failed.is_lost() => self.run(&work),
            result => result,
        }
    }
}

/// The driver task is idle between two units of work. It gets a chance to notice that the server has closed the connection
/// before anything is sent.
async fn alive(conn: Option<Connection>) -> Option<Connection> {
    let conn = conn?;
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    (!conn.client.is_closed()).then_some(conn)
}

/// Drives a runtime, on a helper thread where the caller is within one.
fn driven<T: Send>(runtime: &Runtime, work: impl FnOnce(&Runtime) -> T + Send) -> Result<T, DatabaseError> {
    if Handle::try_current().is_err() {
        return Ok(work(runtime));
    }
    std::thread::scope(|scope| {
        let helper = std::thread::Builder::new().name("pabal-postgres".into()).spawn_scoped(scope, || work(runtime));
        let helper = helper.map_err(|error| DatabaseError::ConnectionLost(format!("no thread for a connection: {error}")))?;
        helper.join().map_err(|_| DatabaseError::ConnectionLost("the work on a connection has panicked".into()))
    })
}
