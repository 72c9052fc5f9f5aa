//! Errors of opening, each with what to do about it, and what the database's errors mean to the ports.

mod tls;

use ports::{CommitError, StoreError};
use tokio_postgres::Error;
use tokio_postgres::error::{Severity, SqlState};

/// A store that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address is not a connection string.
    #[error("the database address is invalid ({0}); expected postgres://user:password@host:5432/database")]
    Address(String),
    /// The schema name is invalid.
    #[error("`{0}` is not a valid schema name; use lower-case letters, digits and underscores, at most 60 characters")]
    SchemaName(String),
    /// Two declarations have the same name.
    #[error("two declarations have the name {name} in the store; rename one of them")]
    NameTwice {
        /// The table, or the table and its column.
        name: String,
    },
    /// The server is too old, or its encoding is not UTF-8.
    #[error("PostgreSQL {found} is not supported; use {wanted}")]
    Server {
        /// What was found.
        found: String,
        /// What is supported.
        wanted: &'static str,
    },
    /// The schema belongs to another program.
    #[error("the schema {schema} belongs to another program; name another one")]
    External {
        /// The schema.
        schema: String,
    },
    /// The schema belongs to another system or service.
    #[error("the schema {schema} holds {found}, not {wanted}; name the right one")]
    OtherOwner {
        /// The schema.
        schema: String,
        /// The owner found.
        found: String,
        /// The owner expected.
        wanted: String,
    },
    /// A newer version has migrated it incompatibly.
    #[error("the schema {schema} needs version {needed} or later, and this is {known}; run the newer version")]
    Newer {
        /// The schema.
        schema: String,
        /// The oldest version that can work on it.
        needed: i32,
        /// The version known here.
        known: i32,
    },
    /// A version from before the first release has written it.
    #[error("the schema {schema} is from before the first release and is not migrated; drop it or name another one")]
    Unsupported {
        /// The schema.
        schema: String,
    },
    /// A row must be read for a newly declared field, and cannot be.
    #[error(
        "row {key} of {table} cannot be read to fill a new field ({cause}); run the version that wrote it, or correct how it is read"
    )]
    CodecError {
        /// The table.
        table: String,
        /// The row's key.
        key: String,
        /// Why.
        cause: String,
    },
    /// Another process holds the migration lock for longer than the timeout.
    #[error(
        "another process holds the migration lock of the schema {schema}; see what it waits for (pg_stat_activity), then start again"
    )]
    Busy {
        /// The schema.
        schema: String,
    },
    /// The connection cannot be encrypted as required.
    #[error("the connection cannot be encrypted as the database address requires ({0})")]
    Encryption(String),
    /// The server cannot be authenticated.
    #[error(
        "the server certificate is not trusted ({0}); name its authority by `sslrootcert` in the address, and the host as its \
         certificate does"
    )]
    Untrusted(String),
    /// The server rejects the user.
    #[error("authentication failed ({0}); correct the user, the password or the database in the address")]
    Denied(String),
    /// It is not available at the moment.
    #[error("the database is unavailable ({0}); check its address, that it runs, and the privileges of this user")]
    Unavailable(String),
}

impl OpenError {
    /// Whether retrying may help without a change of settings, program or data.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Busy { .. })
    }
}

impl From<DatabaseError> for OpenError {
    fn from(failed: DatabaseError) -> Self {
        let said = failed.to_string();
        let DatabaseError::Sql(error) = &failed else { return Self::Unavailable(said) };
        match tls::tls_failure(error) {
            Some(true) => return Self::Untrusted(said),
            Some(false) => return Self::Encryption(said),
            None => {}
        }
        // Authentication failed, no permission to connect, or no such database; and a password that the server requires and the
        // address lacks, for which the driver has no code.
        let code = error.code().map(SqlState::code).unwrap_or_default();
        let silent = error.as_db_error().is_none() && said == "invalid configuration: password missing";
        if code.starts_with("28") || code == SqlState::INVALID_CATALOG_NAME.code() || silent {
            return Self::Denied(said);
        }
        Self::Unavailable(said)
    }
}

