//! The log: appending records, reading on, and filtered scans.

use std::fmt::Write as _;

use kernel::event::Cause;
use ports::query::log::LogRange;
use ports::{LogQuery, Record};
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Result, Row, params, params_from_iter};

use crate::records::codec::list;
use crate::value::{U64, limit};

const RECORD: &str = "seq, id, source, event_type, version, key, time_ms, actor, request, causation, trace, data";

/// Appends a record.
pub(crate) fn append(conn: &Connection, record: &Record) -> Result<()> {
    let sql = "INSERT INTO log (seq, id, source, event_type, version, key, time_ms, actor, request, causation, trace, data) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let Record { seq, id, source, event_type, version, key, time_ms, data, cause } = record;
    let Cause { actor, request, causation, trace } = cause;
    let values = params![U64(*seq), id, source, event_type, version, key, time_ms, actor, request, causation, trace, data];
    conn.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Records after a position, in order.
pub(crate) fn after(conn: &Connection, seq: u64, rows: usize) -> Result<Vec<Record>> {
    let sql = format!("SELECT {RECORD} FROM log WHERE seq > ?1 ORDER BY seq LIMIT ?2");
    list(conn, &sql, [i64::try_from(seq).unwrap_or(i64::MAX), limit(rows)], record)
}

/// The matching records of one step of a scan.
pub(crate) fn scan(conn: &Connection, query: &LogQuery, range: LogRange) -> Result<Vec<Record>> {
    let LogRange { after, upto, limit: rows } = range;
    let mut sql = format!("SELECT {RECORD} FROM log WHERE seq > ? AND seq <= ?");
    let mut values: Vec<ToSqlOutput<'_>> = vec![i64::try_from(after).unwrap_or(i64::MAX).into()];
    values.push(i64::try_from(upto).unwrap_or(i64::MAX).into());
    for (column, wanted) in query.attributes() {
        // Writing to a text cannot fail.
        let _ = write!(sql, " AND {column} = ?");
        values.push(wanted.into());
    }
    for (bound, instant) in [("time_ms >= ?", query.from_ms), ("time_ms < ?", query.until_ms)] {
        if let Some(instant) = instant {
            let _ = write!(sql, " AND {bound}");
            values.push(instant.into());
        }
    }
    sql.push_str(" ORDER BY seq LIMIT ?");
    values.push(limit(rows).into());
    list(conn, &sql, params_from_iter(values), record)
}

fn record(row: &Row<'_>) -> Result<Record> {
    Ok(Record {
        seq: row.get::<_, U64>(0)?.0,
        id: row.get(1)?,
        source: row.get(2)?,
        event_type: row.get(3)?,
        version: row.get(4)?,
        key: row.get(5)?,
        time_ms: row.get(6)?,
        cause: Cause { actor: row.get(7)?, request: row.get(8)?, causation: row.get(9)?, trace: row.get(10)? },
        data: row.get(11)?,
    })
}
