//! Projection: one event changes one row of a view.

use defects::{Defect, has};
use kernel::event::CodecError;
use ports::model::RowKind;
use ports::{Record, TableId};

use super::parking::Failed;
use super::unit_of_work::UnitOfWork;
use crate::guard::guarded;
use crate::rows::Slot;

/// Applies an event to the row of its key.
pub fn apply(unit: &mut UnitOfWork<'_>, table: TableId, record: &Record) -> Result<(), Failed> {
    let def = unit.model().table_of(table);
    let RowKind::View(view) = &def.rows else { return Ok(()) };
    if !view.events.contains(&record.event_type) {
        return Ok(());
    }
    let slot = unit.slot(table, &record.key)?;
    let metadata = record.metadata();
    let applied = guarded(view.name, || {
        let mut state = view.row.apply(slot.state.as_ref(), record.version, &record.data, &metadata)?;
        if has(Defect::EventTwice) {
            state = view.row.apply(Some(&state), record.version, &record.data, &metadata)?;
        }
        let id = view.row.id(&state);
        let listed = id.map(|_| def.index_of(&record.key, &state)).transpose()?;
        Ok::<_, CodecError>((state, id, listed))
    });
    let (state, id, listed) = match applied {
        Ok(Ok(applied)) => applied,
        Ok(Err(error)) => return Err(Failed::Permanent(format!("{}: {error}", view.name))),
        Err(panicked) => return Err(Failed::Transient(panicked)),
    };
    unit.rows.write(table, &record.key, Slot { id, version: slot.version + 1, state: Some(state), listed, json: None });
    Ok(())
}
