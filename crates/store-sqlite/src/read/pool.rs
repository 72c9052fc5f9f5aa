//! A pool of read-only connections, opened on first use.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ports::StoreError;
use rusqlite::{Connection, OpenFlags, Result};

use crate::error::store_error;

/// More would not read faster: they share a file and a few processors.
const CONNECTIONS: usize = 4;

/// Prepared statements of each.
const STATEMENTS: usize = 128;

/// How long a lock is waited for. Within this process only a restart of the log holds one, briefly.
pub(crate) const LOCK_WAIT: Duration = Duration::from_secs(5);

/// The connections.
#[derive(Debug)]
pub(crate) struct Pool {
    path: PathBuf,
    state: Mutex<PoolState>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct PoolState {
    idle: Vec<Connection>,
    /// Including those that are checked out.
    open: usize,
}

impl Pool {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), state: Mutex::default(), freed: Condvar::new() }
    }

    /// Opens a connection outside of the pool; see [`Self::keep`].
    pub fn connect(&self) -> Result<Connection> {
        open(&self.path)
    }

    /// Adds a connection to the pool.
    pub fn keep(&self, conn: Connection) {
        let mut state = self.lock();
        state.open += 1;
        state.idle.push(conn);
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs one short read; all its statements see the same commit.
    pub fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T, StoreError> {
        let conn = self.take()?;
        let found = in_transaction(&conn, read);
        // A connection left within a transaction would block checkpoints forever.
        let conn = if conn.is_autocommit() { Some(conn) } else { None };
        self.give_back(conn);
        found.map_err(|error| store_error(&error))
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let none = |state: &mut PoolState| state.idle.is_empty() && state.open >= CONNECTIONS;
        let (mut state, waited) =
            self.freed.wait_timeout_while(self.lock(), LOCK_WAIT, none).unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(StoreError::Unavailable("too many long reads at once".to_owned()));
        }
        if let Some(conn) = state.idle.pop() {
            return Ok(conn);
        }
        state.open += 1;
        drop(state);
        open(&self.path).map_err(|error| {
            self.give_back(None);
            store_error(&error)
        })
    }

    fn give_back(&self, conn: Option<Connection>) {
        let mut state = self.lock();
        match conn {
            Some(conn) => state.idle.push(conn),
            None => state.open -= 1,
        }
        self.freed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_transaction<T>(conn: &Connection, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    let work = conn.unchecked_transaction()?;
    let found = read(&work)?;
    work.commit()?;
    Ok(found)
}

fn open(path: &Path) -> Result<Connection> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(LOCK_WAIT)?;
    conn.pragma_update(None, "query_only", true)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // Negative numbers are KiB. Pages beyond come from the operating system's own cache, without a copy.
    conn.pragma_update(None, "cache_size", -8_192)?;
    conn.pragma_update(None, "mmap_size", 256 << 20)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_readers_than_connections_wait_for_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pool.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (7)").unwrap();
        let pool = Pool::new(&path);
        std::thread::scope(|threads| {
            for _ in 0..4 * CONNECTIONS {
                threads.spawn(|| {
                    let found: i64 = pool.read(|conn| conn.query_row("SELECT a FROM t", [], |row| row.get(0))).unwrap();
                    assert_eq!(found, 7);
                });
            }
        });
        assert!(pool.lock().open <= CONNECTIONS);
    }

    #[test]
    fn a_reader_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reader.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        let pool = Pool::new(&path);
        assert!(pool.read(|conn| conn.execute("INSERT INTO t VALUES (1)", [])).is_err());
        assert_eq!(pool.read(|conn| conn.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))).unwrap(), 0);
    }
}
