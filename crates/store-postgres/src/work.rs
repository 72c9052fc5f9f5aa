//! Parked events, positions and answers: how they are written and read.

use std::collections::HashMap;

use kernel::event::Cause;
use ports::{AnswerRow, ConsumerOffset, OffsetUpdate, ParkedRow, ParkedWrite, Partition};
use tokio_postgres::Row;

use crate::error::{Failed, MOVED};
use crate::pipeline::Pipeline;
use crate::session::Link;
use crate::value::{get, limit, natural, values, whole};

const PARKED: &str = "follower, partition, key, place, attempts, next_try_ms, dead, cause, since_ms, record";

/// A cause as it is stored.
pub(crate) fn text_of(cause: &Cause) -> Result<String, Failed> {
    serde_json::to_string(cause).map_err(|error| Failed::Refused(error.to_string()))
}

/// A stored cause.
pub(crate) fn cause_of(row: &Row, column: usize) -> Result<Cause, Failed> {
    serde_json::from_str(get(row, column)?).map_err(|error| Failed::Damaged(error.to_string()))
}

fn counted(number: u32) -> Result<i32, Failed> {
    i32::try_from(number).map_err(|_| Failed::Refused(format!("{number} is too large to be stored")))
}

fn small(row: &Row, column: usize) -> Result<u32, Failed> {
    let number: i32 = get(row, column)?;
    u32::try_from(number).map_err(|_| Failed::Damaged(format!("{number} should not be negative")))
}

/// Parked events, one after the other: it is seldom that there are any, and one may be changed twice.
pub(crate) fn write_parked<'a>(work: &mut Pipeline<'a>, writes: &'a [ParkedWrite]) -> Result<(), Failed> {
    for write in writes {
        match write {
            ParkedWrite::Put(row) => put(work, row)?,
            ParkedWrite::Remove { subscription, key, partition, position: place } => {
                let sql = format!(
                    "WITH done AS (DELETE FROM parked WHERE follower = $1 AND partition = $2 AND key = $3 AND place = $4 \
                     RETURNING 1) SELECT expect(count(*), 1, '{MOVED}', 'parked events') FROM done"
                );
                work.add(sql, values![subscription.as_str(), counted(*partition)?, key.as_str(), whole(*place)?]);
            }
        }
    }
    Ok(())
}

/// What is there must have one attempt less; only a first attempt, or one that was never made, may find nothing.
fn put<'a>(work: &mut Pipeline<'a>, row: &'a ParkedRow) -> Result<(), Failed> {
    let set = "attempts = $5, next_try_ms = $6, dead = $7, cause = $8, since_ms = $9, record = $10";
    let change = if row.attempts <= 1 {
        format!(
            "INSERT INTO parked AS there ({PARKED}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (follower, partition, key, place) DO UPDATE SET {set} WHERE there.attempts + 1 = $5"
        )
    } else {
        format!(
            "UPDATE parked SET {set} WHERE follower = $1 AND partition = $2 AND key = $3 AND place = $4 AND attempts + 1 = $5"
        )
    };
    let sql = format!("WITH done AS ({change} RETURNING 1) SELECT expect(count(*), 1, '{MOVED}', 'parked events') FROM done");
    let ParkedRow { subscription, key, partition, position: place, attempts, next_try_ms, dead, cause, since_ms, work: parked } =
        row;
    let record = serde_json::to_string(parked).map_err(|error| Failed::Refused(error.to_string()))?;
    let (partition, place, attempts) = (counted(*partition)?, whole(*place)?, counted(*attempts)?);
    // A cause is words for people; the one letter that the database does not take may well be what it is about.
    let cause = cause.replace('\0', " ");
    let of =
        values![subscription.as_str(), partition, key.as_str(), place, attempts, *next_try_ms, *dead, cause, *since_ms, record];
    work.add(sql, of);
    Ok(())
}

/// Parked events of one follower, partition and key, in order.
pub(crate) async fn parked_of(
    link: &mut Link,
    subscription: &str,
    partition: u32,
    key: &str,
    rows: usize,
) -> Result<Vec<ParkedRow>, Failed> {
    let sql = format!("SELECT {PARKED} FROM parked WHERE follower = $1 AND partition = $2 AND key = $3 ORDER BY place LIMIT $4");
    let of = values![subscription, counted(partition)?, key, limit(rows)];
    link.rows(&sql, &of).await?.iter().map(parked).collect()
}

/// All of them, or the dead ones, oldest first.
pub(crate) async fn all_parked(link: &mut Link, dead_only: bool, rows: usize) -> Result<Vec<ParkedRow>, Failed> {
    let dead = if dead_only { "WHERE dead" } else { "" };
    let sql = format!("SELECT {PARKED} FROM parked {dead} ORDER BY since_ms, follower, partition, place LIMIT $1");
    link.rows(&sql, &values![limit(rows)]).await?.iter().map(parked).collect()
}

