//! Opening a service's schema: whose it is, the way forward to this version, and the three who work on it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ports::Model;
use ports::model::Table;

use crate::error::{Failed, OpenError};
use crate::options::{PostgresOptions, service_of};
use crate::outbox::PostgresOutbox;
use crate::pool::Pool;
use crate::reader::PostgresReader;
use crate::session::{Dial, Link, Session};
use crate::shape::{Shape, Tables, quoted, shapes};
use crate::signal::Signal;
use crate::store::PostgresStore;
use crate::value::{get, values};
use crate::{machine, refill, schema};

/// The oldest server that we are tested with knows `INCLUDE`, parallel vacuum and, above all, is still looked after.
const OLDEST: i32 = 130_000;

impl PostgresStore {
    /// Opens the schema of a model's service, or makes it. Nothing is scanned; only a field that is newly declared makes
    /// it read the rows that are there. An earlier version may go on working meanwhile.
    pub fn connect(
        options: &PostgresOptions,
        model: &Model,
    ) -> Result<(PostgresStore, PostgresReader, PostgresOutbox), OpenError> {
        let schema = options.schema_of(model)?;
        let mut shapes = shapes(model)?;
        let mut session = Session::new(Arc::new(Dial::new(options, &schema, "start")))?;
        let opening = Opening { options, schema: &schema, model };
        // Waiting for others and filling rows may take long; each statement has its own limit, or says that it has none.
        let time = options.migration_timeout.saturating_mul(100);
        let mut opened = Ok(String::new());
        session.run_for(time, async |link| {
            opened = opening.open(link, &mut shapes).await;
            Ok(())
        })?;
        let name = opened?;
        drop(session);
        let shapes: Arc<[Shape]> = shapes.into();
        let tables: Vec<Table> = model.tables.clone();
        let signal = Arc::new(Signal::new(options, &schema));
        let pool = Pool::new(Dial::new(options, &schema, "reader"), options.readers, options.acquire_timeout);
        let reader = PostgresReader::new(pool, Arc::clone(&shapes), tables.clone());
        let session = Session::new(Arc::new(Dial::new(options, &schema, "relay")))?;
        let outbox = PostgresOutbox::new(session, Arc::clone(&signal), name, options);
        let session = Session::new(Arc::new(Dial::new(options, &schema, "writer")))?;
        let store = PostgresStore::new(session, shapes, tables, signal, options);
        Ok((store, reader, outbox))
    }
}

struct Opening<'a> {
    options: &'a PostgresOptions,
    schema: &'a str,
    model: &'a Model,
}

impl Opening<'_> {
    /// The way to a schema that can be worked on; gives the outbox's name.
    async fn open(&self, link: &mut Link, shapes: &mut [Shape]) -> Result<String, OpenError> {
        check_server(link).await?;
        link.script("SET default_transaction_read_only = off; SET statement_timeout = 0; SET lock_timeout = '30s'").await?;
        self.lock(link).await?;
        let opened = self.take_forward(link, shapes).await;
        // Given up with the connection at the latest.
        let unlock = "SELECT pg_advisory_unlock(hashtextextended($1, 0))";
        if let Err(error) = link.rows(unlock, &values![self.lock_name()]).await {
            tracing::debug!(%error, "the start's lock ends with its connection");
        }
        opened
    }

    async fn take_forward(&self, link: &mut Link, shapes: &mut [Shape]) -> Result<String, OpenError> {
        let version = self.check_owner(link).await?;
        let (system, service) = (self.model.system.name, service_of(self.model));
        machine::migrate(link, version, (system, service), self.schema).await?;
        machine::make_room_for_ids(link, Tables(shapes).names()).await?;
        for (shape, table) in shapes.iter_mut().zip(&self.model.tables) {
            schema::shape_table(link, shape).await?;
            if shape.may_lack() {
                refill::fill(link, table, shape).await?;
            }
        }
        let row = link.row("SELECT name FROM relay", &[]).await?;
        let row = row.ok_or_else(|| Failed::Damaged("the outbox has lost its own row".into()))?;
        Ok(get(&row, 0)?)
    }

    fn lock_name(&self) -> String {
        format!("pabal start {}", self.schema)
    }

    /// One process at a time. It asks again and again instead of waiting in the database: who waits there has a snapshot,
    /// and an index that is made beside the others' work waits for all snapshots.
    async fn lock(&self, link: &mut Link) -> Result<(), OpenError> {
        let until = Instant::now() + self.options.migration_timeout;
        loop {
            let row = link.row("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", &values![self.lock_name()]).await?;
            if row.map_or(Ok(false), |row| get(&row, 0))? {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(OpenError::Busy { schema: self.schema.to_owned() });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The version of the machine's tables, 0 where there are none yet; refuses what is others' or of a later time.
    async fn check_owner(&self, link: &mut Link) -> Result<i32, OpenError> {
        let schema = self.schema.to_owned();
        if link.row("SELECT 1 FROM pg_namespace WHERE nspname = $1", &values![self.schema]).await?.is_none() {
            link.script(&format!("CREATE SCHEMA {}", quoted(self.schema))).await?;
            return Ok(0);
        }
        let tables = "SELECT count(*), count(*) FILTER (WHERE relname = 'machine') FROM pg_class \
                      WHERE relnamespace = $1::text::regnamespace AND relkind IN ('r', 'v', 'm', 'f', 'p')";
        let row = link.row(tables, &values![quoted(self.schema)]).await?;
        let (all, ours): (i64, i64) = row.map_or(Ok((0, 0)), |row| Ok::<_, Failed>((get(&row, 0)?, get(&row, 1)?)))?;
        if all == 0 {
            return Ok(0);
        }
        if ours == 0 {
            return Err(OpenError::External { schema });
        }
        let row = match link.row("SELECT system, service, version, compatible FROM machine", &[]).await {
            Ok(Some(row)) => row,
            Ok(None) => return Err(OpenError::External { schema }),
            Err(failed) if failed.is_foreign() => return Err(OpenError::External { schema }),
            Err(failed) => return Err(failed.into()),
        };
        let (system, service): (String, String) = (get(&row, 0)?, get(&row, 1)?);
        let (version, needed): (i32, i32) = (get(&row, 2)?, get(&row, 3)?);
        let known = machine::newest();
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

async fn check_server(link: &mut Link) -> Result<(), OpenError> {
    let sql = "SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
               current_setting('server_encoding')";
    let Some(row) = link.row(sql, &[]).await? else { return Ok(()) };
    let (number, found, encoding): (i32, String, String) = (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
    if number < OLDEST {
        return Err(OpenError::Server { found, wanted: "13 or later" });
    }
    if encoding != "UTF8" {
        return Err(OpenError::Server { found: format!("with the encoding {encoding}"), wanted: "a database in UTF8" });
    }
    Ok(())
}
