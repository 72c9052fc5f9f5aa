//! Where the database is, and the time limits of its users.

use std::time::Duration;

use ports::Model;
use tokio_postgres::Config;

use crate::connection::address;
use crate::connection::tls::Encryption;
use crate::error::OpenError;

/// Where a service's store is and how it behaves.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Its `Debug` omits the password.
    pub(crate) config: Config,
    /// How the connection is encrypted.
    pub(crate) encryption: Encryption,
    /// The schema; none for `<system>_<service>`, or `<system>` where one process holds several services.
    pub schema: Option<String>,
    /// The lease of an instance: once it expires the instance is fenced and its effects are adopted.
    pub lease: Duration,
    /// The lease of a relay: once it expires another relay takes over.
    pub relay_lease: Duration,
    /// How long a due timer that one instance has fetched is hidden from the others; zero to hide none.
    pub timer_claim: Duration,
    /// The most reading connections; each is opened when it is first needed.
    pub readers: usize,
    /// How long a read waits for a free connection.
    pub acquire_timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a statement may take.
    pub statement_timeout: Duration,
    /// How long a statement waits for locks (`lock_timeout`).
    pub lock_timeout: Duration,
    /// How long opening waits for another process that migrates the schema.
    pub migration_timeout: Duration,
    /// Whether dropping the store or the outbox releases its lease at once; otherwise it expires, as after a kill.
    pub release_on_drop: bool,
    /// The least time between two `NOTIFY`.
    pub notify_every: Duration,
}

impl PostgresOptions {
    /// Options for a database at `postgres://user:password@host:port/database`, with the default time limits. With
    /// `?sslmode=verify-full&sslrootcert=/ca.pem` the connection is encrypted and the server is authenticated.
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
            release_on_drop: true,
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
        // Such names are reserved by PostgreSQL.
        let kept = name.starts_with("pg_") || name == "information_schema";
        if letters && begins && !kept && name.len() <= 60 { Ok(name) } else { Err(OpenError::SchemaName(name)) }
    }
}

/// The only service of a model; empty where it has several.
pub(crate) fn service_of(model: &Model) -> &'static str {
    match model.system.services.as_slice() {
        [only] => only.name,
        _ => "",
    }
}

/// Milliseconds.
pub(crate) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
