//! The unit of work: the rows, numbers and gathered changes of one batch, and how a command changes them.

use jiff::Timestamp;
use kernel::Context;
use kernel::aggregate::TimerChange;
use kernel::context::{Missing, Opaque};
use kernel::erased::{DecisionError, Emitted, EmittedEffect, ErasedDecision};
use ports::model::RowKind;
use ports::{EffectRow, Model, Record, RowRef, Table, TimerRow, TimerWrite};

use crate::batch::{Batch, Savepoint, Step};
use crate::error::Interrupt;
use crate::guard::guarded;
use crate::numbering::Numbering;
use crate::rows::{RowCache, Slot};
use crate::setup::Setup;

/// What the handlers of items work with.
pub struct UnitOfWork<'a> {
    /// The declarations and bounds.
    pub setup: &'a Setup,
    /// The instant of the batch.
    pub now: Timestamp,
    /// Cached rows, with the changes of this batch.
    pub rows: &'a mut RowCache,
    /// The numbers that are given.
    pub numbering: &'a mut Numbering,
    /// What is gathered for the commit.
    pub batch: Batch,
}

/// What a decision came to.
pub struct Applied {
    /// The aggregate came to be.
    pub created: bool,
    /// It has changed.
    pub changed: bool,
    /// Its id.
    pub id: u64,
}

