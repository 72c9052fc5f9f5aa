//! Work of administration: each item has a batch of its own, and goes through the same commit as any other.

use std::collections::BTreeMap;

use ports::{ParkedWork, ParkedWrite, Store};

use super::timer;
use super::unit_of_work::UnitOfWork;
use crate::error::Interrupt;
use crate::ids::Queue;
use crate::items::Discard;
use crate::items::Reached;
use crate::rebuild::Rebuilds;
use crate::subscriptions::{Head, HeadChange, Subscriptions};

/// Empties the table that a rebuild fills.
pub fn start_rebuild(unit: &mut UnitOfWork<'_>, rebuilds: &Rebuilds) {
    if let Some(rebuild) = rebuilds.running() {
        unit.rows.forget(rebuild.shadow);
        unit.batch.administration.clear.push(rebuild.shadow);
    }
}

/// Lets the rebuilt table serve. Its cursor goes on behind it, and what was parked for the old table is in the new one.
pub fn swap_rebuild(
    unit: &mut UnitOfWork<'_>,
    rebuilds: &Rebuilds,
    subscriptions: &Subscriptions,
    store: &mut dyn Store,
) -> Result<(), Interrupt> {
    let Some(rebuild) = rebuilds.running() else { return Ok(()) };
    let cursor = rebuild.cursor;
    let name = &subscriptions.of(cursor).name;
    for key in subscriptions.parking.keys(Queue::Cursor(cursor)) {
        for row in store.parked(name, 0, &key, usize::MAX)? {
            let (subscription, partition, position) = (row.subscription, row.partition, row.position);
            unit.batch.parked.push(ParkedWrite::Remove { subscription, key: row.key, partition, position });
        }
    }
    let reached = Reached { cursor, to: rebuild.position, numbers: BTreeMap::new() };
    unit.batch.administration.offsets.push(subscriptions.offset_update(&reached));
    unit.batch.administration.swap = Some((rebuild.table, rebuild.shadow));
    Ok(())
}

/// Gives new cursors their first offset.
pub fn first_offsets(unit: &mut UnitOfWork<'_>, subscriptions: &Subscriptions) {
    unit.batch.administration.offsets = subscriptions.first_offsets();
}

/// Removes what is parked first for a key, if it is still what the administrator saw.
pub fn discard(
    unit: &mut UnitOfWork<'_>,
    subscriptions: &Subscriptions,
    store: &mut dyn Store,
    discard: &Discard,
) -> Result<(), Interrupt> {
    let Discard { queue, key, position } = discard;
    let (subscription, partition) = subscriptions.name_of(*queue);
    let mut heads = store.parked(&subscription, partition, key, 1)?;
    let Some(head) = heads.pop().filter(|head| head.position == *position) else {
        tracing::warn!(subscription, key, position, "not discarded: something else is parked first");
        return Ok(());
    };
    if let ParkedWork::Timer(parked) = &head.work {
        timer::forget(unit, parked);
    }
    unit.batch.parked.push(ParkedWrite::Remove { subscription, key: key.clone(), partition, position: *position });
    unit.batch.heads.push(HeadChange { queue: *queue, key: key.clone(), head: Head::DUE });
    Ok(())
}
