//! Opening a system's file: who it belongs to, the way forward to this version, and the three who work on it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ports::Model;
use rusqlite::{Connection, OpenFlags};

use crate::checkpoint::Checkpointer;
use crate::error::OpenError;
use crate::pool::Pool;
use crate::reader::SqliteReader;
use crate::shape::shapes;
use crate::store::SqliteStore;
use crate::{identity, machine, schema, work};

/// Before it a restart of the write-ahead log could lose what had been committed.
const OLDEST: (i32, &str) = (3_051_003, "3.51.3");

/// How long anybody waits for a lock. Between ourselves only a restart of the log holds one, for a moment.
pub(crate) const LOCK_WAIT: Duration = Duration::from_secs(5);

/// Statements a writer keeps ready: a few for each table and those of the machine.
const WRITER_STATEMENTS: usize = 512;

impl SqliteStore {
    /// Opens the file of a model's system, or makes it. Nothing is scanned or warmed; only a field that is newly
    /// declared makes it read the rows that are there.
    pub fn open(path: impl AsRef<Path>, model: &Model) -> Result<(SqliteStore, SqliteReader), OpenError> {
        let path = path.as_ref();
        check_library()?;
        let shapes = shapes(model)?;
        identity::check_bytes(path)?;
        let failed = |error| OpenError::of(path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut conn = Connection::open_with_flags(path, flags).map_err(failed)?;
        conn.busy_timeout(LOCK_WAIT).map_err(failed)?;
        identity::check_writable(&conn, path)?;
        let version = identity::check_owner(&conn, path, model.system.name)?;
        configure(&conn).map_err(failed)?;
        machine::migrate(&mut conn, version, model.system.name).map_err(failed)?;
        schema::shape_tables(&mut conn, path, model, &shapes)?;
        if let Some(table) = work::orphan(&conn, &shapes).map_err(failed)? {
            return Err(OpenError::Orphaned { path: path.to_owned(), table });
        }
        let checkpointer = Checkpointer::start(path).map_err(failed)?;
        let shapes: Arc<[_]> = shapes.into();
        let reader = SqliteReader::new(Pool::new(path), Arc::clone(&shapes));
        Ok((SqliteStore::new(conn, shapes, checkpointer), reader))
    }
}

impl SqliteReader {
    /// Opens the file of a model's system to read only: beside a process that writes it, or one that has ended, however
    /// it did. Nothing is made, migrated or shaped, so fields that were declared since it was last written are not there.
    pub fn open(path: impl AsRef<Path>, model: &Model) -> Result<SqliteReader, OpenError> {
        let path = path.as_ref();
        check_library()?;
        let shapes = shapes(model)?;
        identity::check_bytes(path)?;
        let pool = Pool::new(path);
        let conn = pool.connect().map_err(|error| OpenError::of(path, &error))?;
        let found = identity::check_owner(&conn, path, model.system.name)?;
        if found < machine::newest() {
            return Err(OpenError::Older { path: path.to_owned(), found, known: machine::newest() });
        }
        pool.keep(conn);
        Ok(SqliteReader::new(pool, shapes.into()))
    }
}

fn check_library() -> Result<(), OpenError> {
    if rusqlite::version_number() < OLDEST.0 {
        return Err(OpenError::OldLibrary { found: rusqlite::version(), wanted: OLDEST.1 });
    }
    Ok(())
}

fn configure(conn: &Connection) -> rusqlite::Result<()> {
    conn.pragma_update(None, "journal_mode", "WAL")?;
    // What is acknowledged survives a power cut.
    conn.pragma_update(None, "synchronous", "FULL")?;
    // The checkpointer does it, or a commit would now and then pay for a thousand others.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // Negative numbers are KiB.
    conn.pragma_update(None, "cache_size", -32_768)?;
    // A misspelt column is an error and not a text.
    conn.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    conn.set_prepared_statement_cache_capacity(WRITER_STATEMENTS);
    Ok(())
}
