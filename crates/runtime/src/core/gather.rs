//! What is ready to be done: fairly taken from the commands outside and from everything that waits inside.

use std::sync::Arc;

use super::followers::Place;
use super::rebuild::shared;
use super::work::Work;
use super::{Core, Stop};
use crate::ports::Record;

/// The items of one batch.
#[derive(Default)]
pub(super) struct Items {
    /// In the order in which they are done.
    pub work: Vec<Work>,
    /// Positions that followers have reached when these are done.
    pub positions: Vec<(usize, u64)>,
    /// The rebuild's position when this is done.
    pub rebuilt_to: Option<u64>,
}

/// Housekeeping comes round so often, in milliseconds.
const HOUSEKEEPING_MS: i64 = 60_000;

impl Core {
    /// Consumers get at least half of a batch while they have a backlog, so that accepting cannot starve finishing.
    pub(super) fn gather(&mut self, items: &mut Items) -> Result<(), Stop> {
        let room = self.batch_items.max(1);
        if !self.in_trouble() {
            if self.last_rebuild_page() {
                return self.gather_rebuild(items);
            }
            let for_consumers = room.div_ceil(2).max(room.saturating_sub(self.commands.len()));
            self.gather_inside(items, for_consumers)?;
        }
        let for_commands = room.saturating_sub(items.work.len()).min(self.commands.len());
        items.work.extend(self.commands.drain(..for_commands).map(Work::Command));
        Ok(())
    }

    fn gather_inside(&mut self, items: &mut Items, room: usize) -> Result<(), Stop> {
        let share = room.div_ceil(3).max(1);
        if self.ended.len() < share {
            let refilled = self.effects.refill(self.store.as_mut()).map_err(Stop::Store)?;
            self.ended.extend(refilled);
        }
        let now_ms = self.now.as_millisecond();
        self.ended.extend(self.set_back.extract_if(.., |(until_ms, _)| *until_ms <= now_ms).map(|(_, ended)| ended));
        let ended = self.ended.len().min(share);
        items.work.extend(self.ended.drain(..ended).map(Work::Ended));
        self.gather_timers(items, room.min(items.work.len() + share))?;
        self.gather_parked(items, room)?;
        // Each batch begins with another follower, so that one with a long backlog does not hold up the others.
        self.first_follower = (self.first_follower + 1) % self.places.len().max(1);
        for place in 0..self.places.len() {
            let left = room.saturating_sub(items.work.len());
            self.gather_backlog(items, (self.first_follower + place) % self.places.len(), left)?;
        }
        // What timers and backlogs leave of the room is for further answers: finishing must keep up with accepting.
        let left = room.saturating_sub(items.work.len()).min(self.ended.len());
        items.work.extend(self.ended.drain(..left).map(Work::Ended));
        if items.work.len() < room {
            self.gather_rebuild(items)?;
        }
        self.housekeeping()
    }

    fn gather_rebuild(&mut self, items: &mut Items) -> Result<(), Stop> {
        if let Some(records) = self.next_rebuild_page()? {
            items.rebuilt_to = records.last().map(|record| record.seq);
            items.work.push(Work::Rebuild(records));
        }
        Ok(())
    }

    fn gather_timers(&mut self, items: &mut Items, room: usize) -> Result<(), Stop> {
        let now_ms = self.now.as_millisecond();
        if self.next_timer_ms.is_none_or(|due| due > now_ms) || items.work.len() >= room {
            return Ok(());
        }
        let room = room - items.work.len();
        let mut most = room;
        let (held, mut ready) = loop {
            let due = self.store.timers_due(now_ms, most).map_err(Stop::Store)?;
            let all = due.len() < most;
            let (held, ready): (Vec<_>, Vec<_>) = due.into_iter().partition(|timer| self.is_paused(self.service_of(timer.table)));
            // The timers of a paused service must not stand before those of the others.
            if all || ready.len() >= room {
                break (held, ready);
            }
            most = most.saturating_mul(2);
        };
        ready.truncate(room);
        // What is taken is cleared by this batch's commit, and the commit looks up what is next then.
        self.next_timer_ms = match (held.is_empty(), ready.is_empty()) {
            (_, false) => None,
            (false, true) => Some(now_ms + 1_000),
            (true, true) => self.store.next_timer().map_err(Stop::Store)?,
        };
        items.work.extend(ready.into_iter().map(Work::Timer));
        Ok(())
    }

    fn gather_parked(&mut self, items: &mut Items, room: usize) -> Result<(), Stop> {
        let room_now = room.saturating_sub(items.work.len());
        let due = self.parking.due(self.now.as_millisecond(), room_now, |follower| !self.places[follower].paused);
        for (follower, key) in due {
            let name = &self.model.followers[follower].name;
            let rows = self.store.parked(name, &key, room.saturating_sub(items.work.len()).max(1)).map_err(Stop::Store)?;
            if rows.is_empty() {
                self.parking.release(follower, &key);
            }
            items.work.extend(rows.into_iter().map(|row| Work::Event {
                follower,
                parked: Some((row.place, row.attempts)),
                record: Arc::new(row.record),
            }));
        }
        Ok(())
    }

