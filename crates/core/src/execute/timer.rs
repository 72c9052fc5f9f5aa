//! A timer that is due: a command to the aggregate that set it.

use ports::model::RowKind;
use ports::{RowRef, TimerRow, TimerWrite};

use super::unit_of_work::UnitOfWork;
use crate::batch::Step;
use crate::error::Interrupt;

/// The row that a timer certainly needs.
pub fn row_of(timer: &TimerRow) -> RowRef {
    RowRef { table: timer.table, key: timer.key.clone() }
}

/// Fires a timer: it is cleared, and its command is decided.
pub fn handle(unit: &mut UnitOfWork<'_>, timer: &TimerRow) -> Result<(), Interrupt> {
    if unit.batch.has_touched_timer(timer.table, &timer.key, &timer.name) {
        return Ok(()); // an earlier item of this batch moved or cleared it: it is no longer due
    }
    let (key, name) = (timer.key.clone(), timer.name.clone());
    unit.batch.timers.push(TimerWrite::Clear { table: timer.table, key, name, fires_ms: Some(timer.due_ms) });
    let RowKind::Aggregate(def) = &unit.model().table_of(timer.table).rows else { return Ok(()) };
    match def.of.decode_command(timer.version, &timer.command) {
        Ok(command) => {
            let step = Step { table: timer.table, key: &timer.key, give_id: None, command: &command, cause: &timer.cause };
            if let Err(undecided) = unit.decide(&step)? {
                tracing::warn!(timer = timer.name, ?undecided, "the aggregate does not take its timer");
            }
        }
        Err(error) => tracing::error!(timer = timer.name, %error, "a timer's command cannot be read"),
    }
    Ok(())
}
