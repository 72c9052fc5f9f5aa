//! An event for a subscription: policies issue commands, views change, and what fails parks its own key.

use std::sync::Arc;

use kernel::erased::{DecisionError, ErasedCommand, OnRejection};
use kernel::event::Cause;
use ports::model::{Handling, Subscription};
use ports::{ParkedWork, Record, RowRef, TableId};

use super::external::{self, Translation};
use super::parking::{self, Failed, Filing};
use super::projection;
use super::unit_of_work::UnitOfWork;
use crate::batch::Step;
use crate::error::Interrupt;
use crate::guard::guarded;
use crate::ids::{CursorId, Queue};
use crate::items::ParkedAttempt;
use crate::subscriptions::Subscriptions;

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

/// Handles one event for one subscription, or parks it.
pub fn handle(
    unit: &mut UnitOfWork<'_>,
    subscriptions: &Subscriptions,
    cursor: CursorId,
    record: &Arc<Record>,
    parked: Option<ParkedAttempt>,
) -> Result<(), Interrupt> {
    let subscription = subscriptions.of(cursor);
    let retries = unit.setup.limits.event_retries_ms.len();
    let last_try = parked.is_some_and(|parked| parked.attempts as usize >= retries);
    let (ours, read) = match external::translate(unit, subscription.service, record, last_try)? {
        Translation::Ours(ours) => (ours, Ok(())),
        Translation::Nothing => {
            parking::release(unit, subscriptions, &filing_of(cursor, record, parked));
            return Ok(());
        }
        Translation::Incomplete(record) => {
            (record, Err(Failed::Transient("the event that completes it has not come yet".to_owned())))
        }
        Translation::Unreadable(record, cause) => (record, Err(Failed::Permanent(cause))),
    };
    // A parked event stays filed under the key that it was parked under.
    let filed = if parked.is_some() { record } else { &ours };
    let filing = filing_of(cursor, filed, parked);
    parking::attempt(
        unit,
        subscriptions,
        &filing,
        || ParkedWork::Event((**filed).clone()),
        |unit| {
            read?;
            external::cache(unit, subscription.service, &ours)?;
            match &subscription.does {
                Handling::Project(table, _) => projection::apply(unit, *table, &ours),
                Handling::React(_) => react(unit, subscription, &ours),
            }
        },
    )
}

/// Filed under its position in the topic: parked events keep that order, through restarts too.
pub fn filing_of(cursor: CursorId, record: &Record, parked: Option<ParkedAttempt>) -> Filing<'_> {
    Filing { queue: Queue::Cursor(cursor), key: &record.key, position: record.seq, parked }
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
