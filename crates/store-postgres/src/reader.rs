//! The reading side: short reads over a few connections that cannot write.

use std::sync::Arc;

use kernel::field::IndexValue;
use ports::model::{Table, TableId};
use ports::{LogQuery, Page, ParkedRow, Query, Reader, Record, StoreError, StoredRow, Total};
use tokio_postgres::Row;

use crate::error::Failed;
use crate::pool::Pool;
use crate::session::Link;
use crate::settled::{self, Settled};
use crate::shape::{Shape, stored};
use crate::value::{Value, decoded, get, natural, values, whole};
use crate::{counters, page, record, work};

/// Reads a service's part of the shared store. Its calls block for a round trip or a few: within an async handler they
/// belong on a blocking thread.
pub struct PostgresReader {
    pool: Pool,
    shapes: Arc<[Shape]>,
    tables: Vec<Table>,
    settled: Settled,
}

impl PostgresReader {
    pub(crate) fn new(pool: Pool, shapes: Arc<[Shape]>, tables: Vec<Table>) -> Self {
        Self { pool, shapes, tables, settled: Settled::default() }
    }

    fn shape(&self, table: TableId) -> Result<&Shape, StoreError> {
        self.shapes.get(table.0).ok_or_else(|| StoreError::Corrupt(format!("there is no table {}", table.0)))
    }

    /// The connection is given back between two looks: others wait for it.
    fn whole_upto(&self) -> Result<u64, StoreError> {
        self.settled.upto(|| self.pool.read(async |link| settled::ask(link).await))
    }

    fn one(&self, sql: &str, of: &(impl Fn() -> Vec<Value<'static>> + Send + Sync)) -> Result<Option<StoredRow>, StoreError> {
        self.pool.read(async |link| link.row(sql, &of()).await?.as_ref().map(stored).transpose())
    }

    /// What a row is sorted by. Of a long text the column has only the beginning; the row has all of it.
    fn sorted_by(&self, table: TableId, query: &Query, row: &Row) -> Result<IndexValue, Failed> {
        let Some(field) = query.sort.field else { return Ok(IndexValue::Null) };
        let bytes: &[u8] = get(row, 5)?;
        if let Some(value) = decoded(bytes) {
            return Ok(value);
        }
        let damaged = || Failed::Damaged("a row cannot be read".into());
        let table = self.tables.get(table.0).ok_or_else(damaged)?;
        let row = stored(row)?;
        let state = table.decode(row.schema, &row.data).map_err(|_| damaged())?;
        table.index(&state).into_iter().nth(field).ok_or_else(damaged)
    }
}

impl Reader for PostgresReader {
    fn is_remote(&self) -> bool {
        true
    }

    fn by_id(&self, table: TableId, id: u64) -> Result<Option<StoredRow>, StoreError> {
        // Larger ones cannot be stored, so they are not there.
        let Ok(id) = whole(id) else { return Ok(None) };
        self.one(&self.shape(table)?.by_id(), &|| values![id])
    }

    fn by_key(&self, table: TableId, key: &str) -> Result<Option<StoredRow>, StoreError> {
        if key.contains('\0') {
            // The database takes no such text, so it is not there either.
            return Ok(None);
        }
        self.one(&self.shape(table)?.by_key(), &|| values![key.to_owned()])
    }

    fn page(&self, table: TableId, query: &Query) -> Result<Page, StoreError> {
        let shape = self.shape(table)?;
        self.pool.read(async |link| page::page(link, shape, query, |row| self.sorted_by(table, query, row)).await)
    }

    fn total(&self, table: TableId, query: &Query) -> Result<Total, StoreError> {
        let shape = self.shape(table)?;
        self.pool.read(async |link| page::total(link, shape, query).await)
    }

    fn counters(&self, table: TableId, name: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let shape = self.shape(table)?;
        self.pool.read(async |link| {
            let rows = link.rows(counters::ALL, &values![shape.name.as_str(), name]).await?;
            rows.iter().map(|row| Ok((get(row, 0)?, natural(row, 1)?))).collect()
        })
    }

    fn log(&self, query: &LogQuery) -> Result<Vec<Record>, StoreError> {
        let upto = self.whole_upto()?;
        self.pool.read(async |link| {
            if query.is_unfiltered() {
                return record::after(link, query.after, upto, query.limit).await;
            }
            record::search(link, query, upto).await
        })
    }

    fn last_seq(&self) -> Result<u64, StoreError> {
        let upto = self.whole_upto()?;
        self.pool.read(async |link| Ok(record::ends(link).await?.1.min(upto)))
    }

    fn first_seq(&self) -> Result<u64, StoreError> {
        self.pool.read(async |link| Ok(record::ends(link).await?.0))
    }

    fn positions(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = "SELECT follower, sum(position)::bigint FROM position GROUP BY follower ORDER BY follower";
        self.pool.read(async |link| link.rows(sql, &[]).await?.iter().map(|row| Ok((get(row, 0)?, natural(row, 1)?))).collect())
    }

    fn all_parked(&self, dead_only: bool, limit: usize) -> Result<Vec<ParkedRow>, StoreError> {
        self.pool.read(async |link| work::all_parked(link, dead_only, limit).await)
    }

    fn size_bytes(&self) -> u64 {
        let size = self.pool.read(async |link| bytes(link).await);
        // It is shown to people, and is no reason to fail.
        size.unwrap_or_default()
    }
}

async fn bytes(link: &mut Link) -> Result<u64, Failed> {
    let sql = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class \
               WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'";
    link.row(sql, &[]).await?.map_or(Ok(0), |row| natural(&row, 0))
}
