//! Opens a service's schema: checks its owner, migrates, and hands out the store, its reader and its outbox.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ports::Model;
use ports::model::Table;
use tokio_postgres::Row;

use crate::connection::notifier::Notifier;
use crate::connection::options::{PostgresOptions, service_of};
use crate::connection::session::{Connection, Connector, Session};
use crate::error::{DatabaseError, OpenError};
use crate::layout::{Layouts, TableLayout, layouts, quoted};
use crate::outbox::PostgresOutbox;
use crate::read::pool::Pool;
use crate::read::reader::PostgresReader;
use crate::schema::backfill;
use crate::schema::migrations;
use crate::schema::tables;
use crate::value::{get, values};
use crate::write::store::PostgresStore;

/// The oldest supported server: 13.
const OLDEST: i32 = 130_000;

impl PostgresStore {
    /// Opens the schema of a model's service, or creates it. Nothing is scanned; only a newly declared field reads the existing
    /// rows. An older version may keep running meanwhile.
    pub fn connect(
        options: &PostgresOptions,
        model: &Model,
    ) -> Result<(PostgresStore, PostgresReader, PostgresOutbox), OpenError> {
        let schema = options.schema_of(model)?;
        let mut layouts = layouts(model)?;
        let mut session = Session::new(Arc::new(Connector::new(options, &schema, "start")))?;
        let opening = Opening { options, schema: &schema, model };
        // Waiting for a lock and backfilling may take long; each statement has its own timeout or none.
        let time = options.migration_timeout.saturating_mul(100);
        let mut opened = Ok(String::new());
        session.run_for(time, async |conn| {
            opened = opening.open(conn, &mut layouts).await;
            Ok(())
        })?;
        let name = opened?;
        drop(session);
        let layouts: Arc<[TableLayout]> = layouts.into();
        let tables: Vec<Table> = model.tables.clone();
        let notifier = Arc::new(Notifier::new(options, &schema));
        let pool = Pool::new(Connector::new(options, &schema, "reader"), options.readers, options.acquire_timeout);
        let reader = PostgresReader::new(pool, Arc::clone(&layouts), tables.clone());
        let session = Session::new(Arc::new(Connector::new(options, &schema, "relay")))?;
        let outbox = PostgresOutbox::new(session, Arc::clone(&notifier), name, options);
        let session = Session::new(Arc::new(Connector::new(options, &schema, "writer")))?;
        let store = PostgresStore::new(session, layouts, tables, notifier, options);
        Ok((store, reader, outbox))
    }
}

struct Opening<'a> {
    options: &'a PostgresOptions,
    schema: &'a str,
    model: &'a Model,
}