/// The first of each key: one look-up for each, however many wait behind it.
pub(crate) async fn parked_heads(link: &mut Link, subscription: &str, partition: u32) -> Result<Vec<ParkedRow>, Failed> {
    let head = format!("SELECT {PARKED} FROM parked WHERE follower = $1 AND partition = $2");
    let sql = format!(
        "WITH RECURSIVE heads AS ((({head} ORDER BY key, place LIMIT 1)) UNION ALL \
         SELECT next.* FROM heads, LATERAL ({head} AND key > heads.key ORDER BY key, place LIMIT 1) AS next) \
         SELECT {PARKED} FROM heads"
    );
    link.rows(&sql, &values![subscription, counted(partition)?]).await?.iter().map(parked).collect()
}

fn parked(row: &Row) -> Result<ParkedRow, Failed> {
    Ok(ParkedRow {
        subscription: get(row, 0)?,
        partition: small(row, 1)?,
        key: get(row, 2)?,
        position: natural(row, 3)?,
        attempts: small(row, 4)?,
        next_try_ms: get(row, 5)?,
        dead: get(row, 6)?,
        cause: get(row, 7)?,
        since_ms: get(row, 8)?,
        work: serde_json::from_str(get(row, 9)?).map_err(|error| Failed::Damaged(error.to_string()))?,
    })
}

/// Where a follower stands in a partition.
pub(crate) async fn consumer_offset(
    link: &mut Link,
    subscription: &str,
    partition: &Partition,
) -> Result<Option<ConsumerOffset>, Failed> {
    let sql = "SELECT p.position, r.outbox, r.number FROM position p LEFT JOIN relayed r \
               ON r.follower = p.follower AND r.topic = p.topic AND r.partition = p.partition \
               WHERE p.follower = $1 AND p.topic = $2 AND p.partition = $3 ORDER BY r.outbox";
    let rows = link.rows(sql, &values![subscription, partition.topic.as_str(), counted(partition.number)?]).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let mut consumer_offset = ConsumerOffset { position: natural(first, 0)?, numbers: Vec::new() };
    for row in &rows {
        if let Some(outbox) = get(row, 1)? {
            consumer_offset.numbers.push((outbox, natural(row, 2)?));
        }
    }
    Ok(Some(consumer_offset))
}

/// Positions that move, each from where it is thought to stand.
pub(crate) fn write_places<'a>(work: &mut Pipeline<'a>, moves: &'a [OffsetUpdate]) -> Result<(), Failed> {
    let mut moves: Vec<&OffsetUpdate> = moves.iter().collect();
    moves.sort_by_key(|place| (&place.subscription, &place.partition));
    let (new, known): (Vec<_>, Vec<_>) = moves.iter().copied().partition(|place| place.from.is_none());
    if !new.is_empty() {
        let sql = format!(
            "WITH done AS (INSERT INTO position (follower, topic, partition, position) \
             SELECT follower, topic, partition, upto FROM unnest($1::text[], $2::text[], $3::int4[], $4::int8[]) \
             WITH ORDINALITY AS u(follower, topic, partition, upto, place) ORDER BY place ON CONFLICT DO NOTHING RETURNING 1) \
             SELECT expect(count(*), cardinality($1::text[]), '{MOVED}', 'new positions') FROM done"
        );
        let (subscription, topic, partition, upto) = apart(&new)?;
        work.add(sql, values![subscription, topic, partition, upto]);
    }
    if !known.is_empty() {
        let from = known.iter().map(|place| place.from.map_or(Ok(0), whole)).collect::<Result<Vec<_>, _>>()?;
        let (subscription, topic, partition, upto) = apart(&known)?;
        let lock = format!(
            "SELECT expect(count(*), cardinality($1::text[]), '{MOVED}', 'positions') FROM (SELECT 1 \
             FROM unnest($1::text[], $2::text[], $3::int4[], $4::int8[]) AS u(follower, topic, partition, stood) \
             JOIN position p ON p.follower = u.follower AND p.topic = u.topic AND p.partition = u.partition \
             WHERE p.position = u.stood ORDER BY p.follower, p.topic, p.partition FOR UPDATE OF p) AS locked"
        );
        work.add(lock, values![subscription.clone(), topic.clone(), partition.clone(), from]);
        let sql = "UPDATE position p SET position = u.upto \
                   FROM unnest($1::text[], $2::text[], $3::int4[], $4::int8[]) AS u(follower, topic, partition, upto) \
                   WHERE p.follower = u.follower AND p.topic = u.topic AND p.partition = u.partition";
        work.add(sql, values![subscription, topic, partition, upto]);
    }
    write_relayed(work, &moves)
}

