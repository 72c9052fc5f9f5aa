//! Followers' places: where each stands in each partition that is its own now, and what has been read ahead for it.

use std::collections::{BTreeMap, VecDeque};

use kernel::policy::StartFrom;

use super::{Core, Stop};
use ports::{ConsumerOffset, Delivery, OffsetUpdate, Partition, StoreError};

/// One follower in one partition. A place keeps its number for as long as the core lives, also while it is another's.
pub struct Place {
    /// The follower's number.
    pub subscription: usize,
    /// The partition.
    pub partition: Partition,
    /// It follows its own system's log, not a broker.
    pub own: bool,
    /// Whether it is at work.
    pub phase: Phase,
    /// Its service is paused.
    pub paused: bool,
    /// Where a new place stood before, if it ever did.
    pub stored: Option<u64>,
    /// The last position whose handling is committed.
    pub position: u64,
    /// The last number of each outbox whose handling is committed.
    pub numbers: BTreeMap<String, u64>,
    /// The last position that was read ahead.
    pub read_to: u64,
    /// Read ahead and not yet taken into a batch.
    pub backlog: VecDeque<Shared>,
}

/// A delivery that several followers share.
pub type Shared = std::sync::Arc<Delivery>;

/// Whether a place is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Where it stands must be read from the store first. A follower that was never there begins at this end, if it does
    /// not begin at the beginning.
    Opening { end: u64 },
    /// It stands where it begins, or was handed over, and no store knows it yet.
    New,
    /// At work.
    Open,
    /// Another process's.
    Closed,
}

/// How far a place has come by a batch.
pub struct Reached {
    /// The place's number.
    pub place: usize,
    /// The position.
    pub to: u64,
    /// The last numbers of outboxes.
    pub numbers: BTreeMap<String, u64>,
}

impl Place {
    /// A place whose standing must be read.
    pub fn opening(subscription: usize, partition: Partition, own: bool, end: u64) -> Self {
        let phase = Phase::Opening { end };
        let (numbers, backlog) = (BTreeMap::new(), VecDeque::new());
        Self { subscription, partition, own, phase, paused: false, stored: None, position: 0, numbers, read_to: 0, backlog }
    }

    /// It is at work, and its service is not paused.
    pub fn works(&self) -> bool {
        self.phase == Phase::Open && !self.paused
    }

    /// It follows a broker and asks for more.
    pub fn has_room(&self, most: usize) -> bool {
        !self.own && self.works() && most.saturating_sub(self.backlog.len()) >= most / 2
    }

    /// It has what is behind what it has handled, or can read it.
    pub fn is_behind(&self, last_seq: u64) -> bool {
        self.works() && (!self.backlog.is_empty() || (self.own && self.position < last_seq))
    }

    /// Forgets what was read ahead: it is read again from the committed position.
    pub fn rewind(&mut self) {
        self.backlog.clear();
        self.read_to = self.position;
    }

    fn stand(&mut self, consumer_offset: ConsumerOffset) {
        self.position = consumer_offset.position;
        self.numbers = consumer_offset.numbers.into_iter().collect();
        self.rewind();
    }

    /// A record that a relay has sent twice is known by its number.
    pub fn is_new(&self, delivery: &Delivery, taken: &BTreeMap<String, u64>) -> bool {
        let Some(stamp) = &delivery.stamp else { return true };
        let last = taken.get(&stamp.outbox).or_else(|| self.numbers.get(&stamp.outbox));
        last.is_none_or(|last| stamp.number > *last)
    }
}

impl Core {
    /// The followers of the own log have a place from the start.
    pub(super) fn open_own(&mut self) -> Result<(), StoreError> {
        let topic = self.model.system.topic;
        for subscription in 0..self.model.subscriptions.len() {
            if !self.by_broker && self.model.subscriptions[subscription].topic == topic {
                self.places.push(Place::opening(subscription, Partition::only(topic), true, self.last_seq));
                self.open(self.places.len() - 1)?;
            }
        }
        Ok(())
    }

