//! Where the database is, and how long anybody waits.

use std::time::Duration;

use ports::Model;
use tokio_postgres::Config;

use crate::address;
use crate::error::OpenError;
use crate::tls::Encryption;

/// Where a service's store is and how it behaves.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Without the password in its `Debug`.
    pub(crate) config: Config,
    /// How the way to it is protected.
    pub(crate) encryption: Encryption,
    /// The schema; none for `<system>_<service>`, or `<system>` where one process holds several services.
    pub schema: Option<String>,
    /// An instance that is not heard of for so long is dead, and others take its effects over.
    pub lease: Duration,
    /// A relay that is not heard of for so long is dead.
    pub relay_lease: Duration,
    /// Other instances are not shown timers that one has taken for so long; zero to show them to all.
    pub timer_claim: Duration,
    /// Connections that read; made when they are first needed.
    pub readers: usize,
    /// How long a reader waits for one of them.
    pub acquire_timeout: Duration,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long a statement may take.
    pub statement_timeout: Duration,
    /// How long a statement waits for others' locks.
    pub lock_timeout: Duration,
    /// How long a start waits for another process that changes the schema.
    pub migration_timeout: Duration,
    /// Whether who ends in order gives its leases up at once. Without it is as if it was killed: they run out.
    pub farewell: bool,
    /// Who is listening is told of new events at most so often.
    pub notify_every: Duration,
}

impl PostgresOptions {
    /// For a database at `postgres://user:password@host:port/database`, with everything else as it is meant to be. With
    /// `?sslmode=verify-full&sslrootcert=/ca.pem` the way there is encrypted, and the server must show who it is.
    pub fn new(url: &str) -> Result<Self, OpenError> {
        let (config, encryption) = address::read(url)?;
        let seconds = Duration::from_secs;
        Ok(Self {
            config,
            encryption,
            schema: None,
            lease: seconds(10),
            relay_lease: seconds(10),
            timer_claim: seconds(5),
            readers: 4,
            acquire_timeout: seconds(3),
            connect_timeout: seconds(3),
            statement_timeout: seconds(10),
            lock_timeout: seconds(5),
            migration_timeout: seconds(600),
            farewell: true,
            notify_every: Duration::from_millis(10),
        })
    }

    /// In that schema.
    pub fn in_schema(self, schema: &str) -> Self {
        Self { schema: Some(schema.to_owned()), ..self }
    }

    /// The schema's name for a model.
    pub(crate) fn schema_of(&self, model: &Model) -> Result<String, OpenError> {
        let name = self.schema.clone().unwrap_or_else(|| {
            let service = service_of(model);
            let parts = [model.system.name, service].into_iter().filter(|part| !part.is_empty());
            parts.collect::<Vec<_>>().join("_").replace('-', "_").to_lowercase()
        });
        let letters = name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
        let begins = name.chars().next().is_some_and(|letter| !letter.is_ascii_digit());
        // PostgreSQL keeps names that begin so for itself.
        let kept = name.starts_with("pg_") || name == "information_schema";
        if letters && begins && !kept && name.len() <= 60 { Ok(name) } else { Err(OpenError::SchemaName(name)) }
    }
}

/// The one service of a model; empty where it has several.
pub(crate) fn service_of(model: &Model) -> &'static str {
    match model.system.services.as_slice() {
        [only] => only.name,
        _ => "",
    }
}

/// Whole milliseconds, as the database counts.
pub(crate) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
