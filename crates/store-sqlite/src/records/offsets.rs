//! Consumer offsets, and the outbox offsets by which a record that was relayed twice is recognized.

use ports::{ConsumerOffset, OffsetUpdate, Partition};
use rusqlite::{Connection, Result, params};

use crate::error::WriteError;
use crate::records::codec::list;
use crate::value::U64;

/// The offset of a subscription in a partition, with the last number consumed from each outbox.
pub(crate) fn consumer_offset(conn: &Connection, subscription: &str, partition: &Partition) -> Result<Option<ConsumerOffset>> {
    let Partition { topic, number } = partition;
    let of = "WHERE subscription = ?1 AND topic = ?2 AND partition = ?3";
    let select = format!("SELECT position FROM consumer_offset {of}");
    let at = params![subscription, topic, number];
    let position = list(conn, &select, at, |row| Ok(row.get::<_, U64>(0)?.0))?.pop();
    let numbers = format!("SELECT outbox, number FROM outbox_offset {of} ORDER BY outbox");
    let Some(position) = position else { return Ok(None) };
    let numbers = list(conn, &numbers, at, |row| Ok((row.get(0)?, row.get::<_, U64>(1)?.0)))?;
    Ok(Some(ConsumerOffset { position, numbers }))
}

/// Writes an offset and the outbox numbers that came with it.
pub(crate) fn write_update(conn: &Connection, update: &OffsetUpdate) -> Result<(), WriteError> {
    let OffsetUpdate { subscription, partition: Partition { topic, number }, to, numbers, .. } = update;
    let sql = "INSERT OR REPLACE INTO consumer_offset (subscription, topic, partition, position) VALUES (?1, ?2, ?3, ?4)";
    conn.prepare_cached(sql)?.execute(params![subscription, topic, number, U64(*to)])?;
    for (outbox, last) in numbers {
        let sql =
            "INSERT OR REPLACE INTO outbox_offset (subscription, topic, partition, outbox, number) VALUES (?1, ?2, ?3, ?4, ?5)";
        conn.prepare_cached(sql)?.execute(params![subscription, topic, number, outbox, U64(*last)])?;
    }
    Ok(())
}
