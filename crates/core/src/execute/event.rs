//! An event for a subscription: policies issue commands, views change, and what fails parks its own key.

use std::sync::Arc;

use defects::{Defect, has};
use kernel::erased::{DecisionError, ErasedCommand, OnRejection};
use kernel::event::Cause;
use ports::model::{Handling, Subscription};
use ports::{ParkedRow, ParkedWork, ParkedWrite, Record, RowRef, TableId};

use super::external::{self, Translation};
use super::projection;
use super::unit_of_work::UnitOfWork;
use crate::batch::{Savepoint, Step};
use crate::error::Interrupt;
use crate::guard::guarded;
use crate::items::ParkedAttempt;
use crate::subscriptions::{CursorId, Head, HeadChange, Subscriptions};

/// Why an event could not be handled.
pub enum Failed {
    /// Trying again cannot help.
    Permanent(String),
    /// A fault; it is tried again a few times.
    Transient(String),
    /// Not the event's fault.
    Interrupt(Interrupt),
}

impl From<Interrupt> for Failed {
    fn from(interrupt: Interrupt) -> Self {
        Self::Interrupt(interrupt)
    }
}

/// Where an event is handled.
#[derive(Clone, Copy)]
pub struct Consumer<'a> {
    /// The cursor.
    pub cursor: CursorId,
    /// Its subscription.
    pub subscription: &'a Subscription,
    /// The number of its partition.
    pub partition: u32,
}

impl<'a> Consumer<'a> {
    /// The consumer at a cursor.
    pub fn at(subscriptions: &'a Subscriptions, cursor: CursorId) -> Self {
        let partition = subscriptions.cursor(cursor).partition.number;
        Self { cursor, subscription: subscriptions.of(cursor), partition }
    }
}

