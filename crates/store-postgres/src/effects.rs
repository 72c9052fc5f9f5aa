//! Effects: how they are asked for, withdrawn, ended, and taken over from instances that are dead.

use ports::{Commit, EffectRow};
use tokio_postgres::Row;

use crate::error::{FENCED, Failed, MOVED};
use crate::pipeline::Pipeline;
use crate::session::Link;
use crate::shape::Tables;
use crate::value::{get, limit, most, natural, schema_version, values, whole};
use crate::work::{cause_of, text_of};

/// An instance's numbers stand above those of the instances before it.
pub(crate) const NUMBERS: u32 = 40;

const EFFECT: &str = "e.number, e.id, e.tbl, e.key, e.port, e.lane, e.version, e.payload, e.cause, e.withdrawn";

/// Those that have ended, then the withdrawals, then what is new: a new effect says itself whether it is withdrawn.
pub(crate) fn write<'a>(work: &mut Pipeline<'a>, tables: Tables<'a>, me: i64, commit: &'a Commit) -> Result<(), Failed> {
    if !commit.effects_done.is_empty() {
        let sql = format!(
            "WITH done AS (DELETE FROM effect WHERE number = ANY($1::int8[]) AND owner = $2 RETURNING 1) \
             SELECT expect(count(*), cardinality($1::int8[]), '{MOVED}', 'effects of this instance') FROM done"
        );
        let numbers = commit.effects_done.iter().map(|number| whole(*number)).collect::<Result<Vec<_>, _>>()?;
        work.add(sql, values![numbers, me]);
    }
    if !commit.withdrawn.is_empty() {
        let sql = "UPDATE effect e SET withdrawn = true FROM unnest($1::text[], $2::text[]) AS u(tbl, key) \
                   WHERE e.tbl = u.tbl AND e.key = u.key AND NOT e.withdrawn";
        let names = commit.withdrawn.iter().map(|row| tables.name(row.table)).collect::<Result<Vec<_>, _>>()?;
        let keys: Vec<&str> = commit.withdrawn.iter().map(|row| row.key.as_str()).collect();
        work.add(sql, values![names, keys]);
    }
    if commit.effects.is_empty() {
        return Ok(());
    }
    let new = &commit.effects;
    let texts = |text: fn(&EffectRow) -> &str| new.iter().map(text).collect::<Vec<_>>();
    let sql = "INSERT INTO effect (number, owner, id, tbl, key, port, lane, version, payload, cause, withdrawn) \
               SELECT number, $11::int8, id, tbl, key, port, lane, version, payload, cause, withdrawn \
               FROM unnest($1::int8[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int4[], $8::bytea[], \
               $9::text[], $10::bool[]) AS u(number, id, tbl, key, port, lane, version, payload, cause, withdrawn)";
    work.add(
        sql,
        values![
            new.iter().map(|effect| whole(effect.number)).collect::<Result<Vec<_>, _>>()?,
            texts(|effect| &effect.id),
            new.iter().map(|effect| tables.name(effect.table)).collect::<Result<Vec<_>, _>>()?,
            texts(|effect| &effect.key),
            texts(|effect| &effect.port),
            new.iter().map(|effect| effect.lane.as_deref()).collect::<Vec<_>>(),
            new.iter().map(|effect| i32::from(effect.version)).collect::<Vec<_>>(),
            new.iter().map(|effect| effect.payload.as_slice()).collect::<Vec<_>>(),
            new.iter().map(|effect| text_of(&effect.cause)).collect::<Result<Vec<_>, _>>()?,
            new.iter().map(|effect| effect.withdrawn).collect::<Vec<_>>(),
            me,
        ],
    );
    Ok(())
}

/// This instance's own, after a number. Those that it has taken over stand below its numbers.
pub(crate) async fn after(
    link: &mut Link,
    tables: Tables<'_>,
    me: i64,
    number: u64,
    rows: usize,
) -> Result<Vec<EffectRow>, Failed> {
    let sql = format!("SELECT {EFFECT} FROM effect e WHERE e.owner = $1 AND e.number > $2 ORDER BY e.number LIMIT $3");
    let above = most(number).max(me << NUMBERS);
    link.rows(&sql, &values![me, above, limit(rows)]).await?.iter().map(|row| effect(row, tables)).collect()
}

/// Prolongs the own lease, gives up instances whose lease has run out, and takes over what they have left.
///
/// One who is just committing holds its row locked, and is passed over: it lives. Effects that a dead instance was about to
/// end are certainly there or gone, as it was given up under that lock.
pub(crate) async fn adopt(
    link: &mut Link,
    tables: Tables<'_>,
    me: i64,
    lease: f64,
    rows: usize,
) -> Result<Vec<EffectRow>, Failed> {
    let sql = format!(
        "WITH silent AS (SELECT number FROM instance WHERE until < clock_timestamp() AND NOT fenced AND number <> $1 \
         FOR UPDATE SKIP LOCKED), \
         dead AS (UPDATE instance i SET fenced = true FROM silent WHERE i.number = silent.number RETURNING i.number), \
         left_over AS (SELECT number FROM effect WHERE owner IN \
         (SELECT number FROM dead UNION SELECT number FROM instance WHERE fenced AND number <> $1) \
         AND tbl = ANY($3::text[]) ORDER BY number LIMIT $2 FOR UPDATE SKIP LOCKED) \
         UPDATE effect e SET owner = $1 FROM left_over WHERE e.number = left_over.number RETURNING {EFFECT}"
    );
    let mut work = Pipeline::default();
    let mine = format!(
        "WITH mine AS (UPDATE instance SET until = clock_timestamp() + $2 * interval '1 millisecond' \
         WHERE number = $1 AND NOT fenced RETURNING number) \
         SELECT expect(count(*), 1, '{FENCED}', 'leases of this instance') FROM mine"
    );
    work.add(mine, values![me, lease]);
    work.add(sql, values![me, limit(rows), tables.names()]);
    // They are remembered for a while, for their own sake: one that was only asleep must learn what became of its commit.
    work.add(
        "DELETE FROM instance WHERE fenced AND until < clock_timestamp() - interval '7 days' \
         AND NOT EXISTS (SELECT 1 FROM effect WHERE owner = instance.number)",
        Vec::new(),
    );
    let answers = work.run(link, "").await.rows()?;
    let mut left = answers.get(1).into_iter().flatten().map(|row| effect(row, tables)).collect::<Result<Vec<_>, _>>()?;
    left.sort_by_key(|effect| effect.number);
    Ok(left)
}

fn effect(row: &Row, tables: Tables<'_>) -> Result<EffectRow, Failed> {
    Ok(EffectRow {
        number: natural(row, 0)?,
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
