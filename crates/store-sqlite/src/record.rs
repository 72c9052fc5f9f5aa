//! The log: how a record is written, read and looked for.

use std::fmt::Write as _;

use kernel::event::Cause;
use ports::{LogQuery, Record};
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Result, Row, params, params_from_iter};

use crate::value::{Nat, limit};
use crate::work::list;

const RECORD: &str = "seq, id, source, event_type, version, key, time_ms, actor, request, causation, trace, data";

/// Appends a record.
pub(crate) fn append(conn: &Connection, record: &Record) -> Result<()> {
    let sql = "INSERT INTO log (seq, id, source, event_type, version, key, time_ms, actor, request, causation, trace, data) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let Record { seq, id, source, event_type, version, key, time_ms, data, cause } = record;
    let Cause { actor, request, causation, trace } = cause;
    let values = params![Nat(*seq), id, source, event_type, version, key, time_ms, actor, request, causation, trace, data];
    conn.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Records after a position, in order.
pub(crate) fn after(conn: &Connection, seq: u64, rows: usize) -> Result<Vec<Record>> {
    let sql = format!("SELECT {RECORD} FROM log WHERE seq > ?1 ORDER BY seq LIMIT ?2");
    list(conn, &sql, [i64::try_from(seq).unwrap_or(i64::MAX), limit(rows)], record)
}

/// A search through the log, in steps: each looks at so many positions and is a short read of its own, because a long
/// one would hold the write-ahead log.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    query: &'a LogQuery,
    step: u64,
    at: u64,
    end: u64,
    /// What it has found so far.
    pub found: Vec<Record>,
}

impl<'a> Search<'a> {
    /// From the first position that may be meant to the last there is.
    pub fn new(query: &'a LogQuery, step: u64, first_seq: u64, last_seq: u64) -> Self {
        Self { query, step, at: query.after.max(first_seq.saturating_sub(1)), end: last_seq, found: Vec::new() }
    }

    /// Whether another step may find more.
    pub fn goes_on(&self) -> bool {
        self.at < self.end && self.found.len() < self.query.limit
    }

    /// Takes a step.
    pub fn step(&mut self, conn: &Connection) -> Result<()> {
        let upto = self.at.saturating_add(self.step);
        let rows = self.query.limit - self.found.len();
        self.found.extend(between(conn, self.query, self.at, upto, rows)?);
        self.at = upto;
        Ok(())
    }
}

fn between(conn: &Connection, query: &LogQuery, after: u64, upto: u64, rows: usize) -> Result<Vec<Record>> {
    let mut sql = format!("SELECT {RECORD} FROM log WHERE seq > ? AND seq <= ?");
    let mut values: Vec<ToSqlOutput<'_>> = vec![i64::try_from(after).unwrap_or(i64::MAX).into()];
    values.push(i64::try_from(upto).unwrap_or(i64::MAX).into());
    let texts = [("event_type", &query.event_type), ("key", &query.key), ("request", &query.request)];
    for (column, wanted) in texts {
        if let Some(wanted) = wanted {
            // Writing to a text cannot fail.
            let _ = write!(sql, " AND {column} = ?");
            values.push(wanted.as_str().into());
        }
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
        seq: row.get::<_, Nat>(0)?.0,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine;

    #[test]
    fn a_search_finds_in_short_steps_what_it_would_find_in_one() {
        let mut conn = Connection::open_in_memory().unwrap();
        machine::migrate(&mut conn, 0, "sample").unwrap();
        for seq in 11..=60 {
            let key = if seq % 7 == 0 { "wanted" } else { "other" };
            let insert = "INSERT INTO log VALUES (?1, '', '', '', 1, ?2, 0, '', '', '', '', x'')";
            conn.execute(insert, params![seq, key]).unwrap_or_else(|_| panic!("record {seq}"));
        }
        let wanted = |limit| LogQuery { after: 14, limit, key: Some("wanted".into()), ..LogQuery::default() };
        for (limit, step) in [(100, 1), (100, 9), (100, 1_000), (3, 9), (0, 9)] {
            let query = wanted(limit);
            let mut search = Search::new(&query, step, 11, 60);
            while search.goes_on() {
                search.step(&conn).unwrap();
            }
            let found: Vec<u64> = search.found.iter().map(|record| record.seq).collect();
            let all = [21, 28, 35, 42, 49, 56];
            assert_eq!(found, all[..limit.min(all.len())], "limit {limit}, step {step}");
        }
    }
}
