//! Errors of opening, each with what to do about it, and what SQLite's errors mean to the ports.

use std::path::{Path, PathBuf};

use ports::{CommitError, StoreError};
use rusqlite::{Error, ErrorCode};

/// A store that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The library is too old.
    #[error(
        "SQLite {found} is linked, which can lose data when the write-ahead log restarts; build with the bundled one, {wanted} or later"
    )]
    OldLibrary {
        /// What is linked.
        found: &'static str,
        /// The first without the fault.
        wanted: &'static str,
    },
    /// Two declarations have the same name.
    #[error("two declarations have the name {name} in the store; rename one of them")]
    NameTwice {
        /// The table, or the table and its column.
        name: String,
    },
    /// The file cannot be reached.
    #[error("{} cannot be opened ({source}); check that its directory exists and that this user may read and write it", path.display())]
    Unreachable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file may only be read.
    #[error("{} is read-only; give this user write permission on it and its directory", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a SQLite database; move it away, or name another data directory", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file belongs to another program.
    #[error("{} is a SQLite database of another program; name another data directory", path.display())]
    External {
        /// The file.
        path: PathBuf,
    },
    /// The file belongs to another system.
    #[error("{} holds the system `{found}`, not `{wanted}`; name the right file, or another data directory", path.display())]
    OtherSystem {
        /// The file.
        path: PathBuf,
        /// The system it belongs to.
        found: String,
        /// The system that was opened.
        wanted: String,
    },
    /// A newer version has written it.
    #[error("{} has schema version {found}, newer than {known}, the latest this version knows; run the newer version, there is no downgrade", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The last schema known here.
        known: i64,
    },
    /// An older version has written it, and a reader cannot migrate it.
    #[error("{} has schema version {found} and a reader of this version needs {known}; start this version on it once, which migrates it", path.display())]
    Older {
        /// The file.
        path: PathBuf,
        /// Its schema, 0 where it has none yet.
        found: i64,
        /// The schema that is read here.
        known: i64,
    },
    /// A version from before the first release has written it.
    #[error("{} has schema version {found}, from before the first release; versions before {first} are not migrated: move it away", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The first version that can be migrated.
        first: i64,
    },
    /// It is damaged.
    #[error("{} is damaged ({cause}); restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        cause: String,
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
    /// Work waits for an aggregate that is not declared any more.
    #[error("{} has timers or effects of {table}, which is not declared; run the version that declares it until they have ended", path.display())]
    Orphaned {
        /// The file.
        path: PathBuf,
        /// The aggregate's table.
        table: String,
    },
    /// It is not available at the moment.
    #[error("{} is unavailable ({cause}); free disk space or stop the process that locks it, then start again", path.display())]
    Unavailable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
}

impl OpenError {
    /// What an error of SQLite means at opening.
    pub(crate) fn from_sqlite(path: &Path, error: &Error) -> Self {
        let (path, cause) = (path.to_owned(), error.to_string());
        match code(error) {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, cause },
            Some(ErrorCode::ReadOnly) => Self::ReadOnly { path },
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::Unreachable { path, source: std::io::Error::other(cause) }
            }
            _ => Self::Unavailable { path, cause },
        }
    }
}

/// Why a commit was not applied.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// SQLite failed.
    Sql(Error),
    /// The commit does not fit the stored data.
    Rejected(String),
}

impl From<Error> for WriteError {
    fn from(error: Error) -> Self {
        Self::Sql(error)
    }
}

impl From<WriteError> for CommitError {
    fn from(fault: WriteError) -> Self {
        match fault {
            WriteError::Rejected(why) => Self::Refused(why),
            WriteError::Sql(error) if is_batch_error(&error) => Self::Refused(error.to_string()),
            WriteError::Sql(error) => Self::Unavailable(error.to_string()),
        }
    }
}

/// Whether the error is caused by the content of the batch, so that another batch may pass.
fn is_batch_error(error: &Error) -> bool {
    use ErrorCode::{ConstraintViolation, ParameterOutOfRange, TooBig, TypeMismatch};
    match error {
        Error::ToSqlConversionFailure(_) => true,
        error => matches!(code(error), Some(ConstraintViolation | TooBig | TypeMismatch | ParameterOutOfRange)),
    }
}

/// What an error of SQLite means to a reader.
pub(crate) fn store_error(error: &Error) -> StoreError {
    match error {
        Error::SqliteFailure(failure, _)
            if !matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown) =>
        {
            StoreError::Unavailable(error.to_string())
        }
        _ => StoreError::Corrupt(error.to_string()),
    }
}

/// After a failed write or sync the error alone does not tell whether the commit will survive a crash.
pub(crate) fn leaves_outcome_unknown(error: &Error) -> bool {
    use ErrorCode::{ConstraintViolation, DatabaseBusy, DatabaseLocked, DiskFull, OutOfMemory};
    !matches!(code(error), Some(ConstraintViolation | DatabaseBusy | DatabaseLocked | DiskFull | OutOfMemory))
}

fn code(error: &Error) -> Option<ErrorCode> {
    error.sqlite_error_code()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> Error {
        Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
    }

    #[test]
    fn a_full_disk_is_unavailable_and_a_constraint_violation_is_rejected() {
        let full = CommitError::from(WriteError::from(failure(rusqlite::ffi::SQLITE_FULL)));
        assert!(matches!(full, CommitError::Unavailable(_)), "{full}");
        let broken = CommitError::from(WriteError::from(failure(rusqlite::ffi::SQLITE_IOERR_WRITE)));
        assert!(matches!(broken, CommitError::Unavailable(_)), "{broken}");
        let taken = CommitError::from(WriteError::from(failure(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE)));
        assert!(matches!(taken, CommitError::Refused(_)), "{taken}");
        let big = CommitError::from(WriteError::from(failure(rusqlite::ffi::SQLITE_TOOBIG)));
        assert!(matches!(big, CommitError::Refused(_)), "{big}");
    }

    #[test]
    fn only_a_failed_write_or_sync_at_the_end_leaves_the_outcome_unknown() {
        assert!(leaves_outcome_unknown(&failure(rusqlite::ffi::SQLITE_IOERR_FSYNC)));
        assert!(!leaves_outcome_unknown(&failure(rusqlite::ffi::SQLITE_FULL)));
        assert!(!leaves_outcome_unknown(&failure(rusqlite::ffi::SQLITE_BUSY)));
    }

    #[test]
    fn a_corrupt_file_is_distinguished_from_a_busy_one() {
        assert!(matches!(store_error(&failure(rusqlite::ffi::SQLITE_CORRUPT)), StoreError::Corrupt(_)));
        assert!(matches!(store_error(&failure(rusqlite::ffi::SQLITE_BUSY)), StoreError::Unavailable(_)));
    }
}
