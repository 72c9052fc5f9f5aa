//! The outcome of an effect: a command to the aggregate that asked for it.

use kernel::context::Opaque;
use kernel::event::CodecError;
use kernel::{DelayedReply, Outcome};
use ports::model::RowKind;
use ports::{EffectRow, RowRef, TimerRow, TimerWrite};

use super::unit_of_work::{UnitOfWork, encode_command};
use crate::batch::Step;
use crate::effects::EndedEffect;
use crate::error::Interrupt;
use crate::guard::guarded;

/// The row that an answer certainly needs.
pub fn row_of(ended: &EndedEffect) -> RowRef {
    RowRef { table: ended.row.table, key: ended.row.key.clone() }
}

/// Tells the aggregate how its effect ended, and sets timers for what follows by itself.
pub fn handle(unit: &mut UnitOfWork<'_>, ended: &EndedEffect) -> Result<(), Interrupt> {
    let row = &ended.row;
    unit.batch.effects_done.push(row.number);
    tell(unit, row, ended.outcome.clone())?;
    for (place, reply) in ended.later.iter().enumerate() {
        tell_later(unit, row, reply, place)?;
    }
    Ok(())
}

fn tell(unit: &mut UnitOfWork<'_>, row: &EffectRow, outcome: Outcome<Vec<u8>>) -> Result<(), Interrupt> {
    let Some(command) = command_for(unit, row, outcome) else { return Ok(()) };
    let step = Step { table: row.table, key: &row.key, give_id: None, command: &command, cause: &row.cause };
    if let Err(undecided) = unit.decide(&step)? {
        tracing::warn!(effect = row.id, ?undecided, "the aggregate does not take the answer of its effect");
    }
    Ok(())
}

fn tell_later(unit: &mut UnitOfWork<'_>, row: &EffectRow, reply: &DelayedReply<Vec<u8>>, place: usize) -> Result<(), Interrupt> {
    let outcome = Outcome::Reply(reply.reply.clone());
    if reply.after.is_zero() {
        return tell(unit, row, outcome);
    }
    let Some(command) = command_for(unit, row, outcome) else { return Ok(()) };
    let after_ms = i64::try_from(reply.after.as_millis()).unwrap_or(i64::MAX);
    let table = unit.model().table_of(row.table);
    let version = table.command_version();
    if let Ok(command) = encode_command(table, &command) {
        unit.batch.timers.push(TimerWrite::Set(TimerRow {
            table: row.table,
            key: row.key.clone(),
            name: format!("far/{}/{place}", row.number),
            due_ms: unit.now_ms().saturating_add(after_ms),
            version,
            command,
            cause: row.cause.clone(),
        }));
    }
    Ok(())
}

fn command_for(unit: &UnitOfWork<'_>, row: &EffectRow, outcome: Outcome<Vec<u8>>) -> Option<Opaque> {
    let RowKind::Aggregate(def) = &unit.model().table_of(row.table).rows else { return None };
    let answered = guarded(def.of.name(), || def.of.answered(row.version, &row.payload, outcome)).map_err(CodecError).flatten();
    answered.unwrap_or_else(|error| {
        tracing::error!(effect = row.id, %error, "an answer cannot be read");
        None
    })
}
