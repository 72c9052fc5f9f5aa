//! A timer that is due: a command to the aggregate that set it.
//!
//! A timer that fails stays set, for never, while it is parked: what the aggregate does to it meanwhile counts. A parked timer
//! that was moved or cleared is not tried again.

use defects::{Defect, has};
use kernel::erased::DecisionError;
use kernel::event::CodecError;
use ports::model::RowKind;
use ports::{ParkedTimer, ParkedWork, RowRef, Store, TimerRow, TimerWrite};

use super::parking::{self, Failed, Filing};
use super::unit_of_work::UnitOfWork;
use crate::batch::Step;
use crate::error::Interrupt;
use crate::guard::guarded;
use crate::ids::Queue;
use crate::items::ParkedAttempt;
use crate::subscriptions::Subscriptions;

/// When a parked timer is due by itself.
const NEVER_MS: i64 = i64::MAX;

/// The row that a timer certainly needs.
pub fn row_of(timer: &TimerRow) -> RowRef {
    RowRef { table: timer.table, key: timer.key.clone() }
}

/// Fires a timer: it is cleared and its command is decided, or it is parked.
pub fn handle(
    unit: &mut UnitOfWork<'_>,
    subscriptions: &Subscriptions,
    store: &mut dyn Store,
    timer: &TimerRow,
    parked: Option<ParkedAttempt>,
) -> Result<(), Interrupt> {
    if unit.batch.has_touched_timer(timer.table, &timer.key, &timer.name) {
        return Ok(()); // an earlier item of this batch moved or cleared it: it is no longer due
    }
    let table = unit.model().table_of(timer.table);
    let key = filing_key(table.name, timer);
    let mut filing = Filing { queue: Queue::Timers(table.service), key: &key, position: 0, parked };
    if parked.is_some() {
        if store.timer_due(timer.table, &timer.key, &timer.name)? != Some(NEVER_MS) {
            parking::release(unit, subscriptions, &filing);
            return Ok(()); // the aggregate has moved or cleared it since
        }
    } else if subscriptions.parking.holds(filing.queue, &key) {
        // It was set again while an earlier one of its name was parked: that one is no more.
        filing.parked = Some(ParkedAttempt { position: 0, attempts: 0 });
        parking::release(unit, subscriptions, &filing);
        filing.parked = None;
    }
    attempt(unit, subscriptions, &filing, timer)
}

fn attempt(
    unit: &mut UnitOfWork<'_>,
    subscriptions: &Subscriptions,
    filing: &Filing<'_>,
    timer: &TimerRow,
) -> Result<(), Interrupt> {
    clear(unit, filing, timer);
    let savepoint = unit.savepoint();
    match fire(unit, timer) {
        Ok(()) => parking::release(unit, subscriptions, filing),
        Err(failed) => {
            let failed = failed.into_cause()?;
            unit.rollback(&savepoint);
            if has(Defect::FailedTimerDropped) {
                return Ok(());
            }
            park(unit, subscriptions, filing, timer, failed);
        }
    }
    Ok(())
}

fn clear(unit: &mut UnitOfWork<'_>, filing: &Filing<'_>, timer: &TimerRow) {
    let fires_ms = Some(if filing.parked.is_some() { NEVER_MS } else { timer.due_ms });
    let (table, key, name) = (timer.table, timer.key.clone(), timer.name.clone());
    unit.batch.timers.push(TimerWrite::Clear { table, key, name, fires_ms });
}

fn fire(unit: &mut UnitOfWork<'_>, timer: &TimerRow) -> Result<(), Failed> {
    let RowKind::Aggregate(def) = &unit.model().table_of(timer.table).rows else { return Ok(()) };
    let read = guarded(def.of.name(), || def.of.decode_command(timer.version, &timer.command)).map_err(CodecError).flatten();
    let command = read.map_err(|error| Failed::Permanent(format!("its command cannot be read: {error}")))?;
    let step = Step { table: timer.table, key: &timer.key, give_id: None, command: &command, cause: &timer.cause };
    match unit.decide(&step)? {
        Ok(_) => Ok(()),
        Err(DecisionError::Rejected(rejected)) => {
            tracing::warn!(timer = timer.name, code = %rejected.code, "the aggregate rejects its timer");
            Ok(())
        }
        Err(DecisionError::Fault(fault)) => Err(Failed::Transient(fault)),
    }
}

fn park(unit: &mut UnitOfWork<'_>, subscriptions: &Subscriptions, filing: &Filing<'_>, timer: &TimerRow, failed: (String, bool)) {
    let TimerRow { key, name, due_ms, version, command, cause, .. } = timer.clone();
    let table = unit.model().table_of(timer.table).sql_name.clone();
    let parked = ParkedTimer { table, key, name, due_ms, version, command, cause };
    parking::park(unit, subscriptions, filing, ParkedWork::Timer(parked), failed);
    unit.batch.timers.push(TimerWrite::Set(TimerRow { due_ms: NEVER_MS, ..timer.clone() }));
}

/// Parks a timer whose consequences the store rejects.
pub fn quarantine(
    unit: &mut UnitOfWork<'_>,
    subscriptions: &Subscriptions,
    timer: &TimerRow,
    parked: Option<ParkedAttempt>,
    cause: String,
) {
    let table = unit.model().table_of(timer.table);
    let key = filing_key(table.name, timer);
    let filing = Filing { queue: Queue::Timers(table.service), key: &key, position: 0, parked };
    clear(unit, &filing, timer);
    park(unit, subscriptions, &filing, timer, (cause, true));
}

fn filing_key(aggregate: &str, timer: &TimerRow) -> String {
    format!("{aggregate}/{}/{}", timer.key, timer.name)
}

/// A parked timer is discarded: it is not set any more, if the aggregate has left it as it was.
pub fn forget(unit: &mut UnitOfWork<'_>, parked: &ParkedTimer) {
    if let Some(table) = unit.model().tables.iter().find(|table| table.sql_name == parked.table) {
        let (table, key, name) = (table.id, parked.key.clone(), parked.name.clone());
        unit.batch.timers.push(TimerWrite::Clear { table, key, name, fires_ms: Some(NEVER_MS) });
    }
}
