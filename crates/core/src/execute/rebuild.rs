//! A page of a rebuild: events of the log for the second table of a view.

use ports::{Record, RowRef};

use super::parking::Failed;
use super::projection;
use super::unit_of_work::UnitOfWork;
use crate::error::Interrupt;
use crate::rebuild::Rebuilds;

/// The rows that a page certainly needs.
pub fn rows_of(unit: &UnitOfWork<'_>, rebuilds: &Rebuilds, records: &[Record]) -> Vec<RowRef> {
    let Some(rebuild) = rebuilds.running() else { return Vec::new() };
    let subscription = unit.model().subscription(rebuild.subscription);
    let handled = records.iter().filter(|record| subscription.handles(&record.event_type));
    handled.map(|record| RowRef { table: rebuild.shadow, key: record.key.clone() }).collect()
}

/// Applies a page. Where an event fails, the rebuild fails.
pub fn handle(unit: &mut UnitOfWork<'_>, rebuilds: &mut Rebuilds, records: &[Record]) -> Result<(), Interrupt> {
    let Some(rebuild) = rebuilds.running() else { return Ok(()) };
    let (shadow, subscription) = (rebuild.shadow, unit.model().subscription(rebuild.subscription));
    for record in records.iter().filter(|record| subscription.handles(&record.event_type)) {
        match projection::apply(unit, shadow, record) {
            Ok(()) => {}
            Err(Failed::Interrupt(interrupt)) => return Err(interrupt),
            Err(Failed::Permanent(cause) | Failed::Transient(cause)) => {
                rebuilds.fail(format!("at {}: {cause}", record.seq));
                return Ok(());
            }
        }
    }
    Ok(())
}
