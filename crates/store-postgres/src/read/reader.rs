//! The reading side: short reads over a few connections that cannot write.

use std::sync::Arc;

use kernel::field::IndexValue;
use ports::model::{Table, TableId};
use ports::{LogQuery, Page, ParkedRow, Query, Reader, Record, StoreError, StoredRow, Total};
use tokio_postgres::Row;

use crate::connection::session::Connection;
use crate::error::DatabaseError;
use crate::layout::{TableLayout, stored};
use crate::read::horizon::{self, Horizon};
use crate::read::page;
use crate::read::pool::Pool;
use crate::records::counters;
use crate::records::log;
use crate::records::parked;
use crate::value::{Value, decoded, get, get_u64, to_i64, values};

/// Reads a service's part of the shared store. Its calls block for a round trip or a few: within an async handler they
/// belong on a blocking thread.
pub struct PostgresReader {
    pool: Pool,
    layouts: Arc<[TableLayout]>,
    tables: Vec<Table>,
    horizon: Horizon,
}

impl PostgresReader {
    pub(crate) fn new(pool: Pool, layouts: Arc<[TableLayout]>, tables: Vec<Table>) -> Self {
        Self { pool, layouts, tables, horizon: Horizon::default() }
    }

    fn layout(&self, table: TableId) -> Result<&TableLayout, StoreError> {
        self.layouts.get(table.0).ok_or_else(|| StoreError::Corrupt(format!("there is no table {}", table.0)))
    }

    /// The connection is given back between two looks: others wait for it.
    fn horizon_position(&self) -> Result<u64, StoreError> {
        self.horizon.upto(|| self.pool.read(async |conn| horizon::ask(conn).await))
    }

    fn one(&self, sql: &str, of: &(impl Fn() -> Vec<Value<'static>> + Send + Sync)) -> Result<Option<StoredRow>, StoreError> {
        self.pool.read(async |conn| conn.row(sql, &of()).await?.as_ref().map(stored).transpose())
    }

    /// What a row is sorted by. Of a long text the column has only the beginning; the row has all of it.
    fn sorted_by(&self, table: TableId, query: &Query, row: &Row) -> Result<IndexValue, DatabaseError> {
        let Some(field) = query.sort.field else { return Ok(IndexValue::Null) };
        let bytes: &[u8] = get(row, 5)?;
        if let Some(value) = decoded(bytes) {
            return Ok(value);
        }
        let damaged = || DatabaseError::Corrupt("a row cannot be read".into());
        let table = self.tables.get(table.0).ok_or_else(damaged)?;
        let row = stored(row)?;
        let state = table.decode(row.schema, &row.data).map_err(|_| damaged())?;
        table.index(&state).into_iter().nth(field).ok_or_else(damaged)
    }

    /// Bytes on disk.
    pub fn size_bytes(&self) -> u64 {
        let size = self.pool.read(async |conn| bytes(conn).await);
        // Informational: an error counts as 0.
        size.unwrap_or_default()
    }
}

impl Reader for PostgresReader {
    fn is_remote(&self) -> bool {
        true
    }

    fn by_id(&self, table: TableId, id: u64) -> Result<Option<StoredRow>, StoreError> {
        // Larger ones cannot be stored, so they are not there.
        let Ok(id) = to_i64(id) else { return Ok(None) };
        self.one(&self.layout(table)?.by_id(), &|| values![id])
    }

    fn by_key(&self, table: TableId, key: &str) -> Result<Option<StoredRow>, StoreError> {
        if key.contains('\0') {
            // The database takes no such text, so it is not there either.
            return Ok(None);
        }
        self.one(&self.layout(table)?.by_key(), &|| values![key.to_owned()])
    }

    fn page(&self, table: TableId, query: &Query) -> Result<Page, StoreError> {
        let layout = self.layout(table)?;
        self.pool.read(async |conn| page::page(conn, layout, query, |row| self.sorted_by(table, query, row)).await)
    }

    fn total(&self, table: TableId, query: &Query) -> Result<Total, StoreError> {
        let layout = self.layout(table)?;
        self.pool.read(async |conn| page::total(conn, layout, query).await)
    }

    fn counters(&self, table: TableId, name: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let layout = self.layout(table)?;
        self.pool.read(async |conn| {
            let rows = conn.rows(counters::ALL, &values![layout.name.as_str(), name]).await?;
            rows.iter().map(|row| Ok((get(row, 0)?, get_u64(row, 1)?))).collect()
        })
    }

    fn log(&self, query: &LogQuery) -> Result<Vec<Record>, StoreError> {
        let upto = self.horizon_position()?;
        self.pool.read(async |conn| {
            if query.is_unfiltered() {
                return log::after(conn, query.after, upto, query.limit).await;
            }
            log::search(conn, query, upto).await
        })
    }

    fn last_seq(&self) -> Result<u64, StoreError> {
        let upto = self.horizon_position()?;
        self.pool.read(async |conn| Ok(log::ends(conn).await?.1.min(upto)))
    }

    fn first_seq(&self) -> Result<u64, StoreError> {
        self.pool.read(async |conn| Ok(log::ends(conn).await?.0))
    }

    fn positions(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = "SELECT subscription, sum(position)::bigint FROM consumer_offset GROUP BY subscription ORDER BY subscription";
        self.pool.read(async |conn| conn.rows(sql, &[]).await?.iter().map(|row| Ok((get(row, 0)?, get_u64(row, 1)?))).collect())
    }

    fn all_parked(&self, dead_only: bool, limit: usize) -> Result<Vec<ParkedRow>, StoreError> {
        self.pool.read(async |conn| parked::all_parked(conn, dead_only, limit).await)
    }
}

async fn bytes(conn: &mut Connection) -> Result<u64, DatabaseError> {
    let sql = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class \
               WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'";
    conn.row(sql, &[]).await?.map_or(Ok(0), |row| get_u64(&row, 0))
}
