//! Timers, effects, parked events and answers: how they are written and read.

use kernel::event::Cause;
use ports::model::TableId;
use ports::{
    AnswerRow, ConsumerOffset, EffectRow, OffsetUpdate, ParkedRow, ParkedWrite, Partition, RowRef, TimerRow, TimerWrite,
};
use rusqlite::types::Type;
use rusqlite::{Connection, Error, OptionalExtension, Params, Result, Row, params};
use serde_json::from_str;

use crate::error::Fault;
use crate::shape::Shape;
use crate::value::{Nat, limit};

const EFFECT: &str = "number, id, tbl, key, port, lane, version, payload, cause, withdrawn";
const PARKED: &str = "follower, partition, key, place, attempts, next_try_ms, dead, cause, since_ms, record";

/// A table's name, by which everything else is filed.
pub(crate) fn name_of(shapes: &[Shape], table: TableId) -> Result<&str, Fault> {
    let shape = shapes.get(table.0).ok_or_else(|| Fault::Refused(format!("there is no table {}", table.0)))?;
    Ok(&shape.name)
}

fn table_of(shapes: &[Shape], row: &Row<'_>, column: usize) -> Result<TableId> {
    let name: String = row.get(column)?;
    let place = shapes.iter().position(|shape| shape.name == name);
    let gone = || unreadable(column, format!("table {name} is not declared any more"));
    place.map(TableId).ok_or_else(gone)
}

/// A table that timers or effects wait for and that is not declared: one look-up for each table there is.
pub(crate) fn orphan(conn: &Connection, shapes: &[Shape]) -> Result<Option<String>> {
    for work in ["timer", "effect"] {
        let next = format!("SELECT min(tbl) FROM {work} WHERE tbl > ?1");
        let mut last = String::new();
        while let Some(name) = conn.query_row(&next, [&last], |row| row.get::<_, Option<String>>(0))? {
            if !shapes.iter().any(|shape| shape.name == name) {
                return Ok(Some(name));
            }
            last = name;
        }
    }
    Ok(None)
}

pub(crate) fn write_timer(conn: &Connection, shapes: &[Shape], write: &TimerWrite) -> Result<(), Fault> {
    match write {
        TimerWrite::Set(TimerRow { table, key, name, due_ms, version, command, cause }) => {
            let sql = "INSERT OR REPLACE INTO timer (tbl, key, name, due_ms, version, command, cause) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let values = params![name_of(shapes, *table)?, key, name, due_ms, version, command, text(cause)?];
            conn.prepare_cached(sql)?.execute(values)?;
        }
        TimerWrite::Clear { table, key, name, .. } => {
            let sql = "DELETE FROM timer WHERE tbl = ?1 AND key = ?2 AND name = ?3";
            conn.prepare_cached(sql)?.execute(params![name_of(shapes, *table)?, key, name])?;
        }
    }
    Ok(())
}

pub(crate) fn timers_due(conn: &Connection, shapes: &[Shape], until_ms: i64, rows: usize) -> Result<Vec<TimerRow>> {
    let sql = "SELECT tbl, key, name, due_ms, version, command, cause FROM timer WHERE due_ms <= ?1 \
               ORDER BY due_ms, tbl, key, name LIMIT ?2";
    list(conn, sql, params![until_ms, limit(rows)], |row| {
        Ok(TimerRow {
            table: table_of(shapes, row, 0)?,
            key: row.get(1)?,
            name: row.get(2)?,
            due_ms: row.get(3)?,
            version: row.get(4)?,
            command: row.get(5)?,
            cause: cause(row, 6)?,
        })
    })
}

pub(crate) fn timer_due(conn: &Connection, shapes: &[Shape], table: TableId, key: &str, name: &str) -> Result<Option<i64>> {
    let Some(shape) = shapes.get(table.0) else { return Ok(None) };
    let sql = "SELECT due_ms FROM timer WHERE tbl = ?1 AND key = ?2 AND name = ?3";
    conn.prepare_cached(sql)?.query_row(params![shape.name, key, name], |row| row.get(0)).optional()
}

