//! The reading side: any number of callers, a few connections.

use std::path::Path;
use std::sync::Arc;

use ports::model::TableId;
use ports::query::log::LogScan;
use ports::{LogQuery, Page, ParkedRow, Query, Reader, Record, StoreError, StoredRow, Total};
use rusqlite::backup::Backup;
use rusqlite::{Connection, OptionalExtension};

use crate::files::wal_of;
use crate::layout::{TableLayout, stored};
use crate::read::page;
use crate::read::pool::Pool;
use crate::records::codec::list;
use crate::records::log;
use crate::records::{parked, store_meta};
use crate::value::U64;

/// Positions scanned in one step: about ten milliseconds.
const SEARCH_STEP: u64 = 20_000;

/// Reads what a [`crate::SqliteStore`] has committed.
#[derive(Debug)]
pub struct SqliteReader {
    pool: Pool,
    layouts: Arc<[TableLayout]>,
}

impl SqliteReader {
    pub(crate) fn new(pool: Pool, layouts: Arc<[TableLayout]>) -> Self {
        Self { pool, layouts }
    }

    /// Copies the store as of this moment into a new file, while commits continue.
    ///
    /// It is a single read transaction: the write-ahead log grows meanwhile. An existing file is not overwritten.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let failed = |error: std::io::Error| StoreError::Unavailable(format!("{}: {error}", to.display()));
        // Created here, so that concurrent backups cannot share the file.
        std::fs::File::create_new(to).map_err(failed)?;
        let copied = self.pool.read(|conn| {
            let mut copy = Connection::open(to)?;
            Backup::new(conn, &mut copy)?.step(-1)?;
            copy.close().map_err(|(_, error)| error)
        });
        let whole = copied.and_then(|()| std::fs::File::open(to).and_then(|file| file.sync_all()).map_err(failed));
        if whole.is_err() {
            // A partial backup is worse than none. If it cannot be removed either, the first error tells why.
            let _ = std::fs::remove_file(to);
        }
        whole
    }

    fn layout(&self, table: TableId) -> Result<&TableLayout, StoreError> {
        self.layouts.get(table.0).ok_or_else(|| StoreError::Corrupt(format!("there is no table {}", table.0)))
    }

    /// Bytes on disk.
    pub fn size_bytes(&self) -> u64 {
        let path = self.pool.path();
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        bytes(path) + bytes(&wal_of(path))
    }
}

impl Reader for SqliteReader {
    fn by_id(&self, table: TableId, id: u64) -> Result<Option<StoredRow>, StoreError> {
        let layout = self.layout(table)?;
        // Larger ids cannot be stored, so they do not exist.
        let Ok(id) = i64::try_from(id) else { return Ok(None) };
        self.pool.read(|conn| conn.prepare_cached(&layout.by_id)?.query_row([id], stored).optional())
    }

    fn by_key(&self, table: TableId, key: &str) -> Result<Option<StoredRow>, StoreError> {
        let layout = self.layout(table)?;
        self.pool.read(|conn| conn.prepare_cached(&layout.by_key)?.query_row([key], stored).optional())
    }

    fn page(&self, table: TableId, query: &Query) -> Result<Page, StoreError> {
        let layout = self.layout(table)?;
        self.pool.read(|conn| page::page(conn, layout, query))
    }

    fn total(&self, table: TableId, query: &Query) -> Result<Total, StoreError> {
        let layout = self.layout(table)?;
        self.pool.read(|conn| page::total(conn, layout, query))
    }

    fn counters(&self, table: TableId, name: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let layout = self.layout(table)?;
        let sql = "SELECT value, number FROM counter WHERE table_name = ?1 AND name = ?2 ORDER BY value";
        self.pool.read(|conn| list(conn, sql, [&layout.name, name], |row| Ok((row.get(0)?, row.get::<_, U64>(1)?.0))))
    }

    fn log(&self, query: &LogQuery) -> Result<Vec<Record>, StoreError> {
        if query.is_unfiltered() {
            return self.pool.read(|conn| log::after(conn, query.after, query.limit));
        }
        let mut scan = LogScan::new(query, SEARCH_STEP, self.first_seq()?, self.last_seq()?);
        while let Some(range) = scan.next_range() {
            scan.advance(range, self.pool.read(|conn| log::scan(conn, query, range))?);
        }
        Ok(scan.into_records())
    }

    fn last_seq(&self) -> Result<u64, StoreError> {
        self.pool.read(|conn| Ok(store_meta::last(conn)?.seq))
    }

    fn first_seq(&self) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce((SELECT min(seq) FROM log), last_seq + 1) FROM store_meta";
        self.pool.read(|conn| Ok(conn.prepare_cached(sql)?.query_row([], |row| row.get::<_, U64>(0))?.0))
    }

    fn positions(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = "SELECT subscription, sum(position) FROM consumer_offset GROUP BY subscription ORDER BY subscription";
        self.pool.read(|conn| list(conn, sql, [], |row| Ok((row.get(0)?, row.get::<_, U64>(1)?.0))))
    }

    fn all_parked(&self, dead_only: bool, limit: usize) -> Result<Vec<ParkedRow>, StoreError> {
        self.pool.read(|conn| parked::all_parked(conn, dead_only, limit))
    }
}
