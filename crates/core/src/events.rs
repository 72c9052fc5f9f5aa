//! Events reaching followers: policies react, views change, and what fails parks its own key.

use std::sync::Arc;

use kernel::erased::{DecisionError, ErasedCommand, OnRejection};
use kernel::event::{Cause, CodecError};

use super::batch::{Batch, Step};
use super::foreign::Read;
use super::parking::Parked;
use super::rows::Slot;
use super::{Core, Stop, guarded};
use defects::{Defect, has};
use ports::model::{Handling, RowKind, TableId};
use ports::{ParkedRow, ParkedWork, ParkedWrite, Record, RowRef};

/// Why an event could not be handled.
pub enum Failed {
    /// Trying again cannot help.
    ForGood(String),
    /// A fault; it is tried again a few times.
    Perhaps(String),
    /// Not the event's fault.
    Stop(Stop),
}

impl From<Stop> for Failed {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl Core {
    /// One event for one follower: handled, or put behind others of its key, or parked itself.
    pub(super) fn event(
        &mut self,
        batch: &mut Batch,
        place: usize,
        record: &Arc<Record>,
        parked: Option<(u64, u32)>,
    ) -> Result<(), Stop> {
        let model = self.model.clone();
        let subscription = self.places[place].subscription;
        let def = &model.subscriptions[subscription];
        let last_try = parked.is_some_and(|(_, attempts)| attempts as usize >= self.limits.event_retries_ms.len());
        let (ours, read) = match self.read(place, record, last_try)? {
            Read::Ours(ours) => (ours, Ok(())),
            Read::Nothing => {
                self.unpark(batch, place, &record.key, parked);
                return Ok(());
            }
            Read::TooEarly(record) => {
                let cause = "what it leaves out has not come yet".to_owned();
                (record, Err(Failed::Perhaps(cause)))
            }
            Read::Unreadable(record, cause) => (record, Err(Failed::ForGood(cause))),
        };
        // What is parked stays filed as it was.
        let filed = if parked.is_some() { record } else { &ours };
        let must_wait = parked.is_none() && self.is_parked(batch, place, &filed.key) && !has(Defect::ParkedOvertaken);
        if must_wait {
            let row = self.parked_row(place, filed);
            batch.parked.push(ParkedWrite::Put(row));
            return Ok(());
        }
        if parked.is_some() && batch.parking.iter().any(|(other, key, _)| *other == place && *key == filed.key) {
            return Ok(()); // the head of its key failed again in this very batch: it goes on waiting behind it
        }
        let mark = batch.mark(self.rows.mark());
        let handled = read.and_then(|()| {
            self.keep(place, &ours)?;
            match &def.does {
                Handling::Project(table, _) => self.project(*table, &ours),
                Handling::React(_) => self.react(batch, subscription, &ours),
            }
        });
        match handled {
            Ok(()) => self.unpark(batch, place, &filed.key, parked),
            Err(Failed::Stop(stop)) => return Err(stop),
            Err(Failed::ForGood(cause)) => self.park(batch, &mark, (place, filed, parked), cause, true),
            Err(Failed::Perhaps(cause)) => self.park(batch, &mark, (place, filed, parked), cause, false),
        }
        Ok(())
    }

    /// It is done with, and if it was parked it is not any more.
    fn unpark(&self, batch: &mut Batch, place: usize, key: &str, parked: Option<(u64, u32)>) {
        if let Some((at, _)) = parked {
            let (subscription, partition) = (self.follower_at(place).name.clone(), self.places[place].partition.number);
            batch.parked.push(ParkedWrite::Remove { subscription, key: key.to_owned(), partition, position: at });
        }
    }

    /// Parked before this batch, or earlier in it.
    fn is_parked(&self, batch: &Batch, place: usize, key: &str) -> bool {
        self.parking.holds(place, key) || batch.parking.iter().any(|(other, k, _)| *other == place && k == key)
    }

    fn react(&mut self, batch: &mut Batch, subscription: usize, record: &Record) -> Result<(), Failed> {
        let model = self.model.clone();
        let Handling::React(policies) = &model.subscriptions[subscription].does else { return Ok(()) };
        let seen = record.metadata();
        let cause = Self::follows_from(record);
        for (policy, table) in policies.get(&record.event_type).into_iter().flatten() {
            let reacted = guarded(policy.name, || policy.react(record.version, &record.data, &seen));
            let commands = match reacted {
                Ok(Ok(commands)) => commands,
                Ok(Err(error)) => return Err(Failed::ForGood(format!("{}: {error}", policy.name))),
                Err(panicked) => return Err(Failed::Perhaps(panicked)),
            };
            for to in commands {
                self.issue(batch, policy.name, *table, &to, &cause)?;
            }
        }
        Ok(())
    }

