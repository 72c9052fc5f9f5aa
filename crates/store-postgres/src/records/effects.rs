//! Effects: inserted, withdrawn, ended, and adopted from fenced instances.

use ports::{Commit, EffectRow};
use tokio_postgres::Row;

use crate::connection::pipeline::Pipeline;
use crate::connection::session::Connection;
use crate::error::{CONFLICT, DatabaseError, FENCED};
use crate::layout::Layouts;
use crate::records::cause::{cause_of, text_of};
use crate::value::{clamp_i64, get, get_u64, limit, schema_version, to_i64, values};

/// The number of an instance is shifted by so many bits: its effect numbers are above those of earlier instances.
pub(crate) const INSTANCE_SHIFT: u32 = 40;

const EFFECT: &str = "e.number, e.id, e.table_name, e.key, e.port, e.lane, e.version, e.payload, e.cause, e.withdrawn";

/// Deletes ended effects, then withdraws, then inserts: a new effect carries its own withdrawn flag.
pub(crate) fn write<'a>(
    work: &mut Pipeline<'a>,
    tables: Layouts<'a>,
    instance: i64,
    commit: &'a Commit,
) -> Result<(), DatabaseError> {
    if !commit.effects_done.is_empty() {
        let sql = format!(
            "WITH done AS (DELETE FROM effect WHERE number = ANY($1::int8[]) AND owner = $2 RETURNING 1) \
             SELECT expect(count(*), cardinality($1::int8[]), '{CONFLICT}', 'effects of this instance') FROM done"
        );
        let numbers = commit.effects_done.iter().map(|number| to_i64(*number)).collect::<Result<Vec<_>, _>>()?;
        work.add(sql, values![numbers, instance]);
    }
    if !commit.withdrawn.is_empty() {
        let sql = "UPDATE effect e SET withdrawn = true FROM unnest($1::text[], $2::text[]) AS u(table_name, key) \
                   WHERE e.table_name = u.table_name AND e.key = u.key AND NOT e.withdrawn";
        let names = commit.withdrawn.iter().map(|row| tables.name(row.table)).collect::<Result<Vec<_>, _>>()?;
        let keys: Vec<&str> = commit.withdrawn.iter().map(|row| row.key.as_str()).collect();
        work.add(sql, values![names, keys]);
    }
    if commit.effects.is_empty() {
        return Ok(());
    }
    let new = &commit.effects;
    let texts = |text: fn(&EffectRow) -> &str| new.iter().map(text).collect::<Vec<_>>();
    let sql = "INSERT INTO effect (number, owner, id, table_name, key, port, lane, version, payload, cause, withdrawn) \
               SELECT number, $11::int8, id, table_name, key, port, lane, version, payload, cause, withdrawn \
               FROM unnest($1::int8[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int4[], $8::bytea[], \
               $9::text[], $10::bool[]) AS u(number, id, table_name, key, port, lane, version, payload, cause, withdrawn)";
    work.add(
        sql,
        values![
            new.iter().map(|effect| to_i64(effect.number)).collect::<Result<Vec<_>, _>>()?,
            texts(|effect| &effect.id),
            new.iter().map(|effect| tables.name(effect.table)).collect::<Result<Vec<_>, _>>()?,
            texts(|effect| &effect.key),
            texts(|effect| &effect.port),
            new.iter().map(|effect| effect.lane.as_deref()).collect::<Vec<_>>(),
            new.iter().map(|effect| i32::from(effect.version)).collect::<Vec<_>>(),
            new.iter().map(|effect| effect.payload.as_slice()).collect::<Vec<_>>(),
            new.iter().map(|effect| text_of(&effect.cause)).collect::<Result<Vec<_>, _>>()?,
            new.iter().map(|effect| effect.withdrawn).collect::<Vec<_>>(),
            instance,
        ],
    );
    Ok(())
}

/// This instance's own effects after a number. Adopted ones have lower numbers.
pub(crate) async fn after(
    conn: &mut Connection,
    tables: Layouts<'_>,
    instance: i64,
    number: u64,
    rows: usize,
) -> Result<Vec<EffectRow>, DatabaseError> {
    let sql = format!("SELECT {EFFECT} FROM effect e WHERE e.owner = $1 AND e.number > $2 ORDER BY e.number LIMIT $3");
    let above = clamp_i64(number).max(instance << INSTANCE_SHIFT);
    conn.rows(&sql, &values![instance, above, limit(rows)]).await?.iter().map(|row| effect(row, tables)).collect()
}

/// Renews this instance's lease, fences instances whose lease has expired, and adopts their effects.
///
/// An instance that is committing holds its row locked and is skipped: it is alive. Effects that a dead instance was about to
/// end are either present or gone, because it was fenced under that lock.
pub(crate) async fn adopt(
    conn: &mut Connection,
    tables: Layouts<'_>,
    instance: i64,
    lease: f64,
    rows: usize,
) -> Result<Vec<EffectRow>, DatabaseError> {
    let sql = format!(
        "WITH silent AS (SELECT number FROM instance WHERE lease_until < clock_timestamp() AND NOT fenced AND number <> $1 \
         FOR UPDATE SKIP LOCKED), \
         dead AS (UPDATE instance i SET fenced = true FROM silent WHERE i.number = silent.number RETURNING i.number), \
         left_over AS (SELECT number FROM effect WHERE owner IN \
         (SELECT number FROM dead UNION SELECT number FROM instance WHERE fenced AND number <> $1) \
         AND table_name = ANY($3::text[]) ORDER BY number LIMIT $2 FOR UPDATE SKIP LOCKED) \
         UPDATE effect e SET owner = $1 FROM left_over WHERE e.number = left_over.number RETURNING {EFFECT}"
    );
    let mut work = Pipeline::default();
    let mine = format!(
        "WITH mine AS (UPDATE instance SET lease_until = clock_timestamp() + $2 * interval '1 millisecond' \
         WHERE number = $1 AND NOT fenced RETURNING number) \
         SELECT expect(count(*), 1, '{FENCED}', 'leases of this instance') FROM mine"
    );
    work.add(mine, values![instance, lease]);
    work.add(sql, values![instance, limit(rows), tables.names()]);
    // Kept for a while: an instance that was only suspended must learn that it is fenced.
    work.add(
        "DELETE FROM instance WHERE fenced AND lease_until < clock_timestamp() - interval '7 days' \
         AND NOT EXISTS (SELECT 1 FROM effect WHERE owner = instance.number)",
        Vec::new(),
    );
    let answers = work.run(conn, "").await.rows()?;
    let mut left = answers.get(1).into_iter().flatten().map(|row| effect(row, tables)).collect::<Result<Vec<_>, _>>()?;
    left.sort_by_key(|effect| effect.number);
    Ok(left)
}

fn effect(row: &Row, tables: Layouts<'_>) -> Result<EffectRow, DatabaseError> {
    Ok(EffectRow {
        number: get_u64(row, 0)?,
        id: get(row, 1)?,
        table: tables.named(get(row, 2)?)?,
        key: get(row, 3)?,
        port: get(row, 4)?,
        lane: get(row, 5)?,
        version: schema_version(row, 6)?,
        payload: get(row, 7)?,
        cause: cause_of(row, 8)?,
        withdrawn: get(row, 9)?,
    })
}
