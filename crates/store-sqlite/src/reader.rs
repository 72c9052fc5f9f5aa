//! The reading side: any number of callers, a few connections.

use std::path::Path;
use std::sync::Arc;

use ports::model::TableId;
use ports::query::log::LogScan;
use ports::{LogQuery, Page, ParkedRow, Query, Reader, Record, StoreError, StoredRow, Total};
use rusqlite::backup::Backup;
use rusqlite::{Connection, OptionalExtension};

use crate::identity::wal_of;
use crate::pool::Pool;
use crate::shape::{Shape, stored};
use crate::value::Nat;
use crate::work::list;
use crate::{commit, page, record, work};

/// Positions of the log that one step of a search looks at: some ten milliseconds.
const SEARCH_STEP: u64 = 20_000;

/// Reads what a [`crate::SqliteStore`] has committed.
#[derive(Debug)]
pub struct SqliteReader {
    pool: Pool,
    shapes: Arc<[Shape]>,
}

impl SqliteReader {
    pub(crate) fn new(pool: Pool, shapes: Arc<[Shape]>) -> Self {
        Self { pool, shapes }
    }

    /// Copies the store as it is at this moment into a new file, while it goes on.
    ///
    /// It is one read: as long as it takes, the write-ahead log grows. A file that is there is not overwritten.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let failed = |error: std::io::Error| StoreError::Unavailable(format!("{}: {error}", to.display()));
        // Made here, so that two backups at once cannot both take it for theirs.
        std::fs::File::create_new(to).map_err(failed)?;
        let copied = self.pool.read(|conn| {
            let mut copy = Connection::open(to)?;
            Backup::new(conn, &mut copy)?.step(-1)?;
            copy.close().map_err(|(_, error)| error)
        });
        let whole = copied.and_then(|()| std::fs::File::open(to).and_then(|file| file.sync_all()).map_err(failed));
        if whole.is_err() {
            // Half a backup is worse than none. If it cannot be removed either, the first error says why.
            let _ = std::fs::remove_file(to);
        }
        whole
    }

    fn shape(&self, table: TableId) -> Result<&Shape, StoreError> {
        self.shapes.get(table.0).ok_or_else(|| StoreError::Corrupt(format!("there is no table {}", table.0)))
    }
}

impl Reader for SqliteReader {
    fn by_id(&self, table: TableId, id: u64) -> Result<Option<StoredRow>, StoreError> {
        let shape = self.shape(table)?;
        // Larger ones cannot be stored, so they are not there.
        let Ok(id) = i64::try_from(id) else { return Ok(None) };
        self.pool.read(|conn| conn.prepare_cached(&shape.by_id)?.query_row([id], stored).optional())
    }

    fn by_key(&self, table: TableId, key: &str) -> Result<Option<StoredRow>, StoreError> {
        let shape = self.shape(table)?;
        self.pool.read(|conn| conn.prepare_cached(&shape.by_key)?.query_row([key], stored).optional())
    }

    fn page(&self, table: TableId, query: &Query) -> Result<Page, StoreError> {
        let shape = self.shape(table)?;
        self.pool.read(|conn| page::page(conn, shape, query))
    }

    fn total(&self, table: TableId, query: &Query) -> Result<Total, StoreError> {
        let shape = self.shape(table)?;
        self.pool.read(|conn| page::total(conn, shape, query))
    }

    fn counters(&self, table: TableId, name: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let shape = self.shape(table)?;
        let sql = "SELECT value, number FROM counter WHERE tbl = ?1 AND name = ?2 ORDER BY value";
        self.pool.read(|conn| list(conn, sql, [&shape.name, name], |row| Ok((row.get(0)?, row.get::<_, Nat>(1)?.0))))
    }

    fn log(&self, query: &LogQuery) -> Result<Vec<Record>, StoreError> {
        if query.is_unfiltered() {
            return self.pool.read(|conn| record::after(conn, query.after, query.limit));
        }
        let mut scan = LogScan::new(query, SEARCH_STEP, self.first_seq()?, self.last_seq()?);
        while let Some(range) = scan.next_range() {
            scan.advance(range, self.pool.read(|conn| record::scan(conn, query, range))?);
        }
        Ok(scan.into_records())
    }

    fn last_seq(&self) -> Result<u64, StoreError> {
        self.pool.read(|conn| Ok(commit::last(conn)?.seq))
    }

    fn first_seq(&self) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce((SELECT min(seq) FROM log), last_seq + 1) FROM machine";
        self.pool.read(|conn| Ok(conn.prepare_cached(sql)?.query_row([], |row| row.get::<_, Nat>(0))?.0))
    }

    fn positions(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = "SELECT follower, sum(position) FROM position GROUP BY follower ORDER BY follower";
        self.pool.read(|conn| list(conn, sql, [], |row| Ok((row.get(0)?, row.get::<_, Nat>(1)?.0))))
    }

    fn all_parked(&self, dead_only: bool, limit: usize) -> Result<Vec<ParkedRow>, StoreError> {
        self.pool.read(|conn| work::all_parked(conn, dead_only, limit))
    }

    fn size_bytes(&self) -> u64 {
        let path = self.pool.path();
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        bytes(path) + bytes(&wal_of(path))
    }
}
