//! Rows of the sample system as a core writes them: what the checks put into a commit, and find in a store.

use kernel::IndexValue;
use kernel::event::Cause;
use ports::model::TableId;
use ports::query::Page;
use ports::{Commit, EffectRow, OffsetUpdate, ParkedRow, ParkedWork, Partition, Record, RowWrite, TimerRow};

use crate::sample::Line;

/// The lines on a page.
pub fn lines_of(page: &Page) -> Vec<Line> {
    page.rows.iter().map(|row| serde_json::from_slice(&row.data).expect("a row is a line")).collect()
}

/// The own topic, as an embedded log has it.
pub fn own() -> Partition {
    Partition::only("sample-events")
}

/// A subscription's offset moves in the own topic.
pub fn moved(subscription: &str, from: Option<u64>, to: u64) -> OffsetUpdate {
    OffsetUpdate { subscription: subscription.into(), partition: own(), from, to, numbers: Vec::new() }
}

/// A row of the aggregate.
pub fn parcel(table: TableId, key: &str, id: u64, old_version: u64) -> RowWrite {
    let data = Some(format!(r#"{{"owner":"{key} {old_version}"}}"#).into_bytes());
    let (key, index) = (key.to_owned(), vec![IndexValue::from(key)]);
    RowWrite { table, key, id: Some(id), old_version, version: old_version + 1, schema: 1, data, index }
}

/// A commit of one parcel, whose row had this version before: 0 where there was none.
pub fn change(table: TableId, key: &str, id: u64, old_version: u64) -> Commit {
    Commit { rows: vec![parcel(table, key, id, old_version)], ..Commit::default() }
}

/// An event in the log, a second for each position.
pub fn record(seq: u64, event_type: &str, key: &str) -> Record {
    Record {
        seq,
        id: format!("event-{seq}"),
        source: "depot".into(),
        event_type: event_type.into(),
        version: 1,
        key: key.into(),
        time_ms: i64::try_from(seq).unwrap_or_default() * 1000,
        data: format!(r#"{{"eventType":"{event_type}","owner":"somebody"}}"#).into_bytes(),
        cause: Cause { request: format!("request of {key}"), ..Cause::default() },
    }
}

/// A timer.
pub fn timer(table: TableId, key: &str, name: &str, due_ms: i64) -> TimerRow {
    let command = format!(r#"{{"Take":"{due_ms}"}}"#).into_bytes();
    let version = u16::try_from(due_ms.rem_euclid(7)).unwrap_or_default() + 1;
    TimerRow { table, key: key.into(), name: name.into(), due_ms, version, command, cause: Cause::default() }
}

/// An effect that is not withdrawn.
pub fn effect(number: u64, table: TableId, key: &str) -> EffectRow {
    EffectRow {
        number,
        id: format!("{key}-1-{number}"),
        table,
        key: key.into(),
        port: "bell".into(),
        lane: number.is_multiple_of(2).then(|| "slow".to_owned()),
        version: u16::try_from(number % 5).unwrap_or_default() + 1,
        payload: b"{\"Call\":{}}".to_vec(),
        cause: Cause { actor: "somebody".into(), ..Cause::default() },
        withdrawn: false,
    }
}

/// A parked event, parked at the second of its position.
pub fn parked(subscription: &str, key: &str, place: u64) -> ParkedRow {
    ParkedRow {
        subscription: subscription.into(),
        key: key.into(),
        partition: 0,
        position: place,
        attempts: 1,
        next_try_ms: 5000,
        dead: false,
        cause: "it does not answer".into(),
        since_ms: i64::try_from(place).unwrap_or_default() * 1000,
        work: ParkedWork::Event(record(place, "Taken", key)),
    }
}
