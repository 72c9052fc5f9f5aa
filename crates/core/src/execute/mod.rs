//! Execution of one batch: every item is handled in memory, then what its events cause in subscriptions at the end of the
//! log. What is missing is loaded, and the item is handled again.

mod administration;
mod answer;
mod command;
mod event;
mod external;
mod parking;
mod projection;
mod rebuild;
mod timer;
mod unit_of_work;

use std::collections::BTreeMap;
use std::sync::Arc;

use ports::{ParkedWork, Record, RowRef, Store, StoreError};

use crate::batch::Batch;
use crate::error::Interrupt;
use crate::ids::CursorId;
use crate::items::Reached;
use crate::items::{Item, Items};
use crate::rebuild::Rebuilds;
use crate::subscriptions::Subscriptions;
use crate::waiters::Waiters;

pub use unit_of_work::UnitOfWork;

/// Rounds of loading after which one item is to blame: more than any chain of look-ups needs.
const ROUNDS: usize = 64;

/// The parts of a core that a batch is executed with.
pub struct Execution<'a> {
    /// What the handlers work with.
    pub unit: UnitOfWork<'a>,
    /// The store, to be read.
    pub store: &'a mut dyn Store,
    /// Where subscriptions stand.
    pub subscriptions: &'a Subscriptions,
    /// Requests that wait for their answer.
    pub waiters: &'a Waiters,
    /// The rebuild that runs.
    pub rebuilds: &'a mut Rebuilds,
}

