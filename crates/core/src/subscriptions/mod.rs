//! Subscriptions: where each stands in each partition that is assigned to this instance, and what is parked for it.

mod cursor;
mod parking;
mod queues;

use std::collections::BTreeMap;
use std::sync::Arc;

use defects::{Defect, has};
use kernel::policy::StartFrom;
use ports::model::Subscription;
use ports::{Delivery, Model, OffsetUpdate, Partition, Record, ServiceId, Store, StoreError, SubscriptionId};

use crate::ids::{CursorId, Queue};
use crate::items::{Item, Items, Reached};
use crate::status::ConsumerStatus;

use cursor::{PartitionCursor, Phase};
pub use parking::{Head, HeadChange, Parking};

/// All cursors of a core, and the keys that are parked at them.
pub struct Subscriptions {
    model: Arc<Model>,
    cursors: Vec<PartitionCursor>,
    /// The keys whose events are parked.
    pub parking: Parking,
    /// Offsets that were handed over by an earlier consumer of the group.
    handed_over: BTreeMap<Partition, u64>,
    /// The own topic, too, comes from a broker.
    by_broker: bool,
    /// Services that handle no events and timers now, by their number in the system.
    paused: Vec<bool>,
    /// The cursor whose backlog the next batch takes from first.
    first: usize,
}

impl Subscriptions {
    /// Without cursors yet.
    pub fn new(model: Arc<Model>, by_broker: bool) -> Self {
        let paused = vec![false; model.system.services.len()];
        let (cursors, handed_over) = (Vec::new(), BTreeMap::new());
        Self { model, cursors, parking: Parking::default(), handed_over, by_broker, paused, first: 0 }
    }

    /// Opens the cursors in the own log, which are there from the start, and reads what is parked for the services.
    pub fn open_own(&mut self, store: &mut dyn Store, last_seq: u64) -> Result<(), StoreError> {
        let topic = self.model.system.topic;
        for subscription in self.model.subscriptions() {
            if !self.by_broker && self.model.subscription(subscription).topic == topic {
                self.cursors.push(PartitionCursor::opening(subscription, Partition::only(topic), true, last_seq));
            }
        }
        for queue in queues::of_services(&self.model) {
            self.restore_queue(queue, store)?;
        }
        self.open_pending(store)
    }

    /// Partitions of a broker are assigned to this instance, each with its present end.
    pub fn assign(&mut self, partitions: Vec<(Partition, u64)>) {
        for (partition, end) in partitions {
            for number in self.model.subscriptions() {
                let subscription = self.model.subscription(number);
                if subscription.topic != partition.topic {
                    continue;
                }
                let paused = self.paused[subscription.service.0];
                let same = |cursor: &&mut PartitionCursor| cursor.subscription == number && cursor.partition == partition;
                if let Some(cursor) = self.cursors.iter_mut().find(same) {
                    (cursor.phase, cursor.paused) = (Phase::Opening { end }, paused);
                } else {
                    let cursor = PartitionCursor::opening(number, partition.clone(), false, end);
                    self.cursors.push(PartitionCursor { paused, ..cursor });
                }
            }
        }
    }

    /// Partitions are revoked: their cursors do nothing any more.
    pub fn revoke(&mut self, partitions: &[Partition]) {
        for (number, cursor) in self.cursors.iter_mut().enumerate().filter(|(_, cursor)| !cursor.own) {
            if partitions.contains(&cursor.partition) {
                cursor.phase = Phase::Closed;
                cursor.rewind();
                self.parking.forget(Queue::Cursor(CursorId(number)));
            }
        }
    }

    /// An earlier consumer of the group hands over where it stands.
    pub fn hand_over(&mut self, offsets: Vec<(Partition, u64)>) {
        self.handed_over.extend(offsets);
    }

    /// Another instance may have moved the offsets: they are read again.
    pub fn reopen(&mut self) {
        // A cursor that is new here may no longer be new to the store.
        let assigned = |cursor: &&mut PartitionCursor| !cursor.own && matches!(cursor.phase, Phase::Open | Phase::New);
        for cursor in self.cursors.iter_mut().filter(assigned) {
            cursor.phase = Phase::Opening { end: cursor.offset };
        }
    }

    /// Whatever was read ahead is read again from the committed offsets.
    pub fn rewind(&mut self) {
        self.cursors.iter_mut().for_each(PartitionCursor::rewind);
    }

    /// Reads the offsets of the opening cursors; those without one are new.
    pub fn open_pending(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        let opening = |cursor: &PartitionCursor| matches!(cursor.phase, Phase::Opening { .. });
        while let Some(number) = self.cursors.iter().position(opening) {
            self.open(CursorId(number), store)?;
        }
        Ok(())
    }

