//! Consumer offsets, and the outbox offsets by which a record that was relayed twice is recognized.

use ports::{ConsumerOffset, OffsetUpdate, Partition};

use crate::connection::pipeline::Pipeline;
use crate::connection::session::Connection;
use crate::error::{CONFLICT, DatabaseError};
use crate::value::{get, get_u64, to_i32, to_i64, values};

/// The offset of a subscription in a partition, with the last number consumed from each outbox.
pub(crate) async fn consumer_offset(
    conn: &mut Connection,
    subscription: &str,
    partition: &Partition,
) -> Result<Option<ConsumerOffset>, DatabaseError> {
    let sql = "SELECT p.position, r.outbox, r.number FROM consumer_offset p LEFT JOIN outbox_offset r \
               ON r.subscription = p.subscription AND r.topic = p.topic AND r.partition = p.partition \
               WHERE p.subscription = $1 AND p.topic = $2 AND p.partition = $3 ORDER BY r.outbox";
    let rows = conn.rows(sql, &values![subscription, partition.topic.as_str(), to_i32(partition.number)?]).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let mut consumer_offset = ConsumerOffset { position: get_u64(first, 0)?, numbers: Vec::new() };
    for row in &rows {
        if let Some(outbox) = get(row, 1)? {
            consumer_offset.numbers.push((outbox, get_u64(row, 2)?));
        }
    }
    Ok(Some(consumer_offset))
}

/// Moves offsets, each from its expected position.
pub(crate) fn write_updates<'a>(work: &mut Pipeline<'a>, moves: &'a [OffsetUpdate]) -> Result<(), DatabaseError> {
    let mut moves: Vec<&OffsetUpdate> = moves.iter().collect();
    moves.sort_by_key(|update| (&update.subscription, &update.partition));
    let (new, known): (Vec<_>, Vec<_>) = moves.iter().copied().partition(|update| update.from.is_none());
    if !new.is_empty() {
        let sql = format!(
            "WITH done AS (INSERT INTO consumer_offset (subscription, topic, partition, position) \
             SELECT subscription, topic, partition, upto FROM unnest($1::text[], $2::text[], $3::int4[], $4::int8[]) \
             WITH ORDINALITY AS u(subscription, topic, partition, upto, ordinal) ORDER BY ordinal ON CONFLICT DO NOTHING RETURNING 1) \
             SELECT expect(count(*), cardinality($1::text[]), '{CONFLICT}', 'new positions') FROM done"
        );
        let (subscription, topic, partition, upto) = apart(&new)?;
        work.add(sql, values![subscription, topic, partition, upto]);
    }
    if !known.is_empty() {
        let from = known.iter().map(|update| update.from.map_or(Ok(0), to_i64)).collect::<Result<Vec<_>, _>>()?;
        let (subscription, topic, partition, upto) = apart(&known)?;
        let lock = format!(
            "SELECT expect(count(*), cardinality($1::text[]), '{CONFLICT}', 'positions') FROM (SELECT 1 \
             FROM unnest($1::text[], $2::text[], $3::int4[], $4::int8[]) AS u(subscription, topic, partition, stood) \
             JOIN consumer_offset p ON p.subscription = u.subscription AND p.topic = u.topic AND p.partition = u.partition \
             WHERE p.position = u.stood ORDER BY p.subscription, p.topic, p.partition FOR UPDATE OF p) AS locked"
        );
        work.add(lock, values![subscription.clone(), topic.clone(), partition.clone(), from]);
        let sql = "UPDATE consumer_offset p SET position = u.upto \
                   FROM unnest($1::text[], $2::text[], $3::int4[], $4::int8[]) AS u(subscription, topic, partition, upto) \
                   WHERE p.subscription = u.subscription AND p.topic = u.topic AND p.partition = u.partition";
        work.add(sql, values![subscription, topic, partition, upto]);
    }
    write_outbox_offsets(work, &moves)
}

type Columns<'a> = (Vec<&'a str>, Vec<&'a str>, Vec<i32>, Vec<i64>);

fn apart<'a>(moves: &[&'a OffsetUpdate]) -> Result<Columns<'a>, DatabaseError> {
    let mut apart: Columns<'a> = Default::default();
    for OffsetUpdate { subscription, partition, to, .. } in moves {
        apart.0.push(subscription);
        apart.1.push(&partition.topic);
        apart.2.push(to_i32(partition.number)?);
        apart.3.push(to_i64(*to)?);
    }
    Ok(apart)
}

/// The last number of each outbox; the offset that moves with them is their fence.
fn write_outbox_offsets<'a>(work: &mut Pipeline<'a>, moves: &[&'a OffsetUpdate]) -> Result<(), DatabaseError> {
    let (mut updates, mut outboxes, mut numbers): (Vec<&OffsetUpdate>, Vec<&str>, Vec<i64>) = Default::default();
    for update in moves {
        for (outbox, number) in &update.numbers {
            updates.push(update);
            outboxes.push(outbox);
            numbers.push(to_i64(*number)?);
        }
    }
    if updates.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO outbox_offset (subscription, topic, partition, outbox, number) SELECT subscription, topic, partition, outbox, number \
               FROM unnest($1::text[], $2::text[], $3::int4[], $4::text[], $5::int8[]) \
               WITH ORDINALITY AS u(subscription, topic, partition, outbox, number, ordinal) ORDER BY ordinal \
               ON CONFLICT (subscription, topic, partition, outbox) DO UPDATE SET number = excluded.number";
    let (subscription, topic, partition, _) = apart(&updates)?;
    work.add(sql, values![subscription, topic, partition, outboxes, numbers]);
    Ok(())
}
