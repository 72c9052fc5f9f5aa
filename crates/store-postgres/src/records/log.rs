//! The log: appending records, reading on, and filtered scans.

use std::fmt::Write as _;

use kernel::event::Cause;
use ports::query::log::{LogRange, LogScan};
use ports::{LogQuery, Record};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::connection::pipeline::Pipeline;
use crate::connection::session::Connection;
use crate::error::DatabaseError;
use crate::value::{Value, clamp_i64, get, get_u64, limit, schema_version, values};

/// The columns that [`record`] reads.
pub(crate) const RECORD: &str =
    "l.seq, l.id, l.source, l.event_type, l.version, l.key, l.time_ms, l.actor, l.request, l.causation, l.trace, l.data";

/// Appends records, in order, and queues them in the outbox.
///
/// Positions are assigned here, after the affected rows were locked: the next transaction on one of these rows is assigned
/// later ones.
pub(crate) fn append<'a>(work: &mut Pipeline<'a>, log: &'a [Record]) {
    if log.is_empty() {
        return;
    }
    let sql = "WITH done AS (INSERT INTO log \
               (id, source, event_type, version, key, time_ms, actor, request, causation, trace, data) \
               SELECT id, source, event_type, version, key, time_ms, actor, request, causation, trace, data \
               FROM unnest($1::text[], $2::text[], $3::text[], $4::int4[], $5::text[], $6::int8[], $7::text[], $8::text[], \
               $9::text[], $10::text[], $11::bytea[]) WITH ORDINALITY AS \
               u(id, source, event_type, version, key, time_ms, actor, request, causation, trace, data, ordinal) \
               ORDER BY ordinal RETURNING seq) INSERT INTO outbox (seq) SELECT seq FROM done";
    let texts = |text: fn(&Record) -> &str| log.iter().map(text).collect::<Vec<_>>();
    work.add(
        sql,
        values![
            texts(|record| &record.id),
            texts(|record| &record.source),
            texts(|record| &record.event_type),
            log.iter().map(|record| i32::from(record.version)).collect::<Vec<_>>(),
            texts(|record| &record.key),
            log.iter().map(|record| record.time_ms).collect::<Vec<_>>(),
            texts(|record| &record.cause.actor),
            texts(|record| &record.cause.request),
            texts(|record| &record.cause.causation),
            texts(|record| &record.cause.trace),
            log.iter().map(|record| record.data.as_slice()).collect::<Vec<_>>(),
        ],
    );
}

/// Records after a position up to another, in order.
pub(crate) async fn after(conn: &mut Connection, seq: u64, upto: u64, rows: usize) -> Result<Vec<Record>, DatabaseError> {
    let sql = format!("SELECT {RECORD} FROM log l WHERE l.seq > $1 AND l.seq <= $2 ORDER BY l.seq LIMIT $3");
    conn.rows(&sql, &values![clamp_i64(seq), clamp_i64(upto), limit(rows)]).await?.iter().map(|row| record(row, 0)).collect()
}

/// The first and last position of the log; of an empty one, the next position and the last pruned one.
pub(crate) async fn ends(conn: &mut Connection) -> Result<(u64, u64), DatabaseError> {
    let sql = "SELECT coalesce((SELECT min(seq) FROM log), pruned_seq + 1), coalesce((SELECT max(seq) FROM log), pruned_seq) FROM store_meta";
    let row = conn.row(sql, &[]).await?.ok_or_else(|| DatabaseError::Corrupt("the store has lost its own row".into()))?;
    Ok((get_u64(&row, 0)?, get_u64(&row, 1)?))
}

/// Positions scanned by one statement.
const STEP: u64 = 20_000;

/// A search through the log up to a position, each step a short statement. The log has no index but its order: one on
/// scattered keys would be paid for by every event, and a search in history is rare.
pub(crate) async fn search(conn: &mut Connection, query: &LogQuery, last: u64) -> Result<Vec<Record>, DatabaseError> {
    let (first, _) = ends(conn).await?;
    let mut scan = LogScan::new(query, STEP, first, last);
    while let Some(range) = scan.next_range() {
        let (sql, bound) = within(query, range);
        let rows = conn.query_once(&sql, &bound).await?;
        scan.advance(range, rows.iter().map(|row| record(row, 0)).collect::<Result<_, _>>()?);
    }
    Ok(scan.into_records())
}

fn within(query: &LogQuery, range: LogRange) -> (String, Vec<(Value<'_>, Type)>) {
    let LogRange { after, upto, limit: rows } = range;
    let mut sql = format!("SELECT {RECORD} FROM log l WHERE l.seq > $1 AND l.seq <= $2");
    let mut bound: Vec<(Value<'_>, Type)> =
        vec![(Box::new(clamp_i64(after)), Type::INT8), (Box::new(clamp_i64(upto)), Type::INT8)];
    let mut and = |condition: &str, value: Value<'static>, of: Type| {
        bound.push((value, of));
        // Writing to a text cannot fail.
        let _ = write!(sql, " AND l.{condition} ${}", bound.len());
    };
    for (column, wanted) in query.attributes() {
        and(&format!("{column} ="), Box::new(wanted.to_owned()), Type::TEXT);
    }
    for (condition, instant) in [("time_ms >=", query.from_ms), ("time_ms <", query.until_ms)] {
        if let Some(instant) = instant {
            and(condition, Box::new(instant), Type::INT8);
        }
    }
    let _ = write!(sql, " ORDER BY l.seq LIMIT {}", limit(rows));
    (sql, bound)
}

/// The record in the columns from `at` on.
pub(crate) fn record(row: &Row, at: usize) -> Result<Record, DatabaseError> {
    Ok(Record {
        seq: get_u64(row, at)?,
        id: get(row, at + 1)?,
        source: get(row, at + 2)?,
        event_type: get(row, at + 3)?,
        version: schema_version(row, at + 4)?,
        key: get(row, at + 5)?,
        time_ms: get(row, at + 6)?,
        cause: Cause {
            actor: get(row, at + 7)?,
            request: get(row, at + 8)?,
            causation: get(row, at + 9)?,
            trace: get(row, at + 10)?,
        },
        data: get(row, at + 11)?,
    })
}