    fn open(&mut self, id: CursorId, store: &mut dyn Store) -> Result<(), StoreError> {
        let cursor = &mut self.cursors[id.0];
        let Phase::Opening { end } = cursor.phase else { return Ok(()) };
        let subscription = self.model.subscription(cursor.subscription);
        let stored = store.consumer_offset(&subscription.name, &cursor.partition)?;
        cursor.stored = stored.as_ref().map(|stored| stored.position);
        // The consumer that hands over may have read on meanwhile.
        let handed_over = self.handed_over.get(&cursor.partition).copied();
        let handed_over = handed_over.filter(|offset| cursor.stored.is_none_or(|stored| stored < *offset));
        cursor.phase = if cursor.stored.is_some() && handed_over.is_none() { Phase::Open } else { Phase::New };
        cursor.restore(stored.unwrap_or_default());
        if cursor.phase == Phase::New {
            cursor.offset = handed_over.unwrap_or(if subscription.from == StartFrom::Now { end } else { 0 });
            cursor.rewind();
        }
        self.restore_queue(Queue::Cursor(id), store)
    }

    /// Reads the parked keys of a queue.
    fn restore_queue(&mut self, queue: Queue, store: &mut dyn Store) -> Result<(), StoreError> {
        let (name, partition) = self.name_of(queue);
        let heads = store.parked_heads(&name, partition)?;
        self.parking.forget(queue);
        for head in &heads {
            self.parking.restore(queue, head);
        }
        Ok(())
    }

    /// The name under which a queue's work is parked, and its partition.
    pub fn name_of(&self, queue: Queue) -> (String, u32) {
        match (queue, queues::name_of(&self.model, queue)) {
            (Queue::Cursor(id), _) => (self.of(id).name.clone(), self.cursor(id).partition.number),
            (_, name) => (name.unwrap_or_default(), 0),
        }
    }

    /// Whether a queue is worked on: its cursor consumes, or its service is not paused.
    fn works(&self, queue: Queue) -> bool {
        match queue {
            Queue::Cursor(id) => self.cursor(id).consumes(),
            Queue::Timers(service) | Queue::Answers(service) => !self.paused[service.0],
        }
    }

    fn queues(&self) -> impl Iterator<Item = Queue> + use<> {
        (0..self.cursors.len()).map(|number| Queue::Cursor(CursorId(number))).chain(queues::of_services(&self.model))
    }

    /// Whether the store does not know the offset of some cursor yet.
    pub fn has_new(&self) -> bool {
        self.cursors.iter().any(|cursor| cursor.phase == Phase::New)
    }

    /// The updates that give new cursors their first offset.
    pub fn first_offsets(&self) -> Vec<OffsetUpdate> {
        let new = self.cursors.iter().filter(|cursor| cursor.phase == Phase::New);
        let updates = new.map(|cursor| OffsetUpdate {
            subscription: self.model.subscription(cursor.subscription).name.clone(),
            partition: cursor.partition.clone(),
            from: cursor.stored,
            to: cursor.offset,
            numbers: Vec::new(),
        });
        updates.collect()
    }

    /// The first offsets are committed: their cursors consume.
    pub fn first_offsets_committed(&mut self) {
        let new = self.cursors.iter_mut().filter(|cursor| cursor.phase == Phase::New);
        new.for_each(|cursor| cursor.phase = Phase::Open);
    }

    /// The update of a cursor that a batch takes further.
    pub fn offset_update(&self, reached: &Reached) -> OffsetUpdate {
        let cursor = self.cursor(reached.cursor);
        OffsetUpdate {
            subscription: self.of(reached.cursor).name.clone(),
            partition: cursor.partition.clone(),
            from: Some(cursor.offset),
            to: reached.to,
            numbers: reached.numbers.iter().map(|(outbox, number)| (outbox.clone(), *number)).collect(),
        }
    }

    /// A batch is committed that took cursors further and changed parked keys.
    pub fn advance(&mut self, reached: &[Reached], heads: Vec<HeadChange>) {
        for reached in reached {
            self.cursors[reached.cursor.0].advance(reached);
        }
        for HeadChange { queue, key, head } in heads {
            self.parking.set(queue, &key, head);
        }
    }

    /// A view was rebuilt up to this position: its cursor goes on from there, and nothing of it is parked any more.
    pub fn rebuilt(&mut self, id: CursorId, position: u64) {
        self.parking.forget(Queue::Cursor(id));
        self.cursors[id.0].offset = position;
        self.cursors[id.0].rewind();
    }

    /// A cursor.
    pub fn cursor(&self, id: CursorId) -> &PartitionCursor {
        &self.cursors[id.0]
    }

    /// The subscription of a cursor.
    pub fn of(&self, id: CursorId) -> &Subscription {
        self.model.subscription(self.cursor(id).subscription)
    }

