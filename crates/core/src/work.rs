//! Items of a batch: a command from outside, the end of an effect, a due timer, an event for a follower.

use std::sync::Arc;

use kernel::context::Opaque;
use kernel::erased::DecisionError;
use kernel::event::{Cause, CodecError};
use kernel::{DelayedReply, Outcome};

use super::batch::{Batch, HeldFor, Reply, Step};
use super::decide::{Applied, encode_command};
use super::effects::Ended;
use super::request::{CommandError, CommandOutcome, Idempotency, QueuedCommand, Typed};
use super::{Core, Stop, guarded};
use defects::{Defect, has};
use ports::model::{RowKind, Table};
use ports::{AnswerRow, Record, RowRef, TimerRow, TimerWrite};

/// One item.
pub enum Work {
    /// A command from outside.
    Command(Box<QueuedCommand>),
    /// An effect has ended.
    Ended(Ended),
    /// A timer is due.
    Timer(TimerRow),
    /// An event for a follower.
    Event {
        /// The number of the place that it is handled at.
        place: usize,
        /// The event.
        record: Arc<Record>,
        /// Its place and attempts, where it comes from the parked ones.
        parked: Option<(u64, u32)>,
    },
    /// Events for a view that is built anew.
    Rebuild(Vec<Record>),
}

/// A state as answers carry it.
pub fn written(table: &Table, state: &Opaque) -> Result<Arc<str>, CodecError> {
    String::from_utf8(table.encode(state)?).map(Into::into).map_err(|error| CodecError(error.to_string()))
}

impl Core {
    /// Does one item; nothing of it remains in the batch unless it is done wholly.
    pub(super) fn attempt(&mut self, batch: &mut Batch, item: &Work) -> Result<(), Stop> {
        match item {
            Work::Command(request) => self.command(batch, request),
            Work::Ended(ended) => self.ended(batch, ended),
            Work::Timer(timer) => self.timer(batch, timer),
            Work::Event { place, record, parked } => self.event(batch, *place, record, *parked),
            Work::Rebuild(records) => self.rebuild_page(records),
        }
    }

    /// The rows that an item will certainly need: loaded for all items of a batch at once.
    pub(super) fn foresee(&self, item: &Work) -> Vec<RowRef> {
        match item {
            Work::Command(request) => vec![RowRef { table: request.order.table, key: request.order.key.clone() }],
            Work::Ended(ended) => vec![RowRef { table: ended.row.table, key: ended.row.key.clone() }],
            Work::Timer(timer) => vec![RowRef { table: timer.table, key: timer.key.clone() }],
            Work::Event { place, record, .. } => self.foresee_event(*place, record),
            Work::Rebuild(records) => self.foresee_rebuild(records),
        }
    }

    fn command(&mut self, batch: &mut Batch, request: &QueuedCommand) -> Result<(), Stop> {
        let Some(slot) = self.rows.get(request.order.table, &request.order.key).cloned() else {
            return Err(Stop::Missing(vec![RowRef { table: request.order.table, key: request.order.key.clone() }]));
        };
        let idempotency = request.order.idempotency.as_ref().map(|key| (key.scope.clone(), key.key.clone()));
        let held_for = request.order.wait.clone();
        let held_for =
            held_for.map(|wait| HeldFor { table: request.order.table, key: request.order.key.clone(), wait, idempotency });
        if let Some(result) = request.order.idempotency.as_ref().and_then(|key| self.remembered(batch, key)) {
            // Who waits is told how it ended, the second time too.
            batch.replies.push(Reply { ticket: request.ticket, result, held_for });
            return Ok(());
        }
        let fails = if request.order.must_exist && slot.state.is_none() {
            Some(CommandError::Absent)
        } else if request.order.expected_version.is_some_and(|expected| expected != slot.version) {
            Some(CommandError::Stale)
        } else {
            None
        };
        let step = Step {
            table: request.order.table,
            key: &request.order.key,
            give_id: request.order.give_id,
            command: &request.order.command,
            cause: &request.order.cause,
        };
        let result = match fails {
            Some(failure) => Err(failure),
            None => match self.decide(batch, &step)? {
                Ok(applied) => self.done(&step, &applied),
                Err(DecisionError::Rejected(rejected)) => {
                    if has(Defect::RefusedWrites) {
                        let slot = self.rows.get(step.table, step.key).cloned().unwrap_or_default();
                        self.rows.write(
                            step.table,
                            step.key,
                            super::rows::Slot { listed: None, id: None, version: slot.version + 1, ..slot },
                        );
                    }
                    Err(CommandError::Rejected(rejected))
                }
                Err(DecisionError::Fault(fault)) => Err(CommandError::Fault(fault)),
            },
        };
        self.remember(batch, request, &result);
        batch.replies.push(Reply { ticket: request.ticket, result, held_for });
        Ok(())
    }

