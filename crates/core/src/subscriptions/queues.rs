//! Queues of parked work by their names in the store, and parked work as items of a batch.

use std::sync::Arc;

use kernel::DelayedReply;
use ports::{EffectRow, Model, ParkedAnswer, ParkedRow, ParkedTimer, ParkedWork, TableId, TimerRow};

use crate::effects::EndedEffect;
use crate::ids::Queue;
use crate::items::{Item, ParkedAttempt};

/// The queues of every service: its timers, and the answers of its effects.
pub fn of_services(model: &Model) -> impl Iterator<Item = Queue> + use<> {
    model.services().flat_map(|service| [Queue::Timers(service), Queue::Answers(service)])
}

/// The name of a service's queue, where a subscription's stands for events: `<system>.<service>@timers` or `…@answers`.
pub fn name_of(model: &Model, queue: Queue) -> Option<String> {
    let (service, kind) = match queue {
        Queue::Timers(service) => (service, "timers"),
        Queue::Answers(service) => (service, "answers"),
        Queue::Cursor(_) => return None,
    };
    Some(format!("{}.{}@{kind}", model.system.name, model.service(service).name))
}

/// A parked row as an item; none, where its table is not declared any more.
pub fn item_of(model: &Model, queue: Queue, row: ParkedRow) -> Option<Item> {
    let parked = Some(ParkedAttempt { position: row.position, attempts: row.attempts });
    Some(match (row.work, queue) {
        (ParkedWork::Event(record), Queue::Cursor(cursor)) => Item::Event { cursor, record: Arc::new(record), parked },
        (ParkedWork::Timer(timer), _) => Item::Timer { timer: timer_of(model, timer)?, parked },
        (ParkedWork::Answer(answer), _) => Item::Answer { ended: ended_of(model, answer)?, parked },
        (ParkedWork::Event(_), _) => return None,
    })
}

fn table_named(model: &Model, name: &str) -> Option<TableId> {
    model.tables.iter().find(|table| table.sql_name == name).map(|table| table.id)
}

fn timer_of(model: &Model, parked: ParkedTimer) -> Option<TimerRow> {
    let ParkedTimer { table, key, name, due_ms, version, command, cause } = parked;
    Some(TimerRow { table: table_named(model, &table)?, key, name, due_ms, version, command, cause })
}

fn ended_of(model: &Model, parked: ParkedAnswer) -> Option<EndedEffect> {
    let ParkedAnswer { table, key, number, id, port, version, payload, outcome, later, cause } = parked;
    let table = table_named(model, &table)?;
    let row = EffectRow { number, id, table, key, port, lane: None, version, payload, cause, withdrawn: false };
    let delayed = |(after_ms, reply)| DelayedReply { after: std::time::Duration::from_millis(after_ms), reply };
    Some(EndedEffect { row, outcome, later: later.into_iter().map(delayed).collect() })
}