/// The rows that an event certainly needs, as far as can be told without running the policies.
pub fn rows_of(unit: &UnitOfWork<'_>, subscription: &Subscription, record: &Record) -> Vec<RowRef> {
    let key = &record.key;
    let mut rows = external::rows_of(unit.model(), subscription.service, record);
    match &subscription.does {
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

/// Handles one event for one subscription, or parks it behind others of its key, or parks it with its cause.
pub fn handle(
    unit: &mut UnitOfWork<'_>,
    subscriptions: &Subscriptions,
    consumer: Consumer<'_>,
    record: &Arc<Record>,
    parked: Option<ParkedAttempt>,
) -> Result<(), Interrupt> {
    let retries = unit.setup.limits.event_retries_ms.len();
    let last_try = parked.is_some_and(|parked| parked.attempts as usize >= retries);
    let service = consumer.subscription.service;
    let (ours, read) = match external::translate(unit, service, record, last_try)? {
        Translation::Ours(ours) => (ours, Ok(())),
        Translation::Nothing => {
            unpark(unit, consumer, &record.key, parked);
            return Ok(());
        }
        Translation::Incomplete(record) => {
            (record, Err(Failed::Transient("the event that completes it has not come yet".to_owned())))
        }
        Translation::Unreadable(record, cause) => (record, Err(Failed::Permanent(cause))),
    };
    // A parked event stays filed under the key that it was parked under.
    let filed = if parked.is_some() { record } else { &ours };
    let (cursor, key) = (consumer.cursor, &filed.key);
    let key_is_parked = subscriptions.parking.holds(cursor, key) || unit.batch.has_parked(cursor, key);
    if parked.is_none() && key_is_parked && !has(Defect::ParkedOvertaken) {
        let row = parked_row(unit, consumer, filed);
        unit.batch.parked.push(ParkedWrite::Put(row));
        return Ok(());
    }
    if parked.is_some() && unit.batch.has_parked(cursor, key) {
        return Ok(()); // the head of its key failed again in this very batch: it goes on waiting behind it
    }
    let savepoint = unit.savepoint();
    let handled = read.and_then(|()| {
        external::cache(unit, service, &ours)?;
        match &consumer.subscription.does {
            Handling::Project(table, _) => projection::apply(unit, *table, &ours),
            Handling::React(_) => react(unit, consumer.subscription, &ours),
        }
    });
    match handled {
        Ok(()) => unpark(unit, consumer, key, parked),
        Err(Failed::Interrupt(interrupt)) => return Err(interrupt),
        Err(Failed::Permanent(cause)) => park(unit, &savepoint, consumer, (filed, parked), cause, true),
        Err(Failed::Transient(cause)) => park(unit, &savepoint, consumer, (filed, parked), cause, false),
    }
    Ok(())
}

/// A parked event was handled: it is not parked any more.
fn unpark(unit: &mut UnitOfWork<'_>, consumer: Consumer<'_>, key: &str, parked: Option<ParkedAttempt>) {
    if let Some(ParkedAttempt { position, .. }) = parked {
        let (subscription, partition) = (consumer.subscription.name.clone(), consumer.partition);
        unit.batch.parked.push(ParkedWrite::Remove { subscription, key: key.to_owned(), partition, position });
    }
}

fn react(unit: &mut UnitOfWork<'_>, subscription: &Subscription, record: &Record) -> Result<(), Failed> {
    let Handling::React(policies) = &subscription.does else { return Ok(()) };
    let metadata = record.metadata();
    let cause = Cause { causation: record.id.clone(), ..record.cause.clone() };
    for (policy, table) in policies.get(&record.event_type).into_iter().flatten() {
        let reacted = guarded(policy.name, || policy.react(record.version, &record.data, &metadata));
        let commands = match reacted {
            Ok(Ok(commands)) => commands,
            Ok(Err(error)) => return Err(Failed::Permanent(format!("{}: {error}", policy.name))),
            Err(panicked) => return Err(Failed::Transient(panicked)),
        };
        for command in commands {
            issue(unit, policy.name, *table, &command, &cause)?;
        }
    }
    Ok(())
}

fn issue(unit: &mut UnitOfWork<'_>, policy: &str, table: TableId, issued: &ErasedCommand, cause: &Cause) -> Result<(), Failed> {
    let step = Step { table, key: &issued.key, give_id: None, command: &issued.command, cause };
    let rejected = match unit.decide(&step)? {
        Ok(_) => return Ok(()),
        Err(DecisionError::Fault(fault)) => return Err(Failed::Transient(format!("{policy}: {fault}"))),
        Err(DecisionError::Rejected(rejected)) => rejected,
    };
    match &issued.on_rejection {
        OnRejection::Nothing => Ok(()),
        OnRejection::DeadLetter => Err(Failed::Permanent(format!("{policy}: rejected, {}: {}", rejected.code, rejected.detail))),
        OnRejection::Compensate(command) => match unit.decide(&Step { command, ..step })? {
            Ok(_) => Ok(()),
            Err(undecided) => Err(Failed::Permanent(format!("{policy}: the compensation failed: {undecided:?}"))),
        },
    }
}

/// Parks an event with its cause: it is tried again after the next pause, or is a dead letter.
pub fn park(
    unit: &mut UnitOfWork<'_>,
    savepoint: &Savepoint,
    consumer: Consumer<'_>,
    (record, parked): (&Arc<Record>, Option<ParkedAttempt>),
    cause: String,
    permanent: bool,
) {
    unit.rollback(savepoint);
    let attempts = parked.map_or(0, |parked| parked.attempts) + 1;
    let pause_ms = unit.setup.limits.event_retries_ms.get(attempts as usize - 1).filter(|_| !permanent);
    let next_try_ms = pause_ms.map_or(0, |pause| unit.now_ms().saturating_add(*pause));
    let dead = pause_ms.is_none();
    tracing::warn!(subscription = consumer.subscription.name, key = record.key, event = record.id, cause, dead, "event parked");
    let mut row = parked_row(unit, consumer, record);
    row.position = parked.map_or(row.position, |parked| parked.position);
    row.attempts = attempts;
    row.next_try_ms = next_try_ms;
    row.dead = dead;
    row.cause = cause;
    unit.batch.parked.push(ParkedWrite::Put(row));
    let (cursor, key) = (consumer.cursor, record.key.clone());
    unit.batch.heads.push(HeadChange { cursor, key, head: Head { next_try_ms, dead } });
}

/// Filed under its position in the topic: parked events keep that order, through restarts too.
fn parked_row(unit: &UnitOfWork<'_>, consumer: Consumer<'_>, record: &Record) -> ParkedRow {
    ParkedRow {
        subscription: consumer.subscription.name.clone(),
        key: record.key.clone(),
        partition: consumer.partition,
        position: record.seq,
        attempts: 0,
        next_try_ms: 0,
        dead: false,
        cause: String::new(),
        since_ms: unit.now_ms(),
        work: ParkedWork::Event(record.clone()),
    }
}
