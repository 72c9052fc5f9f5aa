//! Opens a system's file: checks, migrates, and hands out the store and its reader.

pub(crate) mod data_dir;
mod identity;

use std::path::Path;
use std::sync::Arc;

use ports::Model;
use rusqlite::{Connection, OpenFlags};

use crate::error::OpenError;
use crate::layout::layouts;
use crate::read::pool::{LOCK_WAIT, Pool};
use crate::read::reader::SqliteReader;
use crate::records::orphans;
use crate::schema::migrations;
use crate::schema::tables;
use crate::write::checkpoint::Checkpointer;
use crate::write::store::SqliteStore;

/// Before this version a restart of the write-ahead log could lose committed data.
const OLDEST: (i32, &str) = (3_051_003, "3.51.3");

/// Prepared statements of the writer: a few for each table, and those of the store itself.
const WRITER_STATEMENTS: usize = 512;

impl SqliteStore {
    /// Opens the file of a model's system, or creates it. Nothing is scanned or warmed up; only a newly declared field reads
    /// the existing rows.
    pub fn open(path: impl AsRef<Path>, model: &Model) -> Result<(SqliteStore, SqliteReader), OpenError> {
        let path = path.as_ref();
        check_library()?;
        let layouts = layouts(model)?;
        identity::check_bytes(path)?;
        let failed = |error| OpenError::from_sqlite(path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut conn = Connection::open_with_flags(path, flags).map_err(failed)?;
        conn.busy_timeout(LOCK_WAIT).map_err(failed)?;
        identity::check_writable(&conn, path)?;
        let version = identity::check_owner(&conn, path, model.system.name)?;
        configure(&conn).map_err(failed)?;
        migrations::migrate(&mut conn, version, model.system.name).map_err(failed)?;
        tables::create_or_alter(&mut conn, path, model, &layouts)?;
        if let Some(table) = orphans::orphan(&conn, &layouts).map_err(failed)? {
            return Err(OpenError::Orphaned { path: path.to_owned(), table });
        }
        let checkpointer = Checkpointer::start(path).map_err(failed)?;
        let layouts: Arc<[_]> = layouts.into();
        let reader = SqliteReader::new(Pool::new(path), Arc::clone(&layouts));
        Ok((SqliteStore::new(conn, layouts, checkpointer), reader))
    }
}

impl SqliteReader {
    /// Opens the file of a model's system read-only: beside a process that writes it, or after one, however it ended. Nothing
    /// is created or migrated, so fields declared since it was last written are missing.
    pub fn open(path: impl AsRef<Path>, model: &Model) -> Result<SqliteReader, OpenError> {
        let path = path.as_ref();
        check_library()?;
        let layouts = layouts(model)?;
        identity::check_bytes(path)?;
        let pool = Pool::new(path);
        let conn = pool.connect().map_err(|error| OpenError::from_sqlite(path, &error))?;
        let found = identity::check_owner(&conn, path, model.system.name)?;
        if found < migrations::newest() {
            return Err(OpenError::Older { path: path.to_owned(), found, known: migrations::newest() });
        }
        pool.keep(conn);
        Ok(SqliteReader::new(pool, layouts.into()))
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
    // A committed transaction survives a power failure.
    conn.pragma_update(None, "synchronous", "FULL")?;
    // Checkpoints run on their own thread, or an occasional commit would pay for a thousand others.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // Negative numbers are KiB.
    conn.pragma_update(None, "cache_size", -32_768)?;
    // A misspelt column is an error and not a text.
    conn.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    conn.set_prepared_statement_cache_capacity(WRITER_STATEMENTS);
    Ok(())
}
