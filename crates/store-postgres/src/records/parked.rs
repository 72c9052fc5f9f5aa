//! Parked events, timers and effect answers.

use ports::{ParkedRow, ParkedWrite};
use tokio_postgres::Row;

use crate::connection::pipeline::Pipeline;
use crate::connection::session::Connection;
use crate::error::{CONFLICT, DatabaseError};
use crate::value::{get, get_u32, get_u64, limit, to_i32, to_i64, values};

const PARKED: &str = "subscription, partition, key, position, attempts, next_try_ms, dead, cause, since_ms, work";

/// One statement for each change: parking is rare, and a row may change twice.
pub(crate) fn write_parked<'a>(work: &mut Pipeline<'a>, writes: &'a [ParkedWrite]) -> Result<(), DatabaseError> {
    for write in writes {
        match write {
            ParkedWrite::Put(row) => put(work, row)?,
            ParkedWrite::Remove { subscription, key, partition, position } => {
                let sql = format!(
                    "WITH done AS (DELETE FROM parked WHERE subscription = $1 AND partition = $2 AND key = $3 AND position = $4 \
                     RETURNING 1) SELECT expect(count(*), 1, '{CONFLICT}', 'parked events') FROM done"
                );
                work.add(sql, values![subscription.as_str(), to_i32(*partition)?, key.as_str(), to_i64(*position)?]);
            }
        }
    }
    Ok(())
}

/// The stored row must have one attempt less; only with at most one attempt may there be none.
fn put<'a>(work: &mut Pipeline<'a>, row: &'a ParkedRow) -> Result<(), DatabaseError> {
    let set = "attempts = $5, next_try_ms = $6, dead = $7, cause = $8, since_ms = $9, work = $10";
    let change = if row.attempts <= 1 {
        format!(
            "INSERT INTO parked AS there ({PARKED}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (subscription, partition, key, position) DO UPDATE SET {set} WHERE there.attempts + 1 = $5"
        )
    } else {
        format!(
            "UPDATE parked SET {set} WHERE subscription = $1 AND partition = $2 AND key = $3 AND position = $4 AND attempts + 1 = $5"
        )
    };
    let sql = format!("WITH done AS ({change} RETURNING 1) SELECT expect(count(*), 1, '{CONFLICT}', 'parked events') FROM done");
    let ParkedRow { subscription, key, partition, position, attempts, next_try_ms, dead, cause, since_ms, work: parked } = row;
    let json = serde_json::to_string(parked).map_err(|error| DatabaseError::Rejected(error.to_string()))?;
    let (partition, position, attempts) = (to_i32(*partition)?, to_i64(*position)?, to_i32(*attempts)?);
    // Causes are free text; PostgreSQL rejects NUL characters.
    let cause = cause.replace('\0', " ");
    let of =
        values![subscription.as_str(), partition, key.as_str(), position, attempts, *next_try_ms, *dead, cause, *since_ms, json];
    work.add(sql, of);
    Ok(())
}

/// Parked rows of one subscription, partition and key, in order.
pub(crate) async fn parked_of(
    conn: &mut Connection,
    subscription: &str,
    partition: u32,
    key: &str,
    rows: usize,
) -> Result<Vec<ParkedRow>, DatabaseError> {
    let sql =
        format!("SELECT {PARKED} FROM parked WHERE subscription = $1 AND partition = $2 AND key = $3 ORDER BY position LIMIT $4");
    let of = values![subscription, to_i32(partition)?, key, limit(rows)];
    conn.rows(&sql, &of).await?.iter().map(parked).collect()
}

/// All parked rows, or the dead letters, oldest first.
pub(crate) async fn all_parked(conn: &mut Connection, dead_only: bool, rows: usize) -> Result<Vec<ParkedRow>, DatabaseError> {
    let dead = if dead_only { "WHERE dead" } else { "" };
    let sql = format!("SELECT {PARKED} FROM parked {dead} ORDER BY since_ms, subscription, partition, position LIMIT $1");
    conn.rows(&sql, &values![limit(rows)]).await?.iter().map(parked).collect()
}

/// The first parked row of each key: one index lookup for each key, however many rows wait behind it.
pub(crate) async fn parked_heads(
    conn: &mut Connection,
    subscription: &str,
    partition: u32,
) -> Result<Vec<ParkedRow>, DatabaseError> {
    let head = format!("SELECT {PARKED} FROM parked WHERE subscription = $1 AND partition = $2");
    let sql = format!(
        "WITH RECURSIVE heads AS ((({head} ORDER BY key, position LIMIT 1)) UNION ALL \
         SELECT next.* FROM heads, LATERAL ({head} AND key > heads.key ORDER BY key, position LIMIT 1) AS next) \
         SELECT {PARKED} FROM heads"
    );
    conn.rows(&sql, &values![subscription, to_i32(partition)?]).await?.iter().map(parked).collect()
}

fn parked(row: &Row) -> Result<ParkedRow, DatabaseError> {
    Ok(ParkedRow {
        subscription: get(row, 0)?,
        partition: get_u32(row, 1)?,
        key: get(row, 2)?,
        position: get_u64(row, 3)?,
        attempts: get_u32(row, 4)?,
        next_try_ms: get(row, 5)?,
        dead: get(row, 6)?,
        cause: get(row, 7)?,
        since_ms: get(row, 8)?,
        work: serde_json::from_str(get(row, 9)?).map_err(|error| DatabaseError::Corrupt(error.to_string()))?,
    })
}
