//! What is ready to be done: fairly taken from the commands outside and from everything that waits inside.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::subscriptions::{Phase, Place, Reached};
use super::work::Work;
use super::{Core, Stop};
use defects::{Defect, has};
use ports::{Delivery, ParkedWork, Partition};

/// The items of one batch.
#[derive(Default)]
pub(super) struct Items {
    /// In the order in which they are done.
    pub work: Vec<Work>,
    /// How far places have come when these are done.
    pub reached: Vec<Reached>,
    /// The rebuild's position when this is done.
    pub rebuilt_to: Option<u64>,
}

/// Housekeeping comes round so often, in milliseconds.
const HOUSEKEEPING_MS: i64 = 60_000;

/// A shared store is looked at so often for what others have set or left, in milliseconds; also the pulse of the own lease.
const LOOK_MS: i64 = 1_000;

impl Core {
    /// Consumers get at least half of a batch while they have a backlog, so that accepting cannot starve finishing.
    pub(super) fn gather(&mut self, items: &mut Items) -> Result<(), Stop> {
        let room = self.batch_items.max(1);
        if !self.in_trouble() {
            if self.last_rebuild_page() {
                return self.gather_rebuild(items);
            }
            let for_consumers = room.div_ceil(2).max(room.saturating_sub(self.commands.len()));
            self.look_around()?;
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
        // Each batch begins with another place, so that one with a long backlog does not hold up the others.
        self.first_place = (self.first_place + 1) % self.places.len().max(1);
        for place in 0..self.places.len() {
            let left = room.saturating_sub(items.work.len());
            self.gather_backlog(items, (self.first_place + place) % self.places.len(), left)?;
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
        let due = self.parking.due(self.now.as_millisecond(), room_now, |place| self.places[place].works());
        for (place, key) in due {
            let Place { subscription, partition, .. } = &self.places[place];
            let name = &self.model.subscriptions[*subscription].name;
            let most = room.saturating_sub(items.work.len()).max(1);
            let rows = self.store.parked(name, partition.number, &key, most).map_err(Stop::Store)?;
            if rows.is_empty() {
                self.parking.release(place, &key);
            }
            for row in rows {
                let parked = Some((row.position, row.attempts));
                let ParkedWork::Event(record) = row.work else { continue };
                items.work.push(Work::Event { place, parked, record: Arc::new(record) });
            }
        }
        Ok(())
    }

    fn gather_backlog(&mut self, items: &mut Items, number: usize, room: usize) -> Result<(), Stop> {
        if room == 0 || !self.places[number].works() {
            return Ok(());
        }
        self.read_ahead(number, room)?;
        let subscription = self.places[number].subscription;
        let model = self.model.clone();
        let kept = model.system.foreign.filter(|_| !model.kept.is_empty()).map(|foreign| foreign.keeps);
        let place = &mut self.places[number];
        let (mut to, mut numbers, mut taken) = (None, BTreeMap::new(), 0);
        while taken < room {
            let Some(delivery) = place.backlog.pop_front() else { break };
            to = Some(delivery.record.seq);
            let is_new = place.is_new(&delivery, &numbers) || has(Defect::RelayedTwice);
            if let Some(stamp) = delivery.stamp.as_ref().filter(|_| is_new) {
                numbers.insert(stamp.outbox.clone(), stamp.number);
            }
            let event_type = delivery.record.event_type.as_str();
            if is_new && (model.subscriptions[subscription].handles(event_type) || kept == Some(event_type)) {
                let record = Arc::new(delivery.record.clone());
                items.work.push(Work::Event { place: number, record, parked: None });
                taken += 1;
            }
        }
        // An empty backlog means that everything up to what was read is handled, pruned gaps included.
        let all = place.backlog.is_empty().then_some(place.read_to);
        let to = all.or(to).filter(|to| *to > place.position);
        items.reached.extend(to.map(|to| Reached { place: number, to, numbers }));
        Ok(())
    }

    /// A place in the own log reads on by itself where it lacks events.
    fn read_ahead(&mut self, number: usize, room: usize) -> Result<(), Stop> {
        let place = &mut self.places[number];
        if place.own && place.read_to < self.last_seq && place.backlog.len() < room {
            let records = self.store.log_after(place.read_to, self.limits.backlog).map_err(Stop::Store)?;
            place.read_to = records.last().map_or(self.last_seq, |record| record.seq);
            place.backlog.extend(records.into_iter().map(|record| Arc::new(Delivery { record, stamp: None })));
        }
        Ok(())
    }

    /// Records of a broker: each place of that partition takes what it has not read yet.
    pub(super) fn delivered(&mut self, partition: &Partition, deliveries: Vec<Delivery>) {
        let deliveries: Vec<Arc<Delivery>> = deliveries.into_iter().map(Arc::new).collect();
        for place in self.places.iter_mut().filter(|place| place.partition == *partition) {
            // One that did not ask may be further behind than where these begin: it asks for its own.
            if !place.has_room(self.limits.backlog) {
                continue;
            }
            for delivery in &deliveries {
                if delivery.record.seq > place.read_to && place.backlog.len() < self.limits.backlog {
                    place.read_to = delivery.record.seq;
                    place.backlog.push_back(delivery.clone());
                }
            }
        }
    }

    /// Which partitions the core has room for: the position behind which to read, and how many records.
    pub fn wants(&self) -> Vec<(Partition, u64, usize)> {
        let mut wants: Vec<(Partition, u64, usize)> = Vec::new();
        for place in self.places.iter().filter(|place| place.has_room(self.limits.backlog)) {
            let room = self.limits.backlog.saturating_sub(place.backlog.len());
            match wants.iter_mut().find(|(partition, _, _)| *partition == place.partition) {
                Some((_, after, _)) => *after = (*after).min(place.read_to),
                None => wants.push((place.partition.clone(), place.read_to, room)),
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
        // Where nobody follows the log itself, what is sent may go.
        let passed = passed.unwrap_or(if self.by_broker { u64::MAX } else { 0 });
        let most = self.limits.batch_items;
        let gone = self.store.prune(before_ms, passed, now_ms, most).map_err(Stop::Store)?;
        self.next_housekeeping_ms = if gone >= most as u64 { now_ms } else { now_ms.saturating_add(HOUSEKEEPING_MS) };
        Ok(())
    }

    /// In a shared store others set timers, leave effects behind when they die, and settle what is waited for here.
    fn look_around(&mut self) -> Result<(), Stop> {
        let now_ms = self.now.as_millisecond();
        let given_up = self.waiters.next_ms().is_some_and(|deadline_ms| deadline_ms <= now_ms);
        if self.store.exclusive() || (now_ms < self.next_look_ms && !given_up) {
            return Ok(());
        }
        self.load(self.waiters.rows())?;
        self.next_timer_ms = self.store.next_timer().map_err(Stop::Store)?;
        let left = self.store.adopt(self.effects.room()).map_err(Stop::Store)?;
        self.pulse();
        let ended = self.effects.adopt(left);
        self.ended.extend(ended);
        self.look_after_parked()?;
        self.next_look_ms = now_ms.saturating_add(LOOK_MS);
        Ok(())
    }

    /// A process that had a partition before may have handled, as its last deed, what is parked there: a key must not be
    /// held for the sake of an event that is gone.
    fn look_after_parked(&mut self) -> Result<(), Stop> {
        for number in 0..self.places.len() {
            let held = self.parking.of(number);
            if held.is_empty() || !self.places[number].works() {
                continue;
            }
            let (name, partition) = (self.follower_at(number).name.clone(), self.places[number].partition.number);
            let heads = self.store.parked_heads(&name, partition).map_err(Stop::Store)?;
            for key in held.iter().filter(|key| heads.iter().all(|head| head.key != **key)) {
                self.parking.release(number, key);
            }
            // What had come behind it stands first now. A dead head may have been redriven here, which the store does not know.
            for head in heads.iter().filter(|head| !head.dead) {
                self.parking.note(number, head);
            }
        }
        Ok(())
    }

    /// The lease has just been prolonged.
    pub(super) fn pulse(&mut self) {
        self.pulse_ms = self.now.as_millisecond();
    }

    /// Far sides are called only in the first half of a lease: in the second, others may be about to take the calls over.
    pub(super) fn may_call(&self) -> bool {
        let silent_ms = self.now.as_millisecond().saturating_sub(self.pulse_ms);
        self.store.lease_ms().is_none_or(|lease_ms| silent_ms <= lease_ms / 2) || has(Defect::LeaseIgnored)
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
        let unread = |place: &Place| place.is_behind(self.last_seq) || matches!(place.phase, Phase::Opening { .. } | Phase::New);
        let rebuilding = self.rebuild.as_ref().is_some_and(|running| running.failed.is_none());
        let wanted = self.rebuild_wanted.is_some() || !self.discards.is_empty();
        !self.ended.is_empty()
            || (self.effects.busy() && self.may_call())
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
        let parked_ms = self.parking.next_ms(|place| self.places[place].works());
        let set_back_ms = self.set_back.iter().map(|(until_ms, _)| *until_ms).min();
        let parts = [self.next_timer_ms, self.effects.next_ms(), parked_ms, self.waiters.next_ms(), set_back_ms];
        let look_ms = (!self.store.exclusive()).then_some(self.next_look_ms);
        parts.into_iter().flatten().chain(look_ms).chain([self.next_housekeeping_ms]).min()
    }
}