/// Those that have ended, then the withdrawals, then what is new: a new effect says itself whether it is withdrawn.
pub(crate) fn write_effects(
    conn: &Connection,
    shapes: &[Shape],
    done: &[u64],
    withdrawn: &[RowRef],
    asked: &[EffectRow],
) -> Result<(), Fault> {
    for number in done {
        conn.prepare_cached("DELETE FROM effect WHERE number = ?1")?.execute([Nat(*number)])?;
    }
    for RowRef { table, key } in withdrawn {
        let sql = "UPDATE effect SET withdrawn = 1 WHERE tbl = ?2 AND key = ?1";
        conn.prepare_cached(sql)?.execute(params![key, name_of(shapes, *table)?])?;
    }
    for effect in asked {
        let EffectRow { number, id, table, key, port, lane, version, payload, cause, withdrawn } = effect;
        let sql = "INSERT INTO effect (number, id, tbl, key, port, lane, version, payload, cause, withdrawn) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let table = name_of(shapes, *table)?;
        let values = params![Nat(*number), id, table, key, port, lane, version, payload, text(cause)?, withdrawn];
        conn.prepare_cached(sql)?.execute(values)?;
    }
    Ok(())
}

pub(crate) fn effects_after(conn: &Connection, shapes: &[Shape], number: u64, rows: usize) -> Result<Vec<EffectRow>> {
    let sql = format!("SELECT {EFFECT} FROM effect WHERE number > ?1 ORDER BY number LIMIT ?2");
    list(conn, &sql, params![Nat(number), limit(rows)], |row| {
        Ok(EffectRow {
            number: row.get::<_, Nat>(0)?.0,
            id: row.get(1)?,
            table: table_of(shapes, row, 2)?,
            key: row.get(3)?,
            port: row.get(4)?,
            lane: row.get(5)?,
            version: row.get(6)?,
            payload: row.get(7)?,
            cause: cause(row, 8)?,
            withdrawn: row.get(9)?,
        })
    })
}

