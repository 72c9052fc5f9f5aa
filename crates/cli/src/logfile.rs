//! The log of a system's file, read beside whoever writes it: a connection that cannot write, and one short read at a time.

use std::path::Path;

use kernel::event::Cause;
use runtime::ports::{LogQuery, Record};
use rusqlite::{Connection, OpenFlags, Row, params};

use crate::failed::Failed;

const RECORD: &str = "seq, id, source, event_type, version, key, time_ms, actor, request, causation, trace, data";

/// A log that can only be read.
pub struct LogFile {
    conn: Connection,
}

impl LogFile {
    /// Opens the log of a system; `None` where it has not run here yet.
    pub fn open(dir: &Path, system: &str) -> Result<Option<Self>, Failed> {
        let path = dir.join(format!("{system}.db"));
        if !path.exists() {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |error| Failed::unavailable(format!("{} cannot be read: {error}", path.display()));
        let conn = Connection::open_with_flags(&path, flags).map_err(failed)?;
        conn.busy_timeout(std::time::Duration::from_secs(5)).map_err(failed)?;
        Ok(Some(Self { conn }))
    }

    /// The next page of records that meet the query, and how far was looked.
    pub fn records(&self, query: &LogQuery) -> Result<(Vec<Record>, u64), Failed> {
        let mut after = query.after;
        loop {
            let page = self.page(after, query.limit).map_err(unread)?;
            let Some(last) = page.last() else { return Ok((Vec::new(), after)) };
            after = last.seq;
            let wanted: Vec<_> = page.into_iter().filter(|record| meets(record, query)).collect();
            if !wanted.is_empty() {
                return Ok((wanted, after));
            }
        }
    }

    /// The last position.
    pub fn end(&self) -> Result<u64, Failed> {
        let last = self.conn.query_row("SELECT coalesce(max(seq), 0) FROM log", [], |row| row.get::<_, i64>(0));
        last.map(|seq| u64::try_from(seq).unwrap_or_default()).map_err(unread)
    }

    fn page(&self, after: u64, limit: usize) -> rusqlite::Result<Vec<Record>> {
        let sql = format!("SELECT {RECORD} FROM log WHERE seq > ?1 ORDER BY seq LIMIT ?2");
        let numbers = params![i64::try_from(after).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX)];
        self.conn.prepare_cached(&sql)?.query_map(numbers, record)?.collect()
    }
}

#[allow(clippy::needless_pass_by_value)] // it stands where `map_err` hands over what it has
fn unread(error: rusqlite::Error) -> Failed {
    Failed::unavailable(format!("the log cannot be read: {error}"))
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        seq: u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default(),
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

fn meets(record: &Record, query: &LogQuery) -> bool {
    let is = |wanted: &Option<String>, text: &str| wanted.as_deref().is_none_or(|wanted| wanted == text);
    is(&query.event_type, &record.event_type)
        && is(&query.key, &record.key)
        && is(&query.request, &record.cause.request)
        && query.from_ms.is_none_or(|from| record.time_ms >= from)
        && query.until_ms.is_none_or(|until| record.time_ms < until)
}
