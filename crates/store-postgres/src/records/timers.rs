//! Timers: set, cleared and fetched. An instance that fetches due timers claims them for a short while, so that other instances
//! fetch the rest. Claims are an optimization: the commit checks that a timer that fires still exists.

use std::collections::BTreeMap;

use ports::model::TableId;
use ports::{TimerRow, TimerWrite};
use tokio_postgres::Row;

use crate::connection::pipeline::Pipeline;
use crate::connection::session::Connection;
use crate::error::{CONFLICT, DatabaseError};
use crate::layout::Layouts;
use crate::records::cause::{cause_of, text_of};
use crate::value::{get, limit, schema_version, values};

/// By table, key and name: in the order in which their rows are locked.
type Named<'a, T> = BTreeMap<(&'a str, &'a str, &'a str), T>;

/// Writes the timers of a commit; of several changes of one timer the last wins.
pub(crate) fn write<'a>(work: &mut Pipeline<'a>, tables: Layouts<'a>, timers: &'a [TimerWrite]) -> Result<(), DatabaseError> {
    let (mut last, mut fires): (Named<'a, Option<&'a TimerRow>>, Named<'a, i64>) = (BTreeMap::new(), BTreeMap::new());
    for timer in timers {
        match timer {
            TimerWrite::Set(row) => {
                last.insert((tables.name(row.table)?, &row.key, &row.name), Some(row));
            }
            TimerWrite::Clear { table, key, name, fires_ms } => {
                let at = (tables.name(*table)?, key.as_str(), name.as_str());
                last.insert(at, None);
                if let Some(due_ms) = fires_ms {
                    fires.entry(at).or_insert(*due_ms);
                }
            }
        }
    }
    if last.is_empty() {
        return Ok(());
    }
    lock(work, &last, &fires);
    let cleared: Vec<_> = last.iter().filter(|(_, set)| set.is_none()).map(|(at, _)| *at).collect();
    if !cleared.is_empty() {
        let sql = "DELETE FROM timer USING unnest($1::text[], $2::text[], $3::text[]) AS u(table_name, key, name) \
                   WHERE timer.table_name = u.table_name AND timer.key = u.key AND timer.name = u.name";
        let (table_name, key, name) = apart(cleared.iter());
        work.add(sql, values![table_name, key, name]);
    }
    set(work, &last)
}

type Apart<'a> = (Vec<&'a str>, Vec<&'a str>, Vec<&'a str>);

fn apart<'a: 'b, 'b>(names: impl Iterator<Item = &'b (&'a str, &'a str, &'a str)>) -> Apart<'a> {
    let mut apart: Apart<'a> = Default::default();
    for (table_name, key, name) in names {
        apart.0.push(table_name);
        apart.1.push(key);
        apart.2.push(name);
    }
    apart
}

/// Locks the stored timers, in order, and checks that those that fire exist and are due as they were.
fn lock<'a>(work: &mut Pipeline<'a>, last: &Named<'a, Option<&'a TimerRow>>, fires: &Named<'a, i64>) {
    let (table_name, key, name) = apart(last.keys());
    if fires.is_empty() {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM unnest($1::text[], $2::text[], $3::text[]) AS u(table_name, key, name) \
                   JOIN timer t ON t.table_name = u.table_name AND t.key = u.key AND t.name = u.name \
                   ORDER BY t.table_name, t.key, t.name FOR UPDATE OF t) AS locked";
        work.add(sql, values![table_name, key, name]);
        return;
    }
    let due: Vec<Option<i64>> = last.keys().map(|at| fires.get(at).copied()).collect();
    let sql = format!(
        "SELECT expect(count(*) FILTER (WHERE due_ms = fires), $5, '{CONFLICT}', 'timers') FROM (SELECT t.due_ms, u.fires \
         FROM unnest($1::text[], $2::text[], $3::text[], $4::int8[]) AS u(table_name, key, name, fires) \
         JOIN timer t ON t.table_name = u.table_name AND t.key = u.key AND t.name = u.name \
         ORDER BY t.table_name, t.key, t.name FOR UPDATE OF t) AS locked"
    );
    work.add(sql, values![table_name, key, name, due, limit(fires.len())]);
}

fn set<'a>(work: &mut Pipeline<'a>, last: &Named<'a, Option<&'a TimerRow>>) -> Result<(), DatabaseError> {
    let set: Vec<_> = last.iter().filter_map(|(at, row)| Some((at, (*row)?))).collect();
    if set.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO timer (table_name, key, name, due_ms, version, command, cause) \
               SELECT table_name, key, name, due_ms, version, command, cause \
               FROM unnest($1::text[], $2::text[], $3::text[], $4::int8[], $5::int4[], $6::bytea[], $7::text[]) \
               WITH ORDINALITY AS u(table_name, key, name, due_ms, version, command, cause, ordinal) ORDER BY ordinal \
               ON CONFLICT (table_name, key, name) DO UPDATE SET due_ms = excluded.due_ms, version = excluded.version, \
               command = excluded.command, cause = excluded.cause, claimed_by = NULL, claimed_until = NULL";
    let (table_name, key, name) = apart(set.iter().map(|(at, _)| *at));
    let causes = set.iter().map(|(_, row)| text_of(&row.cause)).collect::<Result<Vec<_>, _>>()?;
    let due: Vec<i64> = set.iter().map(|(_, row)| row.due_ms).collect();
    let versions: Vec<i32> = set.iter().map(|(_, row)| i32::from(row.version)).collect();
    let commands: Vec<&[u8]> = set.iter().map(|(_, row)| row.command.as_slice()).collect();
    work.add(sql, values![table_name, key, name, due, versions, commands, causes]);
    Ok(())
}