    fn issue(
        &mut self,
        batch: &mut Batch,
        policy: &str,
        table: TableId,
        to: &ErasedCommand,
        cause: &Cause,
    ) -> Result<(), Failed> {
        let step = Step { table, key: &to.key, give_id: None, command: &to.command, cause };
        let rejected = match self.decide(batch, &step)? {
            Ok(_) => return Ok(()),
            Err(DecisionError::Fault(fault)) => return Err(Failed::Perhaps(format!("{policy}: {fault}"))),
            Err(DecisionError::Rejected(rejected)) => rejected,
        };
        match &to.on_rejection {
            OnRejection::Nothing => Ok(()),
            OnRejection::DeadLetter => Err(Failed::ForGood(format!("{policy}: refused, {}: {}", rejected.code, rejected.detail))),
            OnRejection::Compensate(command) => match self.decide(batch, &Step { command, ..step })? {
                Ok(_) => Ok(()),
                Err(undecided) => Err(Failed::ForGood(format!("{policy}: the compensation failed: {undecided:?}"))),
            },
        }
    }

    /// One event for one row of a view.
    pub(super) fn project(&mut self, table: TableId, record: &Record) -> Result<(), Failed> {
        let model = self.model.clone();
        let def = model.table_of(table);
        let RowKind::View(view) = &def.rows else { return Ok(()) };
        if !view.events.contains(&record.event_type) {
            return Ok(());
        }
        let Some(slot) = self.rows.get(table, &record.key).cloned() else {
            return Err(Stop::Missing(vec![RowRef { table, key: record.key.clone() }]).into());
        };
        let seen = record.metadata();
        let applied = guarded(view.name, || {
            let mut state = view.row.apply(slot.state.as_ref(), record.version, &record.data, &seen)?;
            if has(Defect::EventTwice) {
                state = view.row.apply(Some(&state), record.version, &record.data, &seen)?;
            }
            let id = view.row.id(&state);
            let listed = id.map(|_| def.index_of(&record.key, &state)).transpose()?;
            Ok::<_, CodecError>((state, id, listed))
        });
        let (state, id, listed) = match applied {
            Ok(Ok(applied)) => applied,
            Ok(Err(error)) => return Err(Failed::ForGood(format!("{}: {error}", view.name))),
            Err(panicked) => return Err(Failed::Perhaps(panicked)),
        };
        self.rows.write(table, &record.key, Slot { id, version: slot.version + 1, state: Some(state), listed, json: None });
        Ok(())
    }

    pub(super) fn park(
        &mut self,
        batch: &mut Batch,
        mark: &super::batch::Mark,
        (place, record, parked): (usize, &Arc<Record>, Option<(u64, u32)>),
        cause: String,
        for_good: bool,
    ) {
        let rows = batch.rollback(mark);
        self.rows.rollback(rows);
        let attempts = parked.map_or(0, |(_, attempts)| attempts) + 1;
        let pause_ms = self.limits.event_retries_ms.get(attempts as usize - 1).filter(|_| !for_good);
        let next_try_ms = pause_ms.map_or(0, |pause| self.now.as_millisecond().saturating_add(*pause));
        let dead = pause_ms.is_none();
        tracing::warn!(
            subscription = self.follower_at(place).name,
            key = record.key,
            event = record.id,
            cause,
            dead,
            "event parked"
        );
        let mut row = self.parked_row(place, record);
        row.position = parked.map_or(row.position, |(at, _)| at);
        row.attempts = attempts;
        row.next_try_ms = next_try_ms;
        row.dead = dead;
        row.cause = cause;
        batch.parked.push(ParkedWrite::Put(row));
        batch.parking.push((place, record.key.clone(), Parked { next_try_ms, dead }));
    }

    /// Its place is its position in the topic: it comes in that order, and it keeps it through restarts.
    fn parked_row(&self, place: usize, record: &Record) -> ParkedRow {
        ParkedRow {
            subscription: self.follower_at(place).name.clone(),
            key: record.key.clone(),
            partition: self.places[place].partition.number,
            position: record.seq,
            attempts: 0,
            next_try_ms: 0,
            dead: false,
            cause: String::new(),
            since_ms: self.now.as_millisecond(),
            work: ParkedWork::Event(record.clone()),
        }
    }

    /// Rows that an event will certainly need, as far as can be told without running the policies.
    pub(super) fn foresee_event(&self, place: usize, record: &Record) -> Vec<RowRef> {
        let key = &record.key;
        let mut rows = self.foresee_kept(place, record);
        match &self.follower_at(place).does {
            Handling::Project(table, events) if events.contains(&record.event_type) => {
                rows.push(RowRef { table: *table, key: key.clone() });
            }
            Handling::Project(..) => {}
            Handling::React(policies) => {
                let targets = policies.get(&record.event_type).into_iter().flatten();
                rows.extend(targets.map(|(_, table)| RowRef { table: *table, key: key.clone() }));
            }
        }
        rows
    }
}