/// A version conflict: a row, offset, timer, effect or answer is not as the commit expects.
pub(crate) const CONFLICT: &str = "PB001";
/// This instance is fenced.
pub(crate) const FENCED: &str = "PB002";
/// The commit number does not follow the last one.
const MISNUMBERED: &str = "PB003";

/// Why work on the database failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    /// An error of the database, or of the connection.
    #[error("{}", message(.0))]
    Sql(#[from] Error),
    /// There is no connection, or a timeout.
    #[error("{0}")]
    ConnectionLost(String),
    /// Stored data cannot be read.
    #[error("{0}")]
    Corrupt(String),
    /// The values cannot be stored.
    #[error("{0}")]
    Rejected(String),
}

/// The message with its cause, without the values that a database quotes: they may be confidential.
fn message(error: &Error) -> String {
    if let Some(db) = error.as_db_error() {
        return format!("{} ({})", db.message(), db.code().code());
    }
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl DatabaseError {
    fn code(&self) -> Option<&str> {
        match self {
            Self::Sql(error) => error.code().map(SqlState::code),
            _ => None,
        }
    }

    /// The connection is unusable.
    pub fn is_lost(&self) -> bool {
        match self {
            Self::ConnectionLost(_) => true,
            // An error without a database error comes from the connection: all parameters are typed.
            Self::Sql(error) => match error.as_db_error() {
                None => true,
                // A server that became read-only (a failover) is not the primary.
                Some(db) => {
                    matches!(db.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
                        || *db.code() == SqlState::READ_ONLY_SQL_TRANSACTION
                }
            },
            Self::Corrupt(_) | Self::Rejected(_) => false,
        }
    }

    /// The database has answered with an error.
    pub fn is_database_error(&self) -> bool {
        matches!(self, Self::Sql(error) if error.as_db_error().is_some())
    }

    /// A consequence of an earlier error in the same transaction.
    pub fn is_follow_up(&self) -> bool {
        self.code() == Some(SqlState::IN_FAILED_SQL_TRANSACTION.code())
    }

    /// A unique constraint is violated.
    pub fn is_unique_violation(&self) -> bool {
        self.code() == Some(SqlState::UNIQUE_VIOLATION.code())
    }

    /// A table or column is missing.
    pub fn is_undefined(&self) -> bool {
        let code = self.code();
        code == Some(SqlState::UNDEFINED_TABLE.code()) || code == Some(SqlState::UNDEFINED_COLUMN.code())
    }

    /// The error of a commit that was certainly not applied.
    pub fn commit_error(&self) -> CommitError {
        let said = self.to_string();
        if self.is_lost() {
            return CommitError::Unavailable(said);
        }
        match self {
            Self::Rejected(_) => return CommitError::Refused(said),
            Self::Corrupt(_) | Self::ConnectionLost(_) => return CommitError::Unavailable(said),
            Self::Sql(_) => {}
        }
        match self.code().unwrap_or_default() {
            // Also a deadlock or a serialization failure: the batch is decided again.
            CONFLICT | "40001" | "40P01" => CommitError::Conflict(said),
            FENCED => CommitError::Fenced,
            MISNUMBERED => CommitError::Refused(said),
            // Values out of range, constraint violations, limits exceeded.
            code if ["21", "22", "23", "54"].iter().any(|class| code.starts_with(class)) => CommitError::Refused(said),
            _ => CommitError::Unavailable(said),
        }
    }

    /// The error of a read.
    pub fn store_error(&self) -> StoreError {
        let said = self.to_string();
        if self.code() == Some(FENCED) {
            return StoreError::Fenced;
        }
        match self {
            Self::Corrupt(_) | Self::Rejected(_) => StoreError::Corrupt(said),
            Self::Sql(_) if self.code().is_some_and(|code| code.starts_with("XX")) => StoreError::Corrupt(said),
            Self::Sql(_) | Self::ConnectionLost(_) => StoreError::Unavailable(said),
        }
    }
}
