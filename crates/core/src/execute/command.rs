//! A command from outside: its idempotency key, its preconditions, the decision, and the answer.

use kernel::erased::DecisionError;
use ports::{AnswerRow, RowRef};

use super::unit_of_work::{Applied, UnitOfWork};
use crate::batch::{HeldFor, Reply, Step};
use crate::error::Interrupt;
use crate::request::{CommandError, CommandOutcome, CommandRequest, Idempotency, QueuedCommand, Typed};
use crate::rows::{Slot, state_json};
use crate::waiters::Waiters;
use defects::{Defect, has};

/// The row that a command certainly needs.
pub fn row_of(command: &QueuedCommand) -> RowRef {
    RowRef { table: command.request.table, key: command.request.key.clone() }
}

/// Handles a command; its answer is given after the commit.
pub fn handle(unit: &mut UnitOfWork<'_>, waiters: &Waiters, command: &QueuedCommand) -> Result<(), Interrupt> {
    let QueuedCommand { ticket, request } = command;
    let slot = unit.slot(request.table, &request.key)?;
    let held_for = request.wait.clone().map(|wait| HeldFor {
        table: request.table,
        key: request.key.clone(),
        wait,
        idempotency: request.idempotency.as_ref().map(|key| (key.scope.clone(), key.key.clone())),
    });
    if let Some(result) = request.idempotency.as_ref().and_then(|key| remembered(unit, waiters, key)) {
        // A client that waits is told how it ended, the second time too.
        unit.batch.replies.push(Reply { ticket: *ticket, result, held_for });
        return Ok(());
    }
    let result = match precondition(request, &slot) {
        Err(error) => Err(error),
        Ok(()) => decide(unit, request)?,
    };
    remember(unit, request, &result);
    unit.batch.replies.push(Reply { ticket: *ticket, result, held_for });
    Ok(())
}

fn precondition(request: &CommandRequest, slot: &Slot) -> Result<(), CommandError> {
    if request.must_exist && slot.state.is_none() {
        return Err(CommandError::Absent);
    }
    match request.expected_version {
        Some(expected) if expected != slot.version => Err(CommandError::Stale),
        _ => Ok(()),
    }
}

fn decide(unit: &mut UnitOfWork<'_>, request: &CommandRequest) -> Result<Result<CommandOutcome, CommandError>, Interrupt> {
    let step = Step {
        table: request.table,
        key: &request.key,
        give_id: request.give_id,
        command: &request.command,
        cause: &request.cause,
    };
    Ok(match unit.decide(&step)? {
        Ok(applied) => outcome(unit, &step, &applied),
        Err(DecisionError::Rejected(rejected)) => {
            if has(Defect::RefusedWrites) {
                let slot = unit.rows.get(step.table, step.key).cloned().unwrap_or_default();
                let written = Slot { listed: None, id: None, version: slot.version + 1, ..slot };
                unit.rows.write(step.table, step.key, written);
            }
            Err(CommandError::Rejected(rejected))
        }
        Err(DecisionError::Fault(fault)) => Err(CommandError::Fault(fault)),
    })
}

fn outcome(unit: &mut UnitOfWork<'_>, step: &Step<'_>, applied: &Applied) -> Result<CommandOutcome, CommandError> {
    let table = unit.model().table_of(step.table);
    let slot = unit.rows.get(step.table, step.key).cloned().unwrap_or_default();
    let state = slot.state.as_ref().map(|state| state_json(table, state)).transpose();
    let state = state.map_err(|error| CommandError::Fault(error.0))?;
    if let Some(json) = &state {
        unit.rows.written(step.table, step.key, json.clone());
    }
    Ok(CommandOutcome {
        created: applied.created,
        changed: applied.changed,
        replayed: false,
        id: applied.id,
        version: slot.version,
        schema: table.version(),
        state,
        typed: Typed(slot.state),
    })
}

/// The answer that an idempotency key already has, in this batch or in the store.
fn remembered(unit: &UnitOfWork<'_>, waiters: &Waiters, key: &Idempotency) -> Option<Result<CommandOutcome, CommandError>> {
    let batch = &unit.batch;
    if waiters.holds(&key.scope, &key.key) || batch.will_hold(&key.scope, &key.key) {
        return Some(Err(CommandError::InFlight));
    }
    let in_batch = batch.answers.iter().rfind(|row| row.scope == key.scope && row.key == key.key).cloned();
    let row = in_batch.or_else(|| batch.known.get(&(key.scope.clone(), key.key.clone())).cloned().flatten());
    let row = row.filter(|row| row.expires_ms > unit.now_ms())?;
    if row.fingerprint != key.fingerprint {
        return Some(Err(CommandError::KeyReused));
    }
    Some(match serde_json::from_slice(&row.answer) {
        Ok(Ok(outcome)) => Ok(CommandOutcome { replayed: true, ..outcome }),
        Ok(Err(error)) => Err(error),
        Err(error) => Err(CommandError::Fault(format!("an answer cannot be read: {error}"))),
    })
}

/// What was done and what was rejected is remembered with the commit; what may succeed another time is not.
fn remember(unit: &mut UnitOfWork<'_>, request: &CommandRequest, result: &Result<CommandOutcome, CommandError>) {
    let Some(key) = &request.idempotency else { return };
    if !matches!(result, Ok(_) | Err(CommandError::Rejected(_))) {
        return;
    }
    if let Ok(answer) = serde_json::to_vec(result) {
        unit.batch.answers.push(AnswerRow {
            scope: key.scope.clone(),
            key: key.key.clone(),
            fingerprint: key.fingerprint.clone(),
            expires_ms: unit.now_ms().saturating_add(key.keep_ms),
            answer,
        });
    }
}