    /// The cursor of a subscription in the own log.
    pub fn own_cursor(&self, subscription: SubscriptionId) -> Option<CursorId> {
        self.cursors.iter().position(|cursor| cursor.own && cursor.subscription == subscription).map(CursorId)
    }

    /// The queues of that name in which this key is parked: one for each partition of a subscription.
    pub fn parked_at(&self, name: &str, key: &str) -> Vec<Queue> {
        self.queues().filter(|queue| self.parking.holds(*queue, key) && self.name_of(*queue).0 == name).collect()
    }

    /// Pauses or resumes a service.
    pub fn pause(&mut self, service: &str, paused: bool) {
        let services = self.model.system.services.iter();
        services.zip(&mut self.paused).filter(|(def, _)| def.name == service).for_each(|(_, is)| *is = paused);
        for cursor in &mut self.cursors {
            cursor.paused = self.paused[self.model.subscription(cursor.subscription).service.0];
        }
    }

    /// Whether a service is paused.
    pub fn is_paused(&self, service: ServiceId) -> bool {
        self.paused[service.0]
    }

    /// The cursors that have handled everything that is committed, the items of the present batch included: its own events
    /// reach them in this very batch.
    pub fn at_end(&self, reached: &[Reached], last_seq: u64) -> Vec<CursorId> {
        let at_end = |id: &CursorId| {
            let cursor = self.cursor(*id);
            let offset = reached.iter().find(|reached| reached.cursor == *id).map_or(cursor.offset, |reached| reached.to);
            cursor.own && cursor.consumes() && cursor.backlog.is_empty() && offset == last_seq
        };
        (0..self.cursors.len()).map(CursorId).filter(at_end).collect()
    }

    /// An event, for each of these cursors whose subscription handles it.
    pub fn items_of(&self, cursors: &[CursorId], record: &Arc<Record>) -> Vec<Item> {
        let handling = cursors.iter().filter(|id| self.of(**id).handles(&record.event_type));
        handling.map(|id| Item::Event { cursor: *id, record: record.clone(), parked: None }).collect()
    }

    /// Parked work whose next try is due.
    pub fn take_parked(&mut self, store: &mut dyn Store, now_ms: i64, room: usize, items: &mut Items) -> Result<(), StoreError> {
        let room_now = room.saturating_sub(items.work.len());
        let due = self.parking.due(now_ms, room_now, |queue| self.works(queue));
        for (queue, key) in due {
            let limit = room.saturating_sub(items.work.len()).max(1);
            let (name, partition) = self.name_of(queue);
            let rows = store.parked(&name, partition, &key, limit)?;
            if rows.is_empty() {
                self.parking.release(queue, &key);
            }
            for row in rows {
                if let Some(item) = queues::item_of(&self.model, queue, row) {
                    items.work.push(item);
                } else {
                    tracing::error!(queue = name, key, "what is parked there belongs to no declared table; it waits");
                    self.parking.set(queue, &key, Head { next_try_ms: 0, dead: true });
                }
            }
        }
        Ok(())
    }

    /// Events from the cursors' backlogs. Each batch begins with another cursor, so that a long backlog does not hold up the
    /// others.
    pub fn take_backlogs(
        &mut self,
        store: &mut dyn Store,
        (room, read_ahead): (usize, usize),
        last_seq: u64,
        items: &mut Items,
    ) -> Result<(), StoreError> {
        let cursors = self.cursors.len();
        self.first = (self.first + 1) % cursors.max(1);
        for turn in 0..cursors {
            let id = CursorId((self.first + turn) % cursors);
            let left = room.saturating_sub(items.work.len());
            if left > 0 && self.cursor(id).consumes() {
                self.read_own_log(store, id, (left, read_ahead), last_seq)?;
                self.take_backlog(id, left, items);
            }
        }
        Ok(())
    }

    /// A cursor in the own log reads on by itself where it lacks events.
    fn read_own_log(
        &mut self,
        store: &mut dyn Store,
        id: CursorId,
        (room, read_ahead): (usize, usize),
        last_seq: u64,
    ) -> Result<(), StoreError> {
        let cursor = &mut self.cursors[id.0];
        if cursor.own && cursor.read_to < last_seq && cursor.backlog.len() < room {
            let records = store.log_after(cursor.read_to, read_ahead)?;
            cursor.read_to = records.last().map_or(last_seq, |record| record.seq);
            cursor.backlog.extend(records.into_iter().map(|record| Arc::new(Delivery { record, stamp: None })));
        }
        Ok(())
    }