/// Unclaimed, claimed by this instance ($1), or claimed by one whose claim or lease has expired.
const FREE: &str = "(claimed_by IS NULL OR claimed_by = $1 OR claimed_until <= clock_timestamp() \
                    OR NOT EXISTS (SELECT 1 FROM instance i WHERE i.number = claimed_by AND NOT i.fenced))";

const TIMER: &str = "table_name, key, name, due_ms, version, command, cause";

/// The due time of one timer, milliseconds since 1970.
pub(crate) async fn due_of(
    conn: &mut Connection,
    tables: Layouts<'_>,
    table: TableId,
    key: &str,
    name: &str,
) -> Result<Option<i64>, DatabaseError> {
    let sql = "SELECT due_ms FROM timer WHERE table_name = $1 AND key = $2 AND name = $3";
    let rows = conn.rows(sql, &values![tables.name(table)?, key, name]).await?;
    rows.first().map(|row| get(row, 0)).transpose()
}

/// Fetches due timers, earliest first, and claims them. Timers of tables that only another version declares are left to it.
pub(crate) async fn due(
    conn: &mut Connection,
    tables: Layouts<'_>,
    (instance, claim_ms): (i64, i64),
    until_ms: i64,
    rows: usize,
) -> Result<Vec<TimerRow>, DatabaseError> {
    let mut found = if claim_ms == 0 {
        let sql = format!(
            "SELECT {TIMER} FROM timer WHERE due_ms <= $1 AND table_name = ANY($2::text[]) ORDER BY due_ms, table_name, key, name LIMIT $3"
        );
        conn.rows(&sql, &values![until_ms, tables.names(), limit(rows)]).await?
    } else {
        let sql = format!(
            "WITH found AS (SELECT table_name, key, name FROM timer WHERE due_ms <= $2 AND table_name = ANY($3::text[]) AND {FREE} \
             ORDER BY due_ms, table_name, key, name LIMIT $4 FOR UPDATE SKIP LOCKED) \
             UPDATE timer t SET claimed_by = $1, claimed_until = clock_timestamp() + $5 * interval '1 millisecond' \
             FROM found WHERE t.table_name = found.table_name AND t.key = found.key AND t.name = found.name \
             RETURNING t.table_name, t.key, t.name, t.due_ms, t.version, t.command, t.cause"
        );
        let mut work = Pipeline::default();
        #[allow(clippy::cast_precision_loss)] // as the database multiplies intervals; it is some seconds
        work.add(sql, values![instance, until_ms, tables.names(), limit(rows), claim_ms as f64]);
        // Losing a claim in a crash is harmless.
        work.run(conn, "SET LOCAL synchronous_commit = off").await.rows()?.pop().unwrap_or_default()
    };
    let mut timers = found.drain(..).map(|row| timer(&row, tables)).collect::<Result<Vec<_>, _>>()?;
    let name = |table: TableId| tables.name(table).unwrap_or_default();
    timers.sort_by(|one, other| {
        (one.due_ms, name(one.table), &one.key, &one.name).cmp(&(other.due_ms, name(other.table), &other.key, &other.name))
    });
    Ok(timers)
}

/// When to fetch again: the due time of the earliest unclaimed timer, or the end of an earlier claim.
pub(crate) async fn next(conn: &mut Connection, tables: Layouts<'_>, instance: i64) -> Result<Option<i64>, DatabaseError> {
    let sql = format!(
        "WITH first AS (SELECT due_ms FROM timer WHERE table_name = ANY($2::text[]) AND {FREE} ORDER BY due_ms LIMIT 1) \
         SELECT least((SELECT due_ms FROM first), \
         (SELECT min(greatest(due_ms, (extract(epoch FROM claimed_until) * 1000)::bigint)) FROM timer \
         WHERE due_ms <= coalesce((SELECT due_ms FROM first), {}) AND table_name = ANY($2::text[]) AND NOT {FREE}))",
        i64::MAX
    );
    match conn.row(&sql, &values![instance, tables.names()]).await? {
        Some(row) => get(&row, 0),
        None => Ok(None),
    }
}

fn timer(row: &Row, tables: Layouts<'_>) -> Result<TimerRow, DatabaseError> {
    Ok(TimerRow {
        table: tables.named(get(row, 0)?)?,
        key: get(row, 1)?,
        name: get(row, 2)?,
        due_ms: get(row, 3)?,
        version: schema_version(row, 4)?,
        command: get(row, 5)?,
        cause: cause_of(row, 6)?,
    })
}
