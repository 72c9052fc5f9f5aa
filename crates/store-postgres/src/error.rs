//! What can go wrong at opening, one sentence each that says what to do; and what the database's errors mean to the ports.

use ports::{CommitError, StoreError};
use tokio_postgres::Error;
use tokio_postgres::error::{Severity, SqlState};

use crate::tls;

/// A store that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address is none.
    #[error("the database's address cannot be read ({0}); it looks like postgres://user:password@host:5432/database")]
    Address(String),
    /// The schema's name is none.
    #[error("`{0}` is no name for a schema; take small letters, digits and underscores, at most 60 of them")]
    SchemaName(String),
    /// Two declarations want the same name.
    #[error("the declarations name {name} twice in the store; rename one of the two")]
    NameTwice {
        /// The table, or the table and its column.
        name: String,
    },
    /// The server is too old, or does not keep texts as they are.
    #[error("PostgreSQL {found} cannot be used; take {wanted}")]
    Server {
        /// What it is.
        found: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// The schema is another program's.
    #[error("the schema {schema} belongs to another program; name another one")]
    External {
        /// The schema.
        schema: String,
    },
    /// The schema is another system's or another service's.
    #[error("the schema {schema} holds {found}, not {wanted}; name the right one")]
    OtherOwner {
        /// The schema.
        schema: String,
        /// Whose it is.
        found: String,
        /// Who wanted it.
        wanted: String,
    },
    /// A later version has changed it so that this one cannot work on it.
    #[error("the schema {schema} is for version {needed} and later, and this is {known}; run the newer version")]
    Newer {
        /// The schema.
        schema: String,
        /// The oldest version that can work on it.
        needed: i32,
        /// The version known here.
        known: i32,
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
    /// Another process is changing the schema for longer than one waits.
    #[error("another process has been changing the schema {schema} for too long; look what it waits for, then start again")]
    Busy {
        /// The schema.
        schema: String,
    },
    /// The way there cannot be protected as it should.
    #[error("the connection cannot be encrypted as the database's address wants it ({0})")]
    Encryption(String),
    /// The server does not show that it is the one that is meant.
    #[error(
        "the database does not show who it is ({0}); name its authority by `sslrootcert` in its address, and its host as its \
         certificate does"
    )]
    Untrusted(String),
    /// The server does not let us in.
    #[error("the database does not let this user in ({0}); correct the user, the password or the database in its address")]
    Denied(String),
    /// It does not work now.
    #[error("the database does not answer ({0}); check its address, that it runs and that this user may work in it")]
    Unavailable(String),
}

impl OpenError {
    /// Whether it may work later without anybody changing a setting, a program or what is in the database.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Busy { .. })
    }
}

impl From<Failed> for OpenError {
    fn from(failed: Failed) -> Self {
        let said = failed.to_string();
        let Failed::Sql(error) = &failed else { return Self::Unavailable(said) };
        match tls::mistrust(error) {
            Some(true) => return Self::Untrusted(said),
            Some(false) => return Self::Encryption(said),
            None => {}
        }
        // A wrong password or no right to come in at all; a database that does not exist. And a password that the server
        // asks for and the address does not have, for which the driver has no code.
        let code = error.code().map(SqlState::code).unwrap_or_default();
        let silent = error.as_db_error().is_none() && said == "invalid configuration: password missing";
        if code.starts_with("28") || code == SqlState::INVALID_CATALOG_NAME.code() || silent {
            return Self::Denied(said);
        }
        Self::Unavailable(said)
    }
}

/// The state has moved; raised by our own functions in the database.
pub(crate) const MOVED: &str = "PB001";
/// This instance has lost its lease.
pub(crate) const FENCED: &str = "PB002";
/// The commit's number does not follow.
const MISNUMBERED: &str = "PB003";

/// What stopped a piece of work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// The database said so, or the connection to it broke.
    #[error("{}", said(.0))]
    Sql(#[from] Error),
    /// There is no connection, or it did not answer in time.
    #[error("{0}")]
    Lost(String),
    /// What is there cannot be read.
    #[error("{0}")]
    Damaged(String),
    /// What is to be written cannot be.
    #[error("{0}")]
    Refused(String),
}

/// The error and what it comes from, without the values that a database quotes: they may be somebody's.
fn said(error: &Error) -> String {
    if let Some(db) = error.as_db_error() {
        return format!("{} ({})", db.message(), db.code().code());
    }
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl Failed {
    fn code(&self) -> Option<&str> {
        match self {
            Self::Sql(error) => error.code().map(SqlState::code),
            _ => None,
        }
    }

    /// The connection is of no use any more.
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Lost(_) => true,
            // What did not come from the database came from the connection: all arguments have their types.
            Self::Sql(error) => match error.as_db_error() {
                None => true,
                // A server that went over to being read only is not the one to write to.
                Some(db) => {
                    matches!(db.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
                        || *db.code() == SqlState::READ_ONLY_SQL_TRANSACTION
                }
            },
            Self::Damaged(_) | Self::Refused(_) => false,
        }
    }

    /// The database has answered, and this is its answer.
    pub fn is_said(&self) -> bool {
        matches!(self, Self::Sql(error) if error.as_db_error().is_some())
    }

    /// It follows from an error of the same transaction.
    pub fn is_echo(&self) -> bool {
        self.code() == Some(SqlState::IN_FAILED_SQL_TRANSACTION.code())
    }

    /// Something that must be unique is there already.
    pub fn is_taken(&self) -> bool {
        self.code() == Some(SqlState::UNIQUE_VIOLATION.code())
    }

    /// What is there does not look like ours.
    pub fn is_foreign(&self) -> bool {
        let code = self.code();
        code == Some(SqlState::UNDEFINED_TABLE.code()) || code == Some(SqlState::UNDEFINED_COLUMN.code())
    }

    /// What it means for a commit that was certainly not applied.
    pub fn uncommitted(&self) -> CommitError {
        let said = self.to_string();
        if self.is_lost() {
            return CommitError::Unavailable(said);
        }
        match self {
            Self::Refused(_) => return CommitError::Refused(said),
            Self::Damaged(_) | Self::Lost(_) => return CommitError::Unavailable(said),
            Self::Sql(_) => {}
        }
        match self.code().unwrap_or_default() {
            // Also where two waited for each other, or a serializable neighbour came first: deciding again is the answer.
            MOVED | "40001" | "40P01" => CommitError::Conflict(said),
            FENCED => CommitError::Fenced,
            MISNUMBERED => CommitError::Refused(said),
            // Values that do not fit, constraints, sizes beyond what the database takes.
            code if ["21", "22", "23", "54"].iter().any(|class| code.starts_with(class)) => CommitError::Refused(said),
            _ => CommitError::Unavailable(said),
        }
    }

    /// What it means to one who reads.
    pub fn unread(&self) -> StoreError {
        let said = self.to_string();
        if self.code() == Some(FENCED) {
            return StoreError::Fenced;
        }
        match self {
            Self::Damaged(_) | Self::Refused(_) => StoreError::Corrupt(said),
            Self::Sql(_) if self.code().is_some_and(|code| code.starts_with("XX")) => StoreError::Corrupt(said),
            Self::Sql(_) | Self::Lost(_) => StoreError::Unavailable(said),
        }
    }
}