type Places<'a> = (Vec<&'a str>, Vec<&'a str>, Vec<i32>, Vec<i64>);

fn apart<'a>(moves: &[&'a OffsetUpdate]) -> Result<Places<'a>, Failed> {
    let mut apart: Places<'a> = Default::default();
    for OffsetUpdate { subscription, partition, to, .. } in moves {
        apart.0.push(subscription);
        apart.1.push(&partition.topic);
        apart.2.push(counted(partition.number)?);
        apart.3.push(whole(*to)?);
    }
    Ok(apart)
}

/// The last numbers of outboxes; the position that moves with them is what guards them.
fn write_relayed<'a>(work: &mut Pipeline<'a>, moves: &[&'a OffsetUpdate]) -> Result<(), Failed> {
    let (mut places, mut outboxes, mut numbers): (Vec<&OffsetUpdate>, Vec<&str>, Vec<i64>) = Default::default();
    for place in moves {
        for (outbox, number) in &place.numbers {
            places.push(place);
            outboxes.push(outbox);
            numbers.push(whole(*number)?);
        }
    }
    if places.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO relayed (follower, topic, partition, outbox, number) SELECT follower, topic, partition, outbox, number \
               FROM unnest($1::text[], $2::text[], $3::int4[], $4::text[], $5::int8[]) \
               WITH ORDINALITY AS u(follower, topic, partition, outbox, number, place) ORDER BY place \
               ON CONFLICT (follower, topic, partition, outbox) DO UPDATE SET number = excluded.number";
    let (subscription, topic, partition, _) = apart(&places)?;
    work.add(sql, values![subscription, topic, partition, outboxes, numbers]);
    Ok(())
}

/// Answers to remember: one that stands and has not expired, by the database's clock, is in the way.
pub(crate) fn write_answers<'a>(work: &mut Pipeline<'a>, answers: &'a [AnswerRow]) {
    if answers.is_empty() {
        return;
    }
    let mut answers: Vec<&AnswerRow> = answers.iter().collect();
    answers.sort_by_key(|answer| (&answer.scope, &answer.key));
    let sql = format!(
        "WITH done AS (INSERT INTO answer AS there (scope, key, fingerprint, expires_ms, answer) \
         SELECT scope, key, fingerprint, expires_ms, answer \
         FROM unnest($1::text[], $2::text[], $3::text[], $4::int8[], $5::bytea[]) \
         WITH ORDINALITY AS u(scope, key, fingerprint, expires_ms, answer, place) ORDER BY place \
         ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint, expires_ms = excluded.expires_ms, \
         answer = excluded.answer WHERE there.expires_ms <= now_ms() RETURNING 1) \
         SELECT expect(count(*), cardinality($1::text[]), '{MOVED}', 'unanswered keys') FROM done"
    );
    let texts = |text: fn(&AnswerRow) -> &str| answers.iter().map(|answer| text(answer)).collect::<Vec<_>>();
    let expires: Vec<i64> = answers.iter().map(|answer| answer.expires_ms).collect();
    let bytes: Vec<&[u8]> = answers.iter().map(|answer| answer.answer.as_slice()).collect();
    let of =
        values![texts(|answer| &answer.scope), texts(|answer| &answer.key), texts(|answer| &answer.fingerprint), expires, bytes,];
    work.add(sql, of);
}

/// The remembered answers of idempotency keys, by scope and key, in the order asked for.
pub(crate) async fn answers(link: &mut Link, wanted: &[(String, String)]) -> Result<Vec<Option<AnswerRow>>, Failed> {
    let sql = "SELECT there.scope, there.key, there.fingerprint, there.expires_ms, there.answer \
               FROM unnest($1::text[], $2::text[]) AS wanted(scope, key) \
               JOIN answer AS there ON there.scope = wanted.scope AND there.key = wanted.key";
    let texts = |text: fn(&(String, String)) -> &str| wanted.iter().map(text).collect::<Vec<_>>();
    let rows = link.rows(sql, &values![texts(|(scope, _)| scope), texts(|(_, key)| key)]).await?;
    let mut found = HashMap::new();
    for row in rows {
        let (scope, key): (String, String) = (get(&row, 0)?, get(&row, 1)?);
        let (fingerprint, expires_ms, answer) = (get(&row, 2)?, get(&row, 3)?, get(&row, 4)?);
        found.insert((scope.clone(), key.clone()), AnswerRow { scope, key, fingerprint, expires_ms, answer });
    }
    Ok(wanted.iter().map(|pair| found.get(pair).cloned()).collect())
}
