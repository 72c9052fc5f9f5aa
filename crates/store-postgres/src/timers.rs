//! Timers: how they are set, cleared and found. An instance that looks for due ones claims what it finds for a short while,
//! so that others look at the rest; what counts is that a timer that fires is still there, which the commit checks.

use std::collections::BTreeMap;

use ports::model::TableId;
use ports::{TimerRow, TimerWrite};
use tokio_postgres::Row;

use crate::error::{Failed, MOVED};
use crate::pipeline::Pipeline;
use crate::session::Link;
use crate::shape::Tables;
use crate::value::{get, limit, schema_version, values};
use crate::work::{cause_of, text_of};

/// By table, key and name: in the order in which their rows are locked.
type Named<'a, T> = BTreeMap<(&'a str, &'a str, &'a str), T>;

/// The timers of a commit. Of several changes of one the last counts.
pub(crate) fn write<'a>(work: &mut Pipeline<'a>, tables: Tables<'a>, timers: &'a [TimerWrite]) -> Result<(), Failed> {
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
        let sql = "DELETE FROM timer USING unnest($1::text[], $2::text[], $3::text[]) AS u(tbl, key, name) \
                   WHERE timer.tbl = u.tbl AND timer.key = u.key AND timer.name = u.name";
        let (tbl, key, name) = apart(cleared.iter());
        work.add(sql, values![tbl, key, name]);
    }
    set(work, &last)
}

type Apart<'a> = (Vec<&'a str>, Vec<&'a str>, Vec<&'a str>);

fn apart<'a: 'b, 'b>(names: impl Iterator<Item = &'b (&'a str, &'a str, &'a str)>) -> Apart<'a> {
    let mut apart: Apart<'a> = Default::default();
    for (tbl, key, name) in names {
        apart.0.push(tbl);
        apart.1.push(key);
        apart.2.push(name);
    }
    apart
}

/// Locks what is there, in order, and sees whether what fires is there and due when it was.
fn lock<'a>(work: &mut Pipeline<'a>, last: &Named<'a, Option<&'a TimerRow>>, fires: &Named<'a, i64>) {
    let (tbl, key, name) = apart(last.keys());
    if fires.is_empty() {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM unnest($1::text[], $2::text[], $3::text[]) AS u(tbl, key, name) \
                   JOIN timer t ON t.tbl = u.tbl AND t.key = u.key AND t.name = u.name \
                   ORDER BY t.tbl, t.key, t.name FOR UPDATE OF t) AS locked";
        work.add(sql, values![tbl, key, name]);
        return;
    }
    let due: Vec<Option<i64>> = last.keys().map(|at| fires.get(at).copied()).collect();
    let sql = format!(
        "SELECT expect(count(*) FILTER (WHERE due_ms = fires), $5, '{MOVED}', 'timers') FROM (SELECT t.due_ms, u.fires \
         FROM unnest($1::text[], $2::text[], $3::text[], $4::int8[]) AS u(tbl, key, name, fires) \
         JOIN timer t ON t.tbl = u.tbl AND t.key = u.key AND t.name = u.name \
         ORDER BY t.tbl, t.key, t.name FOR UPDATE OF t) AS locked"
    );
    work.add(sql, values![tbl, key, name, due, limit(fires.len())]);
}

fn set<'a>(work: &mut Pipeline<'a>, last: &Named<'a, Option<&'a TimerRow>>) -> Result<(), Failed> {
    let set: Vec<_> = last.iter().filter_map(|(at, row)| Some((at, (*row)?))).collect();
    if set.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO timer (tbl, key, name, due_ms, version, command, cause) \
               SELECT tbl, key, name, due_ms, version, command, cause \
               FROM unnest($1::text[], $2::text[], $3::text[], $4::int8[], $5::int4[], $6::bytea[], $7::text[]) \
               WITH ORDINALITY AS u(tbl, key, name, due_ms, version, command, cause, place) ORDER BY place \
               ON CONFLICT (tbl, key, name) DO UPDATE SET due_ms = excluded.due_ms, version = excluded.version, \
               command = excluded.command, cause = excluded.cause, claimed_by = NULL, claimed_until = NULL";
    let (tbl, key, name) = apart(set.iter().map(|(at, _)| *at));
    let causes = set.iter().map(|(_, row)| text_of(&row.cause)).collect::<Result<Vec<_>, _>>()?;
    let due: Vec<i64> = set.iter().map(|(_, row)| row.due_ms).collect();
    let versions: Vec<i32> = set.iter().map(|(_, row)| i32::from(row.version)).collect();
    let commands: Vec<&[u8]> = set.iter().map(|(_, row)| row.command.as_slice()).collect();
    work.add(sql, values![tbl, key, name, due, versions, commands, causes]);
    Ok(())
}