    fn done(&mut self, step: &Step<'_>, applied: &Applied) -> Result<CommandOutcome, CommandError> {
        let table = self.model.table_of(step.table);
        let slot = self.rows.get(step.table, step.key).cloned().unwrap_or_default();
        let state = slot.state.as_ref().map(|state| written(table, state)).transpose();
        let state = state.map_err(|error| CommandError::Fault(error.0))?;
        if let Some(json) = &state {
            self.rows.written(step.table, step.key, json.clone());
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

    /// Reads what the store remembers of the requests among these items, all at once.
    pub(super) fn recall(&mut self, batch: &mut Batch, items: &[Work]) -> Result<(), Stop> {
        let key = |item: &Work| match item {
            Work::Command(request) => request.order.idempotency.as_ref().map(|key| (key.scope.clone(), key.key.clone())),
            _ => None,
        };
        let keys: Vec<(String, String)> = items.iter().filter_map(key).collect();
        if !keys.is_empty() {
            let answers = self.store.answers(&keys).map_err(Stop::Store)?;
            batch.known = keys.into_iter().zip(answers).collect();
        }
        Ok(())
    }

    /// The answer that an idempotency key already has, in this batch or in the store.
    fn remembered(&self, batch: &Batch, key: &Idempotency) -> Option<Result<CommandOutcome, CommandError>> {
        if self.waiters.holds(&key.scope, &key.key) || batch.will_hold(&key.scope, &key.key) {
            return Some(Err(CommandError::InFlight));
        }
        let in_batch = batch.answers.iter().rfind(|row| row.scope == key.scope && row.key == key.key).cloned();
        let row = match in_batch {
            Some(row) => Some(row),
            None => batch.known.get(&(key.scope.clone(), key.key.clone())).cloned().flatten(),
        };
        let row = row.filter(|row| row.expires_ms > self.now.as_millisecond())?;
        if row.fingerprint != key.fingerprint {
            return Some(Err(CommandError::KeyReused));
        }
        Some(match serde_json::from_slice(&row.answer) {
            Ok(Ok(done)) => Ok(CommandOutcome { replayed: true, ..done }),
            Ok(Err(failure)) => Err(failure),
            Err(error) => Err(CommandError::Fault(format!("an answer cannot be read: {error}"))),
        })
    }

    /// What was done and what was refused is remembered with the commit; what may succeed another time is not.
    fn remember(&self, batch: &mut Batch, request: &QueuedCommand, result: &Result<CommandOutcome, CommandError>) {
        let Some(key) = &request.order.idempotency else { return };
        if !matches!(result, Ok(_) | Err(CommandError::Rejected(_))) {
            return;
        }
        if let Ok(answer) = serde_json::to_vec(result) {
            batch.answers.push(AnswerRow {
                scope: key.scope.clone(),
                key: key.key.clone(),
                fingerprint: key.fingerprint.clone(),
                expires_ms: self.now.as_millisecond().saturating_add(key.keep_ms),
                answer,
            });
        }
    }

    fn ended(&mut self, batch: &mut Batch, ended: &Ended) -> Result<(), Stop> {
        let row = &ended.row;
        batch.effects_done.push(row.number);
        self.tell(batch, row, ended.outcome.clone())?;
        for (place, word) in ended.later.iter().enumerate() {
            self.tell_later(batch, row, word, place)?;
        }
        Ok(())
    }

    fn tell(&mut self, batch: &mut Batch, row: &ports::EffectRow, outcome: Outcome<Vec<u8>>) -> Result<(), Stop> {
        let Some(command) = self.answer_of(row, outcome) else { return Ok(()) };
        let step = Step { table: row.table, key: &row.key, give_id: None, command: &command, cause: &row.cause };
        if let Err(undecided) = self.decide(batch, &step)? {
            tracing::warn!(effect = row.id, ?undecided, "the aggregate does not take the answer of its effect");
        }
        Ok(())
    }

    fn tell_later(
        &mut self,
        batch: &mut Batch,
        row: &ports::EffectRow,
        word: &DelayedReply<Vec<u8>>,
        place: usize,
    ) -> Result<(), Stop> {
        let outcome = Outcome::Reply(word.reply.clone());
        if word.after.is_zero() {
            return self.tell(batch, row, outcome);
        }
        let Some(command) = self.answer_of(row, outcome) else { return Ok(()) };
        let after_ms = i64::try_from(word.after.as_millis()).unwrap_or(i64::MAX);
        let table = self.model.table_of(row.table);
        if let Ok(command) = encode_command(table, &command) {
            batch.timers.push(TimerWrite::Set(TimerRow {
                table: row.table,
                key: row.key.clone(),
                name: format!("far/{}/{place}", row.number),
                due_ms: self.now.as_millisecond().saturating_add(after_ms),
                version: 1,
                command,
                cause: row.cause.clone(),
            }));
        }
        Ok(())
    }

    fn answer_of(&self, row: &ports::EffectRow, outcome: Outcome<Vec<u8>>) -> Option<Opaque> {
        let RowKind::Aggregate(def) = &self.model.table_of(row.table).rows else { return None };
        let answered = guarded(def.of.name(), || def.of.answered(&row.payload, outcome)).map_err(CodecError).flatten();
        answered.unwrap_or_else(|error| {
            tracing::error!(effect = row.id, %error, "an answer cannot be read");
            None
        })
    }

    fn timer(&mut self, batch: &mut Batch, timer: &TimerRow) -> Result<(), Stop> {
        if batch.has_touched_timer(timer.table, &timer.key, &timer.name) {
            return Ok(()); // an earlier item of this batch moved or cleared it: it is no longer due
        }
        let (key, name) = (timer.key.clone(), timer.name.clone());
        let clear = TimerWrite::Clear { table: timer.table, key, name, fires_ms: Some(timer.due_ms) };
        batch.timers.push(clear);
        let model = self.model.clone();
        let RowKind::Aggregate(def) = &model.table_of(timer.table).rows else { return Ok(()) };
        match def.of.decode_command(&timer.command) {
            Ok(command) => {
                let step = Step { table: timer.table, key: &timer.key, give_id: None, command: &command, cause: &timer.cause };
                if let Err(undecided) = self.decide(batch, &step)? {
                    tracing::warn!(timer = timer.name, ?undecided, "the aggregate does not take its timer");
                }
            }
            Err(error) => tracing::error!(timer = timer.name, %error, "a timer's command cannot be read"),
        }
        Ok(())
    }

    /// The cause of what follows from an event.
    pub(super) fn follows_from(record: &Record) -> Cause {
        Cause { causation: record.id.clone(), ..record.cause.clone() }
    }
}