pub(crate) fn write_parked(conn: &Connection, write: &ParkedWrite) -> Result<(), Fault> {
    match write {
        ParkedWrite::Put(parked) => {
            let ParkedRow {
                subscription,
                key,
                partition,
                position: place,
                attempts,
                next_try_ms,
                dead,
                cause,
                since_ms,
                work: parked,
            } = parked;
            let sql = format!("INSERT OR REPLACE INTO parked ({PARKED}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
            let record = serde_json::to_string(parked).map_err(unwritable)?;
            let values = params![subscription, partition, key, Nat(*place), attempts, next_try_ms, dead, cause, since_ms, record];
            conn.prepare_cached(&sql)?.execute(values)?;
        }
        ParkedWrite::Remove { subscription, key, partition, position: place } => {
            let sql = "DELETE FROM parked WHERE follower = ?1 AND partition = ?2 AND key = ?3 AND place = ?4";
            conn.prepare_cached(sql)?.execute(params![subscription, partition, key, Nat(*place)])?;
        }
    }
    Ok(())
}

pub(crate) fn parked_of(conn: &Connection, subscription: &str, partition: u32, key: &str, rows: usize) -> Result<Vec<ParkedRow>> {
    let of = "follower = ?1 AND partition = ?2 AND key = ?3";
    let sql = format!("SELECT {PARKED} FROM parked WHERE {of} ORDER BY place LIMIT ?4");
    list(conn, &sql, params![subscription, partition, key, limit(rows)], parked)
}

pub(crate) fn all_parked(conn: &Connection, dead_only: bool, rows: usize) -> Result<Vec<ParkedRow>> {
    let dead = if dead_only { "WHERE dead" } else { "" };
    let sql = format!("SELECT {PARKED} FROM parked {dead} ORDER BY since_ms, follower, partition, place LIMIT ?1");
    list(conn, &sql, [limit(rows)], parked)
}

/// The first of each key: one look-up for each, however many wait behind it.
pub(crate) fn parked_heads(conn: &Connection, subscription: &str, partition: u32) -> Result<Vec<ParkedRow>> {
    let of = "follower = ?1 AND partition = ?2";
    let first = format!("SELECT {PARKED} FROM parked WHERE {of} ORDER BY key, place LIMIT 1");
    let next = format!("SELECT {PARKED} FROM parked WHERE {of} AND key > ?3 ORDER BY key, place LIMIT 1");
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

pub(crate) fn consumer_offset(conn: &Connection, subscription: &str, partition: &Partition) -> Result<Option<ConsumerOffset>> {
    let Partition { topic, number } = partition;
    let of = "WHERE follower = ?1 AND topic = ?2 AND partition = ?3";
    let position = format!("SELECT position FROM position {of}");
    let place = params![subscription, topic, number];
    let position = list(conn, &position, place, |row| Ok(row.get::<_, Nat>(0)?.0))?.pop();
    let numbers = format!("SELECT outbox, number FROM relayed {of} ORDER BY outbox");
    let Some(position) = position else { return Ok(None) };
    let numbers = list(conn, &numbers, place, |row| Ok((row.get(0)?, row.get::<_, Nat>(1)?.0)))?;
    Ok(Some(ConsumerOffset { position, numbers }))
}

pub(crate) fn write_place(conn: &Connection, place: &OffsetUpdate) -> Result<(), Fault> {
    let OffsetUpdate { subscription, partition: Partition { topic, number }, to, numbers, .. } = place;
    let sql = "INSERT OR REPLACE INTO position (follower, topic, partition, position) VALUES (?1, ?2, ?3, ?4)";
    conn.prepare_cached(sql)?.execute(params![subscription, topic, number, Nat(*to)])?;
    for (outbox, last) in numbers {
        let sql = "INSERT OR REPLACE INTO relayed (follower, topic, partition, outbox, number) VALUES (?1, ?2, ?3, ?4, ?5)";
        conn.prepare_cached(sql)?.execute(params![subscription, topic, number, outbox, Nat(*last)])?;
    }
    Ok(())
}

fn parked(row: &Row<'_>) -> Result<ParkedRow> {
    Ok(ParkedRow {
        subscription: row.get(0)?,
        partition: row.get(1)?,
        key: row.get(2)?,
        position: row.get::<_, Nat>(3)?.0,
        attempts: row.get(4)?,
        next_try_ms: row.get(5)?,
        dead: row.get(6)?,
        cause: row.get(7)?,
        since_ms: row.get(8)?,
        work: from_str(&row.get::<_, String>(9)?).map_err(|error| unreadable(9, error))?,
    })
}

pub(crate) fn write_answer(conn: &Connection, answer: &AnswerRow) -> Result<(), Fault> {
    let AnswerRow { scope, key, fingerprint, expires_ms, answer } = answer;
    let sql = "INSERT INTO answer (scope, key, fingerprint, expires_ms, answer) VALUES (?1, ?2, ?3, ?4, ?5) \
               ON CONFLICT (scope, key) DO UPDATE SET fingerprint = ?3, expires_ms = ?4, answer = ?5";
    conn.prepare_cached(sql)?.execute(params![scope, key, fingerprint, expires_ms, answer])?;
    Ok(())
}

pub(crate) fn answer(conn: &Connection, scope: &str, key: &str) -> Result<Option<AnswerRow>> {
    let sql = "SELECT scope, key, fingerprint, expires_ms, answer FROM answer WHERE scope = ?1 AND key = ?2";
    let found = list(conn, sql, [scope, key], |row| {
        let (scope, key, fingerprint) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(AnswerRow { scope, key, fingerprint, expires_ms: row.get(3)?, answer: row.get(4)? })
    });
    Ok(found?.pop())
}

/// All rows of a statement; the bound is in its limit.
pub(crate) fn list<T>(
    conn: &Connection,
    sql: &str,
    values: impl Params,
    row: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    conn.prepare_cached(sql)?.query_map(values, row)?.collect()
}

fn text(cause: &Cause) -> Result<String, Fault> {
    serde_json::to_string(cause).map_err(unwritable)
}

fn cause(row: &Row<'_>, column: usize) -> Result<Cause> {
    from_str(row.get_ref(column)?.as_str()?).map_err(|error| unreadable(column, error))
}

fn unwritable(error: serde_json::Error) -> Fault {
    Fault::Sql(Error::ToSqlConversionFailure(Box::new(error)))
}

fn unreadable(column: usize, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::FromSqlConversionFailure(column, Type::Text, why.into())
}
