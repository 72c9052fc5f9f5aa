//! A real PostgreSQL server, a schema for each test, and a connection to inspect it.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it expects")]
#![allow(dead_code, missing_docs, reason = "each test binary uses its part")]

pub mod proxy;
pub mod shared;
pub mod worker;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use store_postgres::PostgresOptions;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// The server's address; a test that needs one fails without it.
pub fn url() -> String {
    std::env::var("PABAL_TEST_POSTGRES").expect("PABAL_TEST_POSTGRES names the server that scripts/infra up has started")
}

/// A schema for one test, dropped with it.
pub struct Schema {
    pub name: String,
    pub url: String,
}

impl Schema {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { name: format!("test_{}_{number}", std::process::id()), url: url() }
    }

    pub fn options(&self) -> PostgresOptions {
        PostgresOptions::new(&self.url).expect("an address").in_schema(&self.name)
    }

    pub fn look(&self) -> Look {
        let mut look = Look::new(&self.url);
        look.run(&format!("SET search_path = \"{}\"", self.name));
        look
    }
}

impl Default for Schema {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        if let Some(mut look) = Look::reach(&self.url) {
            let _ = look.try_run(&format!("SET lock_timeout = '5s'; DROP SCHEMA IF EXISTS \"{}\" CASCADE", self.name));
        }
    }
}

/// A connection that bypasses the store.
pub struct Look {
    runtime: Runtime,
    client: Client,
}

impl Look {
    pub fn new(url: &str) -> Self {
        Self::reach(url).expect("the server answers")
    }

    pub fn reach(url: &str) -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await.ok()?;
            tokio::spawn(connection);
            Some(client)
        })?;
        Some(Self { runtime, client })
    }

    pub fn run(&mut self, sql: &str) {
        self.try_run(sql).expect(sql);
    }

    pub fn try_run(&mut self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.runtime.block_on(self.client.batch_execute(sql))
    }

    /// The rows of a statement as texts.
    pub fn rows(&mut self, sql: &str) -> Vec<Vec<Option<String>>> {
        let messages = self.runtime.block_on(self.client.simple_query(sql)).expect(sql);
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
            _ => None,
        });
        rows.collect()
    }

    /// Its first value.
    pub fn one(&mut self, sql: &str) -> String {
        self.rows(sql).into_iter().next().and_then(|row| row.into_iter().next().flatten()).unwrap_or_default()
    }

    /// Polls until a statement returns `t`.
    pub fn until(&mut self, sql: &str) {
        let end = Instant::now() + Duration::from_secs(20);
        while self.one(sql) != "t" {
            assert!(Instant::now() < end, "never: {sql}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
