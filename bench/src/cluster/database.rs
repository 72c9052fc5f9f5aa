//! What PostgreSQL does without anything of ours before it, and what it counts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, JoinSet};
use tokio_postgres::{Client, NoTls, Row};

use crate::args::Keys;
use crate::failed::{Failed, failed};
use crate::load::requests;
use crate::numbers::to_f64;

/// No question takes longer.
const WITHIN: Duration = Duration::from_secs(20);

/// Rows of one large commit.
pub const ROWS: u64 = 256;

/// A connection; it ends with this.
pub struct Database {
    client: Client,
    driver: JoinHandle<()>,
}

/// Measures rates of rows of such a length.
pub struct Writing {
    /// Connections at once.
    pub connections: u64,
    /// Rows of one commit.
    pub rows: u64,
    /// Bytes of a row's data.
    pub bytes: usize,
    /// How long.
    pub lasts: Duration,
}

impl Drop for Database {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Database {
    /// Connects.
    pub async fn connect(url: &str) -> Result<Self, Failed> {
        let connecting = tokio::time::timeout(WITHIN, tokio_postgres::connect(url, NoTls)).await.map_err(failed)?;
        let (client, connection) = connecting.map_err(failed)?;
        // Its end is told by the next question.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { client, driver })
    }

    /// Statements without an answer.
    pub async fn run(&self, script: &str) -> Result<(), Failed> {
        tokio::time::timeout(WITHIN, self.client.batch_execute(script)).await.map_err(failed)?.map_err(|error| said(&error))
    }

    /// A question.
    pub async fn ask(&self, sql: &str) -> Result<Vec<Row>, Failed> {
        tokio::time::timeout(WITHIN, self.client.query(sql, &[])).await.map_err(failed)?.map_err(|error| said(&error))
    }

    /// What the database has counted, by name. Each connection tells its own about once a second.
    pub async fn counts(&self) -> Result<BTreeMap<String, f64>, Failed> {
        let mut counts = BTreeMap::new();
        let whole = "SELECT d.xact_commit::float8, d.xact_rollback::float8, d.tup_inserted::float8, d.tup_updated::float8, \
                     d.tup_deleted::float8, d.tup_fetched::float8, w.wal_bytes::float8, w.wal_sync::float8, \
                     w.wal_sync_time::float8 / 1000 \
                     FROM pg_stat_database d, pg_stat_wal w WHERE d.datname = current_database()";
        let names = [
            "pg.commits",
            "pg.rollbacks",
            "pg.inserted",
            "pg.updated",
            "pg.deleted",
            "pg.fetched",
            "pg.wal_bytes",
            "pg.syncs",
            "pg.sync_s",
        ];
        for row in self.ask(whole).await? {
            for (place, name) in names.into_iter().enumerate() {
                counts.insert(name.to_owned(), row.try_get(place).map_err(|error| said(&error))?);
            }
        }
        let tables = "SELECT schemaname || '.' || relname, n_tup_ins::float8, n_tup_upd::float8, n_tup_del::float8, \
                      coalesce(idx_scan, 0)::float8 FROM pg_stat_user_tables WHERE schemaname LIKE 'rcs%'";
        for row in self.ask(tables).await? {
            let table: String = row.try_get(0).map_err(|error| said(&error))?;
            for (place, what) in [(1, "inserted"), (2, "updated"), (3, "deleted"), (4, "scans")] {
                counts.insert(format!("table.{table}.{what}"), row.try_get(place).map_err(|error| said(&error))?);
            }
        }
        Ok(counts)
    }

    /// What our connections are doing at this moment: who, and what it waits for.
    pub async fn doing(&self) -> Result<Vec<(String, String)>, Failed> {
        let sql = "SELECT application_name, CASE WHEN state <> 'active' THEN state \
                   ELSE coalesce(wait_event_type || ' ' || wait_event, 'at work') END \
                   FROM pg_stat_activity WHERE application_name LIKE 'pabal %' AND state IS NOT NULL";
        let rows = self.ask(sql).await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0).map_err(|error| said(&error))?, row.try_get(1).map_err(|error| said(&error))?)))
            .collect()
    }
}

impl Writing {
    /// Rows a second, on so many connections, in commits of so many rows, each commit in one round trip.
    pub async fn measure(&self, url: &str) -> Result<f64, Failed> {
        let table = format!("raw_{}_{}", self.connections, self.rows);
        let first = Database::connect(url).await?;
        first
            .run(&format!("DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (key text PRIMARY KEY, data bytea NOT NULL)"))
            .await?;
        let mut writers = JoinSet::new();
        let mut databases = Vec::new();
        for _ in 0..self.connections {
            databases.push(Database::connect(url).await?);
        }
        let started = Instant::now();
        for (place, database) in (0..).zip(databases) {
            let insert = format!("INSERT INTO {table} (key, data) SELECT key, $2 FROM unnest($1::text[]) AS u(key)");
            let (rows, lasts, data) = (self.rows, self.lasts, vec![b's'; self.bytes]);
            writers.spawn(async move { write(&database, &insert, &data, place << 40, rows, lasts).await });
        }
        let mut written = 0;
        while let Some(ended) = writers.join_next().await {
            written += ended.map_err(failed)??;
        }
        let took = started.elapsed();
        first.run(&format!("DROP TABLE {table}")).await?;
        Ok(to_f64(written) / took.as_secs_f64())
    }
}

/// Commits of one statement are transactions by themselves; larger ones stand for those of a store, which have several.
async fn write(database: &Database, insert: &str, data: &[u8], first: u64, rows: u64, lasts: Duration) -> Result<u64, Failed> {
    let statement = database.client.prepare(insert).await.map_err(|error| said(&error))?;
    let (started, mut next) = (Instant::now(), first);
    while started.elapsed() < lasts {
        let keys: Vec<String> = (next..next + rows).map(|number| requests::key(Keys::Scattered, number)).collect();
        let client = &database.client;
        let commit = async {
            if rows == 1 {
                return client.execute(&statement, &[&keys, &data]).await.map(drop);
            }
            // Polled in this order, so that all three are sent before the first is answered.
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&keys, &data];
            let (begun, inserted, ended) = tokio::join!(biased; client.batch_execute("BEGIN"), client.execute(&statement, &values), client.batch_execute("COMMIT"));
            begun.and(inserted.map(drop)).and(ended)
        };
        tokio::time::timeout(WITHIN, commit).await.map_err(failed)?.map_err(|error| said(&error))?;
        next += rows;
    }
    Ok(next - first)
}

/// The library's own words leave out why.
fn said(error: &tokio_postgres::Error) -> Failed {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    failed(format!("PostgreSQL: {error}{}", cause.map(|cause| format!(": {cause}")).unwrap_or_default()))
}
