//! Parked events, timers and effect answers.

use ports::{ParkedRow, ParkedWrite};
use rusqlite::{Connection, Result, Row, params};
use serde_json::from_str;

use crate::error::WriteError;
use crate::records::codec::{list, unreadable, unwritable};
use crate::value::{U64, limit};

const PARKED: &str = "subscription, partition, key, position, attempts, next_try_ms, dead, cause, since_ms, work";

pub(crate) fn write_parked(conn: &Connection, write: &ParkedWrite) -> Result<(), WriteError> {
    match write {
        ParkedWrite::Put(parked) => {
            let ParkedRow { subscription, key, partition, position, attempts, next_try_ms, dead, cause, since_ms, work: parked } =
                parked;
            let sql = format!("INSERT OR REPLACE INTO parked ({PARKED}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
            let json = serde_json::to_string(parked).map_err(unwritable)?;
            let values =
                params![subscription, partition, key, U64(*position), attempts, next_try_ms, dead, cause, since_ms, json];
            conn.prepare_cached(&sql)?.execute(values)?;
        }
        ParkedWrite::Remove { subscription, key, partition, position } => {
            let sql = "DELETE FROM parked WHERE subscription = ?1 AND partition = ?2 AND key = ?3 AND position = ?4";
            conn.prepare_cached(sql)?.execute(params![subscription, partition, key, U64(*position)])?;
        }
    }
    Ok(())
}

pub(crate) fn parked_of(conn: &Connection, subscription: &str, partition: u32, key: &str, rows: usize) -> Result<Vec<ParkedRow>> {
    let of = "subscription = ?1 AND partition = ?2 AND key = ?3";
    let sql = format!("SELECT {PARKED} FROM parked WHERE {of} ORDER BY position LIMIT ?4");
    list(conn, &sql, params![subscription, partition, key, limit(rows)], parked)
}

pub(crate) fn all_parked(conn: &Connection, dead_only: bool, rows: usize) -> Result<Vec<ParkedRow>> {
    let dead = if dead_only { "WHERE dead" } else { "" };
    let sql = format!("SELECT {PARKED} FROM parked {dead} ORDER BY since_ms, subscription, partition, position LIMIT ?1");
    list(conn, &sql, [limit(rows)], parked)
}

/// The first parked row of each key: one index lookup for each key, however many rows wait behind it.
pub(crate) fn parked_heads(conn: &Connection, subscription: &str, partition: u32) -> Result<Vec<ParkedRow>> {
    let of = "subscription = ?1 AND partition = ?2";
    let first = format!("SELECT {PARKED} FROM parked WHERE {of} ORDER BY key, position LIMIT 1");
    let next = format!("SELECT {PARKED} FROM parked WHERE {of} AND key > ?3 ORDER BY key, position LIMIT 1");
    let mut heads = list(conn, &first, params![subscription, partition], parked)?;
    while let Some(head) = heads.last() {
        let next = list(conn, &next, params![subscription, partition, head.key], parked)?;
        if next.is_empty() {
            break;
        }
        heads.extend(next);
    }
    Ok(heads)
}

fn parked(row: &Row<'_>) -> Result<ParkedRow> {
    Ok(ParkedRow {
        subscription: row.get(0)?,
        partition: row.get(1)?,
        key: row.get(2)?,
        position: row.get::<_, U64>(3)?.0,
        attempts: row.get(4)?,
        next_try_ms: row.get(5)?,
        dead: row.get(6)?,
        cause: row.get(7)?,
        since_ms: row.get(8)?,
        work: from_str(&row.get::<_, String>(9)?).map_err(|error| unreadable(9, error))?,
    })
}
