//! Gathering: what is ready is taken into one batch, fairly, from commands and from everything that waits inside.

use ports::{Store, StoreError, TimerRow};

use crate::effects::Effects;
use crate::inbox::Inbox;
use crate::items::{Item, Items};
use crate::numbering::Numbering;
use crate::rebuild::Rebuilds;
use crate::recovery::Recovery;
use crate::rows::RowCache;
use crate::schedule::Schedule;
use crate::setup::Setup;
use crate::subscriptions::Subscriptions;
use crate::waiters::Waiters;

/// The parts of a core that a batch is gathered from.
pub struct Sources<'a> {
    /// The declarations and bounds.
    pub setup: &'a Setup,
    /// The instant of the batch, milliseconds since 1970.
    pub now_ms: i64,
    /// The store, to be read.
    pub store: &'a mut dyn Store,
    /// Commands and answers that wait.
    pub inbox: &'a mut Inbox,
    /// Backlogs and parked work.
    pub subscriptions: &'a mut Subscriptions,
    /// Where the log ends.
    pub numbering: &'a Numbering,
    /// Timers, and what comes round.
    pub schedule: &'a mut Schedule,
    /// Effects that are left in the store.
    pub effects: &'a mut Effects,
    /// Rows that requests wait for.
    pub rows: &'a mut RowCache,
    /// These requests.
    pub waiters: &'a Waiters,
    /// The rebuild that runs.
    pub rebuilds: &'a Rebuilds,
    /// How large a batch may be, and whether the store is left alone.
    pub recovery: &'a Recovery,
}

impl Sources<'_> {
    /// Consumers get at least half of a batch while they have a backlog, so that accepting cannot starve finishing.
    pub fn gather(mut self, items: &mut Items) -> Result<(), StoreError> {
        let limits = &self.setup.limits;
        let room = self.recovery.batch_items(limits.batch_items);
        if !self.recovery.is_backing_off(self.now_ms) {
            if self.rebuilds.is_at_last_page(self.numbering.last_seq(), limits.batch_items) {
                return self.gather_rebuild(items);
            }
            let share = self.inbox.consumer_share(room);
            self.poll_shared_store()?;
            self.gather_consumers(items, share)?;
            self.maintain()?;
        }
        let left = room.saturating_sub(items.work.len());
        items.work.extend(self.inbox.take_commands(left).map(Item::Command));
        Ok(())
    }

    fn gather_consumers(&mut self, items: &mut Items, room: usize) -> Result<(), StoreError> {
        let (now_ms, store) = (self.now_ms, &mut *self.store);
        let share = room.div_ceil(3).max(1);
        let answer = |ended| Item::Answer { ended, parked: None };
        if self.inbox.answers() < share {
            self.inbox.add_answers(self.effects.refill(store)?);
        }
        items.work.extend(self.inbox.take_answers(share).map(answer));
        let for_timers = room.min(items.work.len() + share).saturating_sub(items.work.len());
        let paused = |timer: &TimerRow| self.subscriptions.is_paused(self.setup.model.table_of(timer.table).service);
        let timers = self.schedule.take_timers(store, now_ms, for_timers, paused)?;
        items.work.extend(timers.into_iter().map(|timer| Item::Timer { timer, parked: None }));
        self.subscriptions.take_parked(store, now_ms, room, items)?;
        let read_ahead = self.setup.limits.backlog;
        self.subscriptions.take_backlogs(store, (room, read_ahead), self.numbering.last_seq(), items)?;
        // What timers and backlogs leave of the room is for further answers: finishing must keep up with accepting.
        let left = room.saturating_sub(items.work.len());
        items.work.extend(self.inbox.take_answers(left).map(answer));
        if items.work.len() < room { self.gather_rebuild(items) } else { Ok(()) }
    }

    fn gather_rebuild(&mut self, items: &mut Items) -> Result<(), StoreError> {
        let (last_seq, page) = (self.numbering.last_seq(), self.setup.limits.batch_items);
        if let Some(records) = self.rebuilds.next_page(&mut *self.store, last_seq, page)? {
            items.rebuilt_to = records.last().map(|record| record.seq);
            items.work.push(Item::RebuildPage(records));
        }
        Ok(())
    }

    /// In a shared store other instances set timers, leave effects when they die, and settle what is waited for here.
    fn poll_shared_store(&mut self) -> Result<(), StoreError> {
        let now_ms = self.now_ms;
        let deadline = self.waiters.next_ms().is_some_and(|deadline_ms| deadline_ms <= now_ms);
        if self.store.exclusive() || !(self.schedule.poll_is_due(now_ms) || deadline) {
            return Ok(());
        }
        let store = &mut *self.store;
        self.rows.load(store, self.waiters.rows())?;
        self.schedule.set_next_timer(store.next_timer()?);
        let orphaned = store.adopt(self.effects.room())?;
        self.schedule.heartbeat(now_ms);
        self.inbox.add_answers(self.effects.adopt(orphaned));
        self.subscriptions.refresh_parked(store)?;
        self.schedule.polled(now_ms);
        Ok(())
    }

    /// Prunes old events and answers, a bounded number at a time.
    fn maintain(&mut self) -> Result<(), StoreError> {
        let now_ms = self.now_ms;
        if !self.schedule.maintenance_is_due(now_ms) {
            return Ok(());
        }
        let limits = &self.setup.limits;
        let before_ms = limits.retention_ms.map_or(i64::MIN, |kept| now_ms.saturating_sub(kept));
        let passed = self.subscriptions.passed(self.rebuilds.running().map(|rebuild| rebuild.position));
        let pruned = self.store.prune(before_ms, passed, now_ms, limits.batch_items)?;
        self.schedule.maintained(pruned >= limits.batch_items as u64, now_ms);
        Ok(())
    }
}