    /// Partitions of a broker become this process's, each with its present end.
    pub(super) fn assigned(&mut self, partitions: Vec<(Partition, u64)>) {
        for (partition, end) in partitions {
            for subscription in 0..self.model.subscriptions.len() {
                if self.model.subscriptions[subscription].topic != partition.topic {
                    continue;
                }
                let mine = |place: &&mut Place| place.subscription == subscription && place.partition == partition;
                match self.places.iter_mut().find(mine) {
                    Some(place) => place.phase = Phase::Opening { end },
                    None => self.places.push(Place::opening(subscription, partition.clone(), false, end)),
                }
                let paused = self.paused[self.model.subscriptions[subscription].service];
                self.places.iter_mut().find(mine).into_iter().for_each(|place| place.paused = paused);
            }
        }
    }

    /// Partitions are another process's from now on: nothing is done with them any more.
    pub(super) fn revoked(&mut self, partitions: &[Partition]) {
        for (number, place) in self.places.iter_mut().enumerate().filter(|(_, place)| !place.own) {
            if partitions.contains(&place.partition) {
                place.phase = Phase::Closed;
                place.rewind();
                self.parking.leave(number);
            }
        }
    }

    /// Somebody else has moved what this process had in its hands: where its places stand is read again.
    pub(super) fn reopen(&mut self) {
        // One that is new here may be so no longer for others.
        let in_hand = |place: &&mut Place| !place.own && matches!(place.phase, Phase::Open | Phase::New);
        for place in self.places.iter_mut().filter(in_hand) {
            place.phase = Phase::Opening { end: place.position };
        }
    }

    /// Reads where the opening places stand; those that have never been anywhere are new.
    pub(super) fn open_places(&mut self) -> Result<(), Stop> {
        let opening = |place: &Place| matches!(place.phase, Phase::Opening { .. });
        while let Some(place) = self.places.iter().position(opening) {
            self.open(place).map_err(Stop::Store)?;
        }
        Ok(())
    }

    fn open(&mut self, number: usize) -> Result<(), StoreError> {
        let place = &mut self.places[number];
        let Phase::Opening { end } = place.phase else { return Ok(()) };
        let subscription = &self.model.subscriptions[place.subscription];
        let heads = self.store.parked_heads(&subscription.name, place.partition.number)?;
        let stood = self.store.consumer_offset(&subscription.name, &place.partition)?;
        place.stored = stood.as_ref().map(|consumer_offset| consumer_offset.position);
        // Who reads there meanwhile, and hands over, has come further.
        let handed = self.handed.get(&place.partition).copied().filter(|handed| place.stored.is_none_or(|at| at < *handed));
        place.phase = if place.stored.is_some() && handed.is_none() { Phase::Open } else { Phase::New };
        place.stand(stood.unwrap_or_default());
        if place.phase == Phase::New {
            place.position = handed.unwrap_or(if subscription.from == StartFrom::Now { end } else { 0 });
            place.rewind();
        }
        self.parking.leave(number);
        for head in &heads {
            self.parking.note(number, head);
        }
        Ok(())
    }

    /// The moves that give new places their first position.
    pub(super) fn first_moves(&self) -> Vec<OffsetUpdate> {
        let new = self.places.iter().filter(|place| place.phase == Phase::New);
        let moves = new.map(|place| OffsetUpdate {
            subscription: self.model.subscriptions[place.subscription].name.clone(),
            partition: place.partition.clone(),
            from: place.stored,
            to: place.position,
            numbers: Vec::new(),
        });
        moves.collect()
    }

    /// The move of a place that a batch has taken further.
    pub(super) fn place_move(&self, reached: &Reached) -> OffsetUpdate {
        let place = &self.places[reached.place];
        OffsetUpdate {
            subscription: self.model.subscriptions[place.subscription].name.clone(),
            partition: place.partition.clone(),
            from: Some(place.position),
            to: reached.to,
            numbers: reached.numbers.iter().map(|(outbox, number)| (outbox.clone(), *number)).collect(),
        }
    }
}