impl Execution<'_> {
    /// Handles all items. With `bisecting`, events of this batch are left to the next: each is an item of its own.
    pub fn run(mut self, items: &mut Items, bisecting: bool) -> Result<Batch, StoreError> {
        // Rows first: an instance that commits between the two reads is found in the answers, if not in the rows.
        self.prefetch(&items.work)?;
        self.recall(&items.work)?;
        self.handle_all(&items.work)?;
        if !bisecting {
            self.run_subscriptions(items)?;
        }
        Ok(self.unit.batch)
    }

    /// Hands the batch's own events to the subscriptions that are at the end of the log, and what follows from these.
    fn run_subscriptions(&mut self, items: &mut Items) -> Result<(), StoreError> {
        let last_seq = self.unit.numbering.last_seq();
        let at_end = self.subscriptions.at_end(&items.reached, last_seq);
        let mut handled = 0;
        while handled < self.unit.batch.log.len() && self.has_room(handled) {
            let upto = self.unit.batch.log.len();
            let follow_ups = self.follow_ups(&at_end, handled, upto);
            self.prefetch(&follow_ups)?;
            self.handle_all(&follow_ups)?;
            handled = upto;
        }
        if handled > 0 {
            let to = last_seq + handled as u64;
            items.reached.retain(|reached| !at_end.contains(&reached.cursor));
            let to_end = |cursor| Reached { cursor, to, numbers: BTreeMap::new() };
            items.reached.extend(at_end.into_iter().map(to_end));
        }
        Ok(())
    }

    fn has_room(&self, handled: usize) -> bool {
        let limits = &self.unit.setup.limits;
        handled < limits.batch_events && self.unit.batch.log_bytes < limits.batch_bytes
    }

    fn follow_ups(&self, at_end: &[CursorId], from: usize, upto: usize) -> Vec<Item> {
        let records: &[Arc<Record>] = &self.unit.batch.log[from..upto];
        records.iter().flat_map(|record| self.subscriptions.items_of(at_end, record)).collect()
    }

    fn handle_all(&mut self, items: &[Item]) -> Result<(), StoreError> {
        items.iter().try_for_each(|item| self.handle_item(item))
    }

    /// Handles one item; nothing of it remains in the batch unless it is handled wholly.
    fn handle_item(&mut self, item: &Item) -> Result<(), StoreError> {
        let savepoint = self.unit.savepoint();
        for _ in 0..ROUNDS {
            let interrupt = match self.handle(item) {
                Ok(()) => return Ok(()),
                Err(interrupt) => interrupt,
            };
            match interrupt {
                Interrupt::MissingRows(wanted) => {
                    self.unit.rollback(&savepoint);
                    self.unit.rows.load(self.store, wanted)?;
                }
                Interrupt::OutOfIds(table) => {
                    self.unit.rollback(&savepoint);
                    let count = self.unit.setup.limits.batch_items.max(1) as u64;
                    let range = self.store.ids(table, count)?;
                    self.unit.numbering.grant(table, &range);
                }
                Interrupt::Store(error) => return Err(error),
            }
        }
        Err(StoreError::Corrupt("a decision asks for ever more rows".into()))
    }

    fn handle(&mut self, item: &Item) -> Result<(), Interrupt> {
        let unit = &mut self.unit;
        match item {
            Item::Command(queued) => command::handle(unit, self.waiters, queued),
            Item::Answer { ended, parked } => answer::handle(unit, self.subscriptions, ended, *parked),
            Item::Timer { timer, parked } => timer::handle(unit, self.subscriptions, self.store, timer, *parked),
            Item::Event { cursor, record, parked } => event::handle(unit, self.subscriptions, *cursor, record, *parked),
            Item::RebuildPage(records) => rebuild::handle(unit, self.rebuilds, records),
            Item::RebuildStart => {
                administration::start_rebuild(unit, self.rebuilds);
                Ok(())
            }
            Item::RebuildSwap => administration::swap_rebuild(unit, self.rebuilds, self.subscriptions, self.store),
            Item::Discard(discard) => administration::discard(unit, self.subscriptions, self.store, discard),
            Item::FirstOffsets => {
                administration::first_offsets(unit, self.subscriptions);
                Ok(())
            }
            Item::Probe => {
                unit.batch.administration.probe = true;
                Ok(())
            }
        }
    }

    /// Loads the rows that items certainly need, for all of them at once.
    fn prefetch(&mut self, items: &[Item]) -> Result<(), StoreError> {
        let wanted = items.iter().flat_map(|item| self.rows_of(item)).collect();
        self.unit.rows.load(self.store, wanted)
    }

    fn rows_of(&self, item: &Item) -> Vec<RowRef> {
        match item {
            Item::Command(queued) => vec![command::row_of(queued)],
            Item::Answer { ended, .. } => vec![answer::row_of(ended)],
            Item::Timer { timer, .. } => vec![timer::row_of(timer)],
            Item::Event { cursor, record, .. } => event::rows_of(&self.unit, self.subscriptions.of(*cursor), record),
            Item::RebuildPage(records) => rebuild::rows_of(&self.unit, self.rebuilds, records),
            Item::RebuildStart | Item::RebuildSwap | Item::Discard(_) | Item::FirstOffsets | Item::Probe => Vec::new(),
        }
    }

    /// Reads what the store remembers of the idempotency keys among these items, all at once.
    fn recall(&mut self, items: &[Item]) -> Result<(), StoreError> {
        let key = |item: &Item| match item {
            Item::Command(queued) => queued.request.idempotency.as_ref().map(|key| (key.scope.clone(), key.key.clone())),
            _ => None,
        };
        let keys: Vec<(String, String)> = items.iter().filter_map(key).collect();
        if !keys.is_empty() {
            let answers = self.store.answers(&keys)?;
            self.unit.batch.known = keys.into_iter().zip(answers).collect();
        }
        Ok(())
    }
}

/// Parks the one item whose consequences the store rejects: it must not hold up the others. False, where it is not of a kind
/// that is parked.
pub fn quarantine(unit: &mut UnitOfWork<'_>, subscriptions: &Subscriptions, item: &Item, cause: &str) -> bool {
    let cause = cause.to_owned();
    match item {
        Item::Event { cursor, record, parked } => {
            let work = ParkedWork::Event((**record).clone());
            parking::park(unit, subscriptions, &event::filing_of(*cursor, record, *parked), work, (cause, true));
        }
        Item::Answer { ended, parked } => answer::quarantine(unit, subscriptions, ended, *parked, cause),
        Item::Timer { timer, parked } => timer::quarantine(unit, subscriptions, timer, *parked, cause),
        _ => return false,
    }
    true
}