/// Whether a timer is anybody's: not claimed, mine, or claimed by one whose claim or life has ended. $1 is this instance.
const FREE: &str = "(claimed_by IS NULL OR claimed_by = $1 OR claimed_until <= clock_timestamp() \
                    OR NOT EXISTS (SELECT 1 FROM instance i WHERE i.number = claimed_by AND NOT i.fenced))";

/// When one timer is due, milliseconds since 1970.
pub(crate) async fn due_of(
    link: &mut Link,
    tables: Tables<'_>,
    table: TableId,
    key: &str,
    name: &str,
) -> Result<Option<i64>, Failed> {
    let sql = "SELECT due_ms FROM timer WHERE tbl = $1 AND key = $2 AND name = $3";
    let rows = link.rows(sql, &values![tables.name(table)?, key, name]).await?;
    rows.first().map(|row| get(row, 0)).transpose()
}

const TIMER: &str = "tbl, key, name, due_ms, version, command, cause";

/// Due timers, earliest first, and claims them. Those of tables that only another version knows are left to it.
pub(crate) async fn due(
    link: &mut Link,
    tables: Tables<'_>,
    (me, claim_ms): (i64, i64),
    until_ms: i64,
    rows: usize,
) -> Result<Vec<TimerRow>, Failed> {
    let mut found = if claim_ms == 0 {
        let sql = format!(
            "SELECT {TIMER} FROM timer WHERE due_ms <= $1 AND tbl = ANY($2::text[]) ORDER BY due_ms, tbl, key, name LIMIT $3"
        );
        link.rows(&sql, &values![until_ms, tables.names(), limit(rows)]).await?
    } else {
        let sql = format!(
            "WITH found AS (SELECT tbl, key, name FROM timer WHERE due_ms <= $2 AND tbl = ANY($3::text[]) AND {FREE} \
             ORDER BY due_ms, tbl, key, name LIMIT $4 FOR UPDATE SKIP LOCKED) \
             UPDATE timer t SET claimed_by = $1, claimed_until = clock_timestamp() + $5 * interval '1 millisecond' \
             FROM found WHERE t.tbl = found.tbl AND t.key = found.key AND t.name = found.name \
             RETURNING t.tbl, t.key, t.name, t.due_ms, t.version, t.command, t.cause"
        );
        let mut work = Pipeline::default();
        #[allow(clippy::cast_precision_loss)] // as the database multiplies intervals; it is some seconds
        work.add(sql, values![me, until_ms, tables.names(), limit(rows), claim_ms as f64]);
        // A claim that is lost in a crash has done no harm.
        work.run(link, "SET LOCAL synchronous_commit = off").await.rows()?.pop().unwrap_or_default()
    };
    let mut timers = found.drain(..).map(|row| timer(&row, tables)).collect::<Result<Vec<_>, _>>()?;
    let name = |table: TableId| tables.name(table).unwrap_or_default();
    timers.sort_by(|one, other| {
        (one.due_ms, name(one.table), &one.key, &one.name).cmp(&(other.due_ms, name(other.table), &other.key, &other.name))
    });
    Ok(timers)
}

/// When to look again: the earliest timer that is anybody's, or where one that is claimed will be, if that is earlier.
pub(crate) async fn next(link: &mut Link, tables: Tables<'_>, me: i64) -> Result<Option<i64>, Failed> {
    let sql = format!(
        "WITH first AS (SELECT due_ms FROM timer WHERE tbl = ANY($2::text[]) AND {FREE} ORDER BY due_ms LIMIT 1) \
         SELECT least((SELECT due_ms FROM first), \
         (SELECT min(greatest(due_ms, (extract(epoch FROM claimed_until) * 1000)::bigint)) FROM timer \
         WHERE due_ms <= coalesce((SELECT due_ms FROM first), {}) AND tbl = ANY($2::text[]) AND NOT {FREE}))",
        i64::MAX
    );
    match link.row(&sql, &values![me, tables.names()]).await? {
        Some(row) => get(&row, 0),
        None => Ok(None),
    }
}

fn timer(row: &Row, tables: Tables<'_>) -> Result<TimerRow, Failed> {
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
