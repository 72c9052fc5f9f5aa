//! The outcome of an effect: a command to the aggregate that asked for it.

use defects::{Defect, has};
use kernel::context::Opaque;
use kernel::erased::DecisionError;
use kernel::event::CodecError;
use kernel::{DelayedReply, Outcome};
use ports::model::RowKind;
use ports::{EffectRow, ParkedAnswer, ParkedWork, RowRef, TimerRow, TimerWrite};

use super::parking::{self, Failed, Filing};
use super::unit_of_work::{UnitOfWork, encode_command};
use crate::batch::Step;
use crate::effects::EndedEffect;
use crate::error::Interrupt;
use crate::guard::guarded;
use crate::ids::Queue;
use crate::items::ParkedAttempt;
use crate::subscriptions::Subscriptions;

/// The row that an answer certainly needs.
pub fn row_of(ended: &EndedEffect) -> RowRef {
    RowRef { table: ended.row.table, key: ended.row.key.clone() }
}

/// Tells the aggregate how its effect ended and sets timers for what follows by itself, or parks the answer. Either way the
/// effect has ended.
pub fn handle(
    unit: &mut UnitOfWork<'_>,
    subscriptions: &Subscriptions,
    ended: &EndedEffect,
    parked: Option<ParkedAttempt>,
) -> Result<(), Interrupt> {
    end(unit, ended, parked);
    let table = unit.model().table_of(ended.row.table);
    let (key, work) = (filing_key(table.name, &ended.row), || parked_work(&table.sql_name, ended));
    let filing = Filing { queue: Queue::Answers(table.service), key: &key, position: ended.row.number, parked };
    parking::attempt(unit, subscriptions, &filing, work, |unit| match tell_all(unit, ended) {
        Err(Failed::Transient(_)) if has(Defect::FailedAnswerDropped) => Ok(()),
        told => told,
    })
}

/// Parks an answer whose consequences the store rejects.
pub fn quarantine(
    unit: &mut UnitOfWork<'_>,
    subscriptions: &Subscriptions,
    ended: &EndedEffect,
    parked: Option<ParkedAttempt>,
    cause: String,
) {
    end(unit, ended, parked);
    let table = unit.model().table_of(ended.row.table);
    let key = filing_key(table.name, &ended.row);
    let filing = Filing { queue: Queue::Answers(table.service), key: &key, position: ended.row.number, parked };
    parking::park(unit, subscriptions, &filing, parked_work(&table.sql_name, ended), (cause, true));
}

/// The effect has ended: it is taken off the list, or was when its answer was parked.
fn end(unit: &mut UnitOfWork<'_>, ended: &EndedEffect, parked: Option<ParkedAttempt>) {
    if parked.is_none() {
        unit.batch.effects_done.push(ended.row.number);
    }
}

fn filing_key(aggregate: &str, row: &EffectRow) -> String {
    format!("{aggregate}/{}", row.key)
}

fn parked_work(table: &str, ended: &EndedEffect) -> ParkedWork {
    let EffectRow { key, number, id, port, version, payload, cause, .. } = ended.row.clone();
    let after_ms = |reply: &DelayedReply<_>| u64::try_from(reply.after.as_millis()).unwrap_or(u64::MAX);
    let later = ended.later.iter().map(|reply| (after_ms(reply), reply.reply.clone())).collect();
    let (table, outcome) = (table.to_owned(), ended.outcome.clone());
    ParkedWork::Answer(ParkedAnswer { table, key, number, id, port, version, payload, outcome, later, cause })
}

fn tell_all(unit: &mut UnitOfWork<'_>, ended: &EndedEffect) -> Result<(), Failed> {
    tell(unit, &ended.row, ended.outcome.clone())?;
    for (index, reply) in ended.later.iter().enumerate() {
        tell_later(unit, &ended.row, reply, index)?;
    }
    Ok(())
}

fn tell(unit: &mut UnitOfWork<'_>, row: &EffectRow, outcome: Outcome<Vec<u8>>) -> Result<(), Failed> {
    let Some(command) = command_for(unit, row, outcome)? else { return Ok(()) };
    let step = Step { table: row.table, key: &row.key, give_id: None, command: &command, cause: &row.cause };
    match unit.decide(&step)? {
        Ok(_) => Ok(()),
        Err(DecisionError::Rejected(rejected)) => {
            tracing::warn!(effect = row.id, code = %rejected.code, "the aggregate rejects the answer of its effect");
            Ok(())
        }
        Err(DecisionError::Fault(fault)) => Err(Failed::Transient(fault)),
    }
}

fn tell_later(unit: &mut UnitOfWork<'_>, row: &EffectRow, reply: &DelayedReply<Vec<u8>>, index: usize) -> Result<(), Failed> {
    let outcome = Outcome::Reply(reply.reply.clone());
    if reply.after.is_zero() {
        return tell(unit, row, outcome);
    }
    let Some(command) = command_for(unit, row, outcome)? else { return Ok(()) };
    let after_ms = i64::try_from(reply.after.as_millis()).unwrap_or(i64::MAX);
    let table = unit.model().table_of(row.table);
    let command = encode_command(table, &command).map_err(|error| Failed::Permanent(format!("{error:?}")))?;
    unit.batch.timers.push(TimerWrite::Set(TimerRow {
        table: row.table,
        key: row.key.clone(),
        name: format!("reply/{}/{index}", row.number),
        due_ms: unit.now_ms().saturating_add(after_ms),
        version: table.command_version(),
        command,
        cause: row.cause.clone(),
    }));
    Ok(())
}

fn command_for(unit: &UnitOfWork<'_>, row: &EffectRow, outcome: Outcome<Vec<u8>>) -> Result<Option<Opaque>, Failed> {
    let RowKind::Aggregate(def) = &unit.model().table_of(row.table).rows else { return Ok(None) };
    match guarded(def.of.name(), || def.of.answered(row.version, &row.payload, outcome)) {
        Ok(Ok(command)) => Ok(command),
        Ok(Err(CodecError(error))) => Err(Failed::Permanent(format!("an answer cannot be read: {error}"))),
        Err(panicked) => Err(Failed::Transient(panicked)),
    }
}