    fn take_backlog(&mut self, id: CursorId, room: usize, items: &mut Items) {
        let model = &self.model;
        let cached = model.system.external.filter(|_| !model.enrichment_caches.is_empty()).map(|external| external.cached);
        let cursor = &mut self.cursors[id.0];
        let subscription = model.subscription(cursor.subscription);
        let (mut to, mut numbers, mut taken) = (None, BTreeMap::new(), 0);
        while taken < room {
            let Some(delivery) = cursor.backlog.pop_front() else { break };
            to = Some(delivery.record.seq);
            let is_new = cursor.is_new(&delivery, &numbers) || has(Defect::RelayedTwice);
            if let Some(stamp) = delivery.stamp.as_ref().filter(|_| is_new) {
                numbers.insert(stamp.outbox.clone(), stamp.number);
            }
            let event_type = delivery.record.event_type.as_str();
            if is_new && (subscription.handles(event_type) || cached == Some(event_type)) {
                let record = Arc::new(delivery.record.clone());
                items.work.push(Item::Event { cursor: id, record, parked: None });
                taken += 1;
            }
        }
        // An empty backlog means that everything up to what was read is handled, pruned gaps included.
        let all = cursor.backlog.is_empty().then_some(cursor.read_to);
        let to = all.or(to).filter(|to| *to > cursor.offset);
        items.reached.extend(to.map(|to| Reached { cursor: id, to, numbers }));
    }

    /// Records of a broker: each cursor of that partition reads ahead what it has not read yet.
    pub fn deliver(&mut self, partition: &Partition, deliveries: Vec<Delivery>, limit: usize) {
        let deliveries: Vec<Arc<Delivery>> = deliveries.into_iter().map(Arc::new).collect();
        // A cursor that did not ask may be further behind than where these begin: it asks for its own.
        let asking = self.cursors.iter_mut().filter(|cursor| cursor.partition == *partition && cursor.has_room(limit));
        asking.for_each(|cursor| cursor.read_ahead(&deliveries, limit));
    }

    /// What is wanted of a broker: the partition, the position after which to read, and how many records.
    pub fn wants(&self, limit: usize) -> Vec<(Partition, u64, usize)> {
        let mut wants: Vec<(Partition, u64, usize)> = Vec::new();
        for cursor in self.cursors.iter().filter(|cursor| cursor.has_room(limit)) {
            let room = limit.saturating_sub(cursor.backlog.len());
            match wants.iter_mut().find(|(partition, _, _)| *partition == cursor.partition) {
                Some((_, after, _)) => *after = (*after).min(cursor.read_to),
                None => wants.push((cursor.partition.clone(), cursor.read_to, room)),
            }
        }
        wants
    }

    /// Another instance may have handled what is parked here, or parked more: a key must not be held for what is gone.
    pub fn refresh_parked(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        for queue in self.queues() {
            let held = self.parking.keys(queue);
            // What comes for a cursor is parked by its owner alone; timers and answers are any instance's.
            let own = matches!(queue, Queue::Cursor(_));
            if (own && held.is_empty()) || !self.works(queue) {
                continue;
            }
            let (name, partition) = self.name_of(queue);
            let heads = store.parked_heads(&name, partition)?;
            for key in held.iter().filter(|key| heads.iter().all(|head| head.key != **key)) {
                self.parking.release(queue, key);
            }
            // What came later is the head now. A dead head may have been redriven here, which the store does not know.
            for head in &heads {
                if !head.dead || !self.parking.holds(queue, &head.key) {
                    self.parking.restore(queue, head);
                }
            }
        }
        Ok(())
    }

    /// The position that every cursor in the own log has passed, together with a running rebuild: what is older may be
    /// pruned. Without such a cursor, everything that is published may.
    pub fn passed(&self, rebuild: Option<u64>) -> u64 {
        let own = self.cursors.iter().filter(|cursor| cursor.own).map(|cursor| cursor.offset);
        own.chain(rebuild).min().unwrap_or(if self.by_broker { u64::MAX } else { 0 })
    }

    /// Whether some cursor has something to do at once.
    pub fn has_more(&self, last_seq: u64) -> bool {
        let pending = |cursor: &PartitionCursor| matches!(cursor.phase, Phase::Opening { .. } | Phase::New);
        self.cursors.iter().any(|cursor| cursor.is_behind(last_seq) || pending(cursor))
    }

    /// When the next parked work is tried, milliseconds since 1970.
    pub fn next_ms(&self) -> Option<i64> {
        self.parking.next_ms(|queue| self.works(queue))
    }

    /// How each cursor that is assigned is doing.
    pub fn status(&self, last_seq: u64) -> Vec<ConsumerStatus> {
        let assigned = self.cursors.iter().filter(|cursor| cursor.phase != Phase::Closed);
        let status = assigned.map(|cursor| ConsumerStatus {
            name: self.model.subscription(cursor.subscription).name.clone(),
            topic: cursor.partition.topic.clone(),
            partition: cursor.partition.number,
            position: cursor.offset,
            lag: if cursor.own { last_seq - cursor.offset } else { cursor.read_to - cursor.offset },
        });
        status.collect()
    }
}