    fn gather_backlog(&mut self, items: &mut Items, follower: usize, room: usize) -> Result<(), Stop> {
        if room == 0 || self.places[follower].paused {
            return Ok(());
        }
        let behind = self.places[follower].own && self.places[follower].read_to < self.last_seq;
        if behind && self.places[follower].backlog.len() < room {
            let read_to = self.places[follower].read_to;
            let records = self.store.log_after(read_to, self.limits.backlog).map_err(Stop::Store)?;
            self.places[follower].read_to = records.last().map_or(self.last_seq, |record| record.seq);
            self.places[follower].backlog.extend(shared(records));
        }
        let mut reached = None;
        let mut taken = 0;
        while taken < room {
            let Some(record) = self.places[follower].backlog.pop_front() else { break };
            reached = Some(record.seq);
            if self.model.followers[follower].cares(&record.event_type) {
                items.work.push(Work::Event { follower, record, parked: None });
                taken += 1;
            }
        }
        let at_end = self.places[follower].backlog.is_empty();
        let place = &self.places[follower];
        // An empty backlog means that everything up to what was read is handled, pruned gaps included.
        let reached = if at_end { (place.read_to > place.position).then_some(place.read_to) } else { reached };
        items.positions.extend(reached.map(|seq| (follower, seq)));
        Ok(())
    }

    /// Events of another system's topic: each follower takes what it has not read yet.
    pub(super) fn accept_foreign(&mut self, topic: &str, records: Vec<Record>) {
        let records = shared(records);
        for (place, follower) in self.places.iter_mut().zip(&self.model.followers) {
            // One that did not ask may be further behind than where these begin: it asks for its own.
            if follower.topic != topic || !place.has_room(self.limits.backlog) {
                continue;
            }
            for record in &records {
                if record.seq > place.read_to && place.backlog.len() < self.limits.backlog {
                    place.read_to = record.seq;
                    place.backlog.push_back(record.clone());
                }
            }
        }
    }

    /// Which other topics the core has room for: topic, position behind which to read, and how many records.
    pub fn wants(&self) -> Vec<(String, u64, usize)> {
        let mut wants: Vec<(String, u64, usize)> = Vec::new();
        for (place, follower) in self.places.iter().zip(&self.model.followers) {
            if !place.has_room(self.limits.backlog) {
                continue;
            }
            let room = self.limits.backlog.saturating_sub(place.backlog.len());
            match wants.iter_mut().find(|(topic, _, _)| *topic == follower.topic) {
                Some((_, after, _)) => *after = (*after).min(place.read_to),
                None => wants.push((follower.topic.clone(), place.read_to, room)),
            }
        }
        wants
    }

    /// Old events and answers go, a bounded number at a time.
    fn housekeeping(&mut self) -> Result<(), Stop> {
        let now_ms = self.now.as_millisecond();
        if now_ms < self.next_housekeeping_ms {
            return Ok(());
        }
        let before_ms = self.limits.retention_ms.map_or(i64::MIN, |kept| now_ms.saturating_sub(kept));
        let rebuilt = self.rebuild.iter().filter(|running| running.failed.is_none()).map(|running| running.position);
        let passed = self.places.iter().filter(|place| place.own).map(|place| place.position).chain(rebuilt).min();
        let most = self.limits.batch_items;
        let gone = self.store.prune(before_ms, passed.unwrap_or(0), now_ms, most).map_err(Stop::Store)?;
        self.next_housekeeping_ms = if gone >= most as u64 { now_ms } else { now_ms.saturating_add(HOUSEKEEPING_MS) };
        Ok(())
    }

    pub(super) fn in_trouble(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.until_ms > self.now.as_millisecond())
    }

    /// Whether there is something to do at once.
    pub(super) fn has_more(&self) -> bool {
        if !self.commands.is_empty() {
            return self.limbo.is_none();
        }
        if self.in_trouble() || self.limbo.is_some() {
            return false;
        }
        let unread =
            |place: &Place| !place.paused && (!place.backlog.is_empty() || (place.own && place.position < self.last_seq));
        let rebuilding = self.rebuild.as_ref().is_some_and(|running| running.failed.is_none());
        let wanted = self.rebuild_wanted.is_some() || !self.discards.is_empty();
        !self.ended.is_empty()
            || self.effects.busy()
            || self.effects.hungry()
            || rebuilding
            || wanted
            || self.places.iter().any(unread)
    }

    /// When there is something to do without any input.
    pub(super) fn wake_ms(&self) -> Option<i64> {
        if let Some(trouble) = &self.trouble {
            return Some(trouble.until_ms);
        }
        let parked_ms = self.parking.next_ms(|follower| !self.places[follower].paused);
        let set_back_ms = self.set_back.iter().map(|(until_ms, _)| *until_ms).min();
        let parts = [self.next_timer_ms, self.effects.next_ms(), parked_ms, self.waiters.next_ms(), set_back_ms];
        parts.into_iter().flatten().chain([self.next_housekeeping_ms]).min()
    }
}
