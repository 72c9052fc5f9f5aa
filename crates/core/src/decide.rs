//! Deciding: one command, one aggregate, and what follows from it for the batch.

use kernel::Context;
use kernel::aggregate::TimerChange;
use kernel::context::{Missing, Opaque};
use kernel::erased::{DecisionError, Emitted, EmittedEffect, ErasedDecision};

use super::batch::{Batch, Step};
use super::rows::Slot;
use super::{Core, Stop, guarded};
use ports::model::{RowKind, Table, TableId};
use ports::{EffectRow, Record, RowRef, StoreError, TimerRow, TimerWrite};

/// What a decision came to.
pub struct Applied {
    /// The aggregate came to be.
    pub created: bool,
    /// It has changed.
    pub changed: bool,
    /// Its id.
    pub id: u64,
}

impl Core {
    /// Decides and applies to the batch. The outer error stops the item; the inner one is the aggregate's no.
    pub(super) fn decide(&mut self, batch: &mut Batch, step: &Step<'_>) -> Result<Result<Applied, DecisionError>, Stop> {
        let model = self.model.clone();
        let table = model.table_of(step.table);
        let RowKind::Aggregate(def) = &table.rows else {
            return Ok(Err(DecisionError::Fault(format!("{} takes no commands", table.name))));
        };
        let Some(slot) = self.rows.get(step.table, step.key).cloned() else {
            return Err(Stop::Missing(vec![RowRef { table: step.table, key: step.key.to_owned() }]));
        };
        let id = match slot.id.or(step.give_id) {
            Some(id) => id,
            None => self.next_id(step.table)?,
        };
        self.rows.look_for(table.service);
        let at = Context::new(self.now, &self.zone, id, step.key, &step.cause.actor, &self.rows);
        let decided = guarded(table.name, || def.of.decide(slot.state.as_ref(), step.command, &at));
        let missing = self.rows.take_missing();
        if !missing.is_empty() {
            return self.fetch(table, missing);
        }
        match decided {
            Ok(Ok(decision)) => Ok(self.apply(batch, step, table, &slot, id, decision)),
            Ok(Err(undecided)) => Ok(Err(undecided)),
            Err(panicked) => Ok(Err(DecisionError::Fault(panicked))),
        }
    }

    /// The id that the next new aggregate gets.
    fn next_id(&self, table: TableId) -> Result<u64, Stop> {
        match self.last_ids[table.0] {
            u64::MAX => Err(Stop::Store(StoreError::Corrupt("a table has no ids left".into()))),
            last if last < self.ids_until[table.0] => Ok(last + 1),
            _ => Err(Stop::Ids(table)),
        }
    }

    /// Questions are answered at once, rows are left to the caller to load; either way the item is decided again.
    fn fetch(&mut self, table: &Table, missing: Vec<Missing>) -> Result<Result<Applied, DecisionError>, Stop> {
        let mut wanted = Vec::new();
        for item in missing {
            match item {
                Missing::Row(aggregate, key) => match self.model.by_type(aggregate) {
                    Some(other) if self.model.table_of(other).service == table.service => {
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
        Err(Stop::Missing(wanted))
    }

    /// What can go wrong comes first: a decision is applied wholly or not at all.
    fn apply(
        &mut self,
        batch: &mut Batch,
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
        let most = self.limits.event_bytes;
        if let Some(Emitted { event_type, data, .. }) = decision.events.iter().find(|event| event.data.len() > most) {
            let cause = format!("{}: a {event_type} of {} bytes; an event may have {most}", table.name, data.len());
            return Err(DecisionError::Fault(cause));
        }
        let changed = decision.changed;
        let created = before.state.is_none() && decision.state.is_some();
        let version = before.version + u64::from(changed);
        if changed {
            self.last_ids[step.table.0] = self.last_ids[step.table.0].max(id);
            let after = match decision.state {
                Some(state) => Slot { id: Some(id), version, state: Some(state), listed, json: None },
                None => Slot::default(),
            };
            self.rows.write(step.table, step.key, after);
        }
        self.publish(batch, step, table, (id, version), decision.events);
        if decision.withdraw {
            let target = RowRef { table: step.table, key: step.key.to_owned() };
            batch.withdrawn.push((target, batch.effects.len()));
        }
        self.order_effects(batch, step, table, decision.effects);
        batch.timers.extend(timers);
        Ok(Applied { created, changed, id })
    }

    fn publish(&mut self, batch: &mut Batch, step: &Step<'_>, table: &Table, (id, version): (u64, u64), events: Vec<Emitted>) {
        for (place, event) in events.into_iter().enumerate() {
            let seq = self.last_seq + batch.log.len() as u64 + 1;
            batch.publish(Record {
                seq,
                id: format!("{}-{id}-{version}-{place}", table.name),
                source: self.model.service_name(table).to_owned(),
                event_type: event.event_type,
                version: event.version,
                key: event.correlation.unwrap_or_else(|| step.key.to_owned()),
                time_ms: self.now.as_millisecond(),
                data: event.data,
                cause: step.cause.clone(),
            });
        }
    }

    fn order_effects(&mut self, batch: &mut Batch, step: &Step<'_>, table: &Table, effects: Vec<EmittedEffect>) {
        for effect in effects {
            let number = self.last_effect + batch.effects.len() as u64 + 1;
            batch.effects.push(EffectRow {
                number,
                id: format!("{}/{}/{number}", table.name, step.key),
                table: step.table,
                key: step.key.to_owned(),
                port: effect.port.to_owned(),
                lane: effect.lane,
                version: 1,
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
            version: 1,
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