impl<'a> UnitOfWork<'a> {
    /// The declarations.
    pub fn model(&self) -> &'a Model {
        &self.setup.model
    }

    /// The instant of the batch, milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.now.as_millisecond()
    }

    /// A point to roll back to.
    pub fn savepoint(&self) -> Savepoint {
        self.batch.savepoint(self.rows.savepoint())
    }

    /// Forgets everything since a savepoint.
    pub fn rollback(&mut self, savepoint: &Savepoint) {
        let rows = self.batch.rollback(savepoint);
        self.rows.rollback(rows);
    }

    /// A cached row, or what must be loaded first.
    pub fn slot(&self, table: ports::TableId, key: &str) -> Result<Slot, Interrupt> {
        let missing = || Interrupt::MissingRows(vec![RowRef { table, key: key.to_owned() }]);
        self.rows.get(table, key).cloned().ok_or_else(missing)
    }

    /// Decides, and applies the decision to the batch. The outer error interrupts the item; the inner one is the aggregate's
    /// rejection.
    pub fn decide(&mut self, step: &Step<'_>) -> Result<Result<Applied, DecisionError>, Interrupt> {
        let table = self.model().table_of(step.table);
        let RowKind::Aggregate(def) = &table.rows else {
            return Ok(Err(DecisionError::Fault(format!("{} takes no commands", table.name))));
        };
        let slot = self.slot(step.table, step.key)?;
        let id = match slot.id.or(step.give_id) {
            Some(id) => id,
            None => self.numbering.next_id(step.table)?,
        };
        self.rows.decide_for(table.service);
        let context = Context::new(self.now, &self.setup.zone, id, step.key, &step.cause.actor, &*self.rows);
        let decided = guarded(table.name, || def.of.decide(slot.state.as_ref(), step.command, &context));
        let missing = self.rows.take_missing();
        if !missing.is_empty() {
            return self.fetch(table, missing);
        }
        match decided {
            Ok(Ok(decision)) => Ok(self.apply(step, table, &slot, id, decision)),
            Ok(Err(undecided)) => Ok(Err(undecided)),
            Err(panicked) => Ok(Err(DecisionError::Fault(panicked))),
        }
    }

    /// Directories are asked at once, rows are left to be loaded; either way the item is decided again.
    fn fetch(&mut self, table: &Table, missing: Vec<Missing>) -> Result<Result<Applied, DecisionError>, Interrupt> {
        let mut wanted = Vec::new();
        for item in missing {
            match item {
                Missing::Row(aggregate, key) => match self.model().by_type(aggregate) {
                    Some(other) if self.model().table_of(other).service == table.service => {
                        wanted.push(RowRef { table: other, key });
                    }
                    _ => return Ok(Err(DecisionError::Fault(format!("{} asks for rows of another service", table.name)))),
                },
                Missing::Answer(port, question) => {
                    if let Err(error) = self.rows.answers.ask(port, question) {
                        return Ok(Err(DecisionError::Fault(format!("{port}: {error}"))));
                    }
                }
            }
        }
        Err(Interrupt::MissingRows(wanted))
    }

    /// What can go wrong comes first: a decision is applied wholly or not at all.
    fn apply(
        &mut self,
        step: &Step<'_>,
        table: &Table,
        before: &Slot,
        id: u64,
        mut decision: ErasedDecision,
    ) -> Result<Applied, DecisionError> {
        let timers = std::mem::take(&mut decision.timers);
        let timers = timers.into_iter().map(|change| timer_write(step, table, change)).collect::<Result<Vec<_>, _>>()?;
        let listed = decision.state.as_ref().map(|state| guarded(table.name, || table.index_of(step.key, state)));
        let listed = listed.transpose().map_err(DecisionError::Fault)?;
        let listed = listed.transpose().map_err(|error| DecisionError::Fault(error.0))?;
        self.check_size(table, &decision.events)?;
        let changed = decision.changed;
        let created = before.state.is_none() && decision.state.is_some();
        let version = before.version + u64::from(changed);
        if changed {
            self.numbering.assign(step.table, id);
            let after = match decision.state {
                Some(state) => Slot { id: Some(id), version, state: Some(state), listed, json: None },
                None => Slot::default(),
            };
            self.rows.write(step.table, step.key, after);
        }
        self.publish(step, table, (id, version), decision.events);
        if decision.withdraw {
            let target = RowRef { table: step.table, key: step.key.to_owned() };
            self.batch.withdrawn.push((target, self.batch.effects.len()));
        }
        self.add_effects(step, table, decision.effects);
        self.batch.timers.extend(timers);
        Ok(Applied { created, changed, id })
    }

    fn check_size(&self, table: &Table, events: &[Emitted]) -> Result<(), DecisionError> {
        let limit = self.setup.limits.event_bytes;
        match events.iter().find(|event| event.data.len() > limit) {
            None => Ok(()),
            Some(Emitted { event_type, data, .. }) => {
                let size = data.len();
                let cause = format!("{}: a {event_type} of {size} bytes; an event may have {limit}", table.name);
                Err(DecisionError::Fault(cause))
            }
        }
    }

    fn publish(&mut self, step: &Step<'_>, table: &Table, (id, version): (u64, u64), events: Vec<Emitted>) {
        for (place, event) in events.into_iter().enumerate() {
            self.batch.publish(Record {
                seq: self.numbering.seq_of(self.batch.log.len()),
                id: format!("{}-{id}-{version}-{place}", table.name),
                source: self.model().service_name(table).to_owned(),
                event_type: event.event_type,
                version: event.version,
                key: event.correlation.unwrap_or_else(|| step.key.to_owned()),
                time_ms: self.now_ms(),
                data: event.data,
                cause: step.cause.clone(),
            });
        }
    }

    fn add_effects(&mut self, step: &Step<'_>, table: &Table, effects: Vec<EmittedEffect>) {
        for effect in effects {
            let number = self.numbering.effect_of(self.batch.effects.len());
            self.batch.effects.push(EffectRow {
                number,
                id: format!("{}/{}/{number}", table.name, step.key),
                table: step.table,
                key: step.key.to_owned(),
                port: effect.port.to_owned(),
                lane: effect.lane,
                version: effect.version,
                payload: effect.payload,
                cause: step.cause.clone(),
                withdrawn: false,
            });
        }
    }
}

fn timer_write(step: &Step<'_>, table: &Table, change: TimerChange<Opaque>) -> Result<TimerWrite, DecisionError> {
    Ok(match change {
        TimerChange::Set { name, due, command } => TimerWrite::Set(TimerRow {
            table: step.table,
            key: step.key.to_owned(),
            name,
            due_ms: due.as_millisecond(),
            version: table.command_version(),
            command: encode_command(table, &command)?,
            cause: step.cause.clone(),
        }),
        TimerChange::Clear { name } => TimerWrite::Clear { table: step.table, key: step.key.to_owned(), name, fires_ms: None },
    })
}

/// A command as timers keep it.
pub fn encode_command(table: &Table, command: &Opaque) -> Result<Vec<u8>, DecisionError> {
    match &table.rows {
        RowKind::Aggregate(def) => def.of.encode_command(command).map_err(|error| DecisionError::Fault(error.0)),
        RowKind::View(_) | RowKind::EnrichmentCache => Err(DecisionError::Fault(format!("{} takes no commands", table.name))),
    }
}