impl Opening<'_> {
    /// Locks, migrates and shapes the schema; returns the name of the outbox.
    async fn open(&self, conn: &mut Connection, layouts: &mut [TableLayout]) -> Result<String, OpenError> {
        check_server(conn).await?;
        conn.batch("SET default_transaction_read_only = off; SET statement_timeout = 0; SET lock_timeout = '30s'").await?;
        self.lock(conn).await?;
        let opened = self.migrate(conn, layouts).await;
        // Released with the connection at the latest.
        let unlock = "SELECT pg_advisory_unlock(hashtextextended($1, 0))";
        if let Err(error) = conn.rows(unlock, &values![self.lock_name()]).await {
            tracing::debug!(%error, "the start's lock ends with its connection");
        }
        opened
    }

    async fn migrate(&self, conn: &mut Connection, layouts: &mut [TableLayout]) -> Result<String, OpenError> {
        let version = self.check_owner(conn).await?;
        let (system, service) = (self.model.system.name, service_of(self.model));
        migrations::migrate(conn, version, (system, service), self.schema).await?;
        migrations::insert_last_ids(conn, Layouts(layouts).names()).await?;
        for (layout, table) in layouts.iter_mut().zip(&self.model.tables) {
            tables::create_or_alter(conn, layout).await?;
            if layout.may_need_backfill() {
                backfill::all(conn, table, layout).await?;
            }
        }
        let row = conn.row("SELECT name FROM relay", &[]).await?;
        let row = row.ok_or_else(|| DatabaseError::Corrupt("the outbox has lost its own row".into()))?;
        Ok(get(&row, 0)?)
    }

    fn lock_name(&self) -> String {
        format!("pabal start {}", self.schema)
    }

    /// One process at a time. It polls instead of waiting in the database: a waiting statement holds a snapshot, and CREATE
    /// INDEX CONCURRENTLY waits for all snapshots.
    async fn lock(&self, conn: &mut Connection) -> Result<(), OpenError> {
        let until = Instant::now() + self.options.migration_timeout;
        loop {
            let row = conn.row("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", &values![self.lock_name()]).await?;
            if row.map_or(Ok(false), |row| get(&row, 0))? {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(OpenError::Busy { schema: self.schema.to_owned() });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The schema version, 0 for a new schema; rejects schemas of other programs, other owners and unknown versions.
    async fn check_owner(&self, conn: &mut Connection) -> Result<i32, OpenError> {
        let schema = self.schema.to_owned();
        if conn.row("SELECT 1 FROM pg_namespace WHERE nspname = $1", &values![self.schema]).await?.is_none() {
            conn.batch(&format!("CREATE SCHEMA {}", quoted(self.schema))).await?;
            return Ok(0);
        }
        let tables = "SELECT count(*), count(*) FILTER (WHERE relname = 'store_meta'), \
                      count(*) FILTER (WHERE relname IN ('machine', 'relayed', 'shape')) FROM pg_class \
                      WHERE relnamespace = $1::text::regnamespace AND relkind IN ('r', 'v', 'm', 'f', 'p')";
        let row = conn.row(tables, &values![quoted(self.schema)]).await?;
        let counts = |row: &Row| Ok::<_, DatabaseError>((get(row, 0)?, get(row, 1)?, get(row, 2)?));
        let (all, ours, unreleased): (i64, i64, i64) = row.as_ref().map_or(Ok((0, 0, 0)), counts)?;
        if all == 0 {
            return Ok(0);
        }
        if ours == 0 && unreleased == 3 {
            return Err(OpenError::Unsupported { schema });
        }
        if ours == 0 {
            return Err(OpenError::External { schema });
        }
        let row = match conn.row("SELECT system, service, version, compatible FROM store_meta", &[]).await {
            Ok(Some(row)) => row,
            Ok(None) => return Err(OpenError::External { schema }),
            Err(failed) if failed.is_undefined() => return Err(OpenError::External { schema }),
            Err(failed) => return Err(failed.into()),
        };
        let (system, service): (String, String) = (get(&row, 0)?, get(&row, 1)?);
        let (version, needed): (i32, i32) = (get(&row, 2)?, get(&row, 3)?);
        let known = migrations::newest();
        if (system.as_str(), service.as_str()) != (self.model.system.name, service_of(self.model)) {
            let wanted = owner(self.model.system.name, service_of(self.model));
            return Err(OpenError::OtherOwner { schema, found: owner(&system, &service), wanted });
        }
        if needed > known {
            return Err(OpenError::Newer { schema, needed, known });
        }
        Ok(version)
    }
}

fn owner(system: &str, service: &str) -> String {
    if service.is_empty() {
        format!("the system `{system}`")
    } else {
        format!("the service `{service}` of the system `{system}`")
    }
}

async fn check_server(conn: &mut Connection) -> Result<(), OpenError> {
    let sql = "SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
               current_setting('server_encoding')";
    let Some(row) = conn.row(sql, &[]).await? else { return Ok(()) };
    let (number, found, encoding): (i32, String, String) = (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
    if number < OLDEST {
        return Err(OpenError::Server { found, wanted: "13 or later" });
    }
    if encoding != "UTF8" {
        return Err(OpenError::Server { found: format!("with the encoding {encoding}"), wanted: "a database in UTF8" });
    }
    Ok(())
}
