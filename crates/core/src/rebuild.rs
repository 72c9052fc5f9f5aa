//! Rebuilding a view beside the one that serves: read the log from its beginning into a second table, then change places.

use std::collections::BTreeMap;

use super::events::Failed;
use super::status::RebuildDone;
use super::subscriptions::Reached;
use super::{Core, Stop};
use ports::model::TableId;
use ports::{Commit, ParkedRow, ParkedWrite, Record, RowRef};

/// A rebuild under way.
pub struct Rebuild {
    /// Counts the rebuilds since the start.
    pub number: u64,
    /// The view's name.
    pub view: String,
    /// Its follower.
    pub subscription: usize,
    /// The table that serves.
    pub table: TableId,
    /// The table that is filled.
    pub shadow: TableId,
    /// The last position that is in it.
    pub position: u64,
    /// Why it was given up.
    pub failed: Option<String>,
}

impl Core {
    /// Starts a rebuild: the second table is emptied first. One at a time; a second request is ignored.
    pub(super) fn start_rebuild(&mut self, view: &str) -> Option<Commit> {
        if self.rebuild.as_ref().is_some_and(|running| running.failed.is_none()) {
            return None;
        }
        let (subscription, table, shadow) = self.model.view_of(view)?;
        let view = view.to_owned();
        let failed = self.own_place(subscription).is_none().then(|| "its events are not in this process's log".to_owned());
        let elsewhere = failed.is_some();
        self.rebuilds += 1;
        self.rebuild = Some(Rebuild { number: self.rebuilds, view, subscription, table, shadow, position: 0, failed });
        if elsewhere {
            return None;
        }
        self.rows.forget(shadow);
        Some(Commit { clear: vec![shadow], ..Commit::default() })
    }

    fn own_place(&self, subscription: usize) -> Option<usize> {
        self.places.iter().position(|place| place.own && place.subscription == subscription)
    }

    /// The next page for the second table. Where an event fails, the rebuild is given up and the old view serves on.
    pub(super) fn rebuild_page(&mut self, records: &[Record]) -> Result<(), Stop> {
        let Some((shadow, subscription)) = self.rebuild.as_ref().map(|running| (running.shadow, running.subscription)) else {
            return Ok(());
        };
        let model = self.model.clone();
        for record in records.iter().filter(|record| model.subscriptions[subscription].handles(&record.event_type)) {
            match self.project(shadow, record) {
                Ok(()) => {}
                Err(Failed::Stop(stop)) => return Err(stop),
                Err(Failed::ForGood(cause) | Failed::Perhaps(cause)) => {
                    tracing::error!(seq = record.seq, cause, "the rebuild is given up; the old view serves on");
                    if let Some(running) = self.rebuild.as_mut() {
                        running.failed = Some(format!("at {}: {cause}", record.seq));
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Rows that a page will need.
    pub(super) fn foresee_rebuild(&self, records: &[Record]) -> Vec<RowRef> {
        let Some(running) = &self.rebuild else { return Vec::new() };
        let subscription = &self.model.subscriptions[running.subscription];
        let cared = records.iter().filter(|record| subscription.handles(&record.event_type));
        cared.map(|record| RowRef { table: running.shadow, key: record.key.clone() }).collect()
    }

    /// The second table has everything: the two change places, and what was parked for the old one is in the new one.
    pub(super) fn finish_rebuild(&mut self) -> Result<Option<Commit>, Stop> {
        let Some(running) = self.rebuild.as_ref().filter(|running| running.failed.is_none()) else { return Ok(None) };
        let (subscription, table, shadow) = (running.subscription, running.table, running.shadow);
        if running.position < self.last_seq {
            return Ok(None);
        }
        let Some(place) = self.own_place(subscription) else { return Ok(None) };
        let reached = Reached { place, to: running.position, numbers: BTreeMap::new() };
        let mut commit = Commit { swap: Some((table, shadow)), ..Commit::default() };
        commit.positions.push(self.place_move(&reached));
        let name = &self.model.subscriptions[subscription].name;
        for key in self.parking.of(place) {
            for row in self.store.parked(name, 0, &key, usize::MAX).map_err(Stop::Store)? {
                let ParkedRow { subscription, key, partition, position: place, .. } = row;
                commit.parked.push(ParkedWrite::Remove { subscription, key, partition, position: place });
            }
        }
        Ok(Some(commit))
    }

    /// After the swap was committed.
    pub(super) fn rebuilt(&mut self) {
        let Some(running) = self.rebuild.take() else { return };
        self.rows.forget(running.table);
        self.rows.forget(running.shadow);
        if let Some(place) = self.own_place(running.subscription) {
            self.parking.leave(place);
            self.places[place].position = running.position;
            self.places[place].rewind();
        }
        tracing::info!(view = running.view, position = running.position, "the view is rebuilt");
        let Rebuild { number, view, position, .. } = running;
        self.rebuilt = Some(RebuildDone { number, view, position, at_ms: self.now.as_millisecond() });
    }

    /// The next page is the last one. It gets a batch of its own: in one with commands, whose events come behind it, it would
    /// never be the last.
    pub(super) fn last_rebuild_page(&self) -> bool {
        let running = self.rebuild.as_ref().filter(|running| running.failed.is_none());
        let left = running.map_or(0, |running| self.last_seq - running.position);
        left > 0 && left <= self.limits.batch_items as u64
    }

    /// The records of the next page.
    pub(super) fn next_rebuild_page(&mut self) -> Result<Option<Vec<Record>>, Stop> {
        let Some(running) = self.rebuild.as_ref().filter(|running| running.failed.is_none()) else { return Ok(None) };
        if running.position >= self.last_seq {
            return Ok(None);
        }
        let records = self.store.log_after(running.position, self.limits.batch_items).map_err(Stop::Store)?;
        Ok((!records.is_empty()).then_some(records))
    }
}
