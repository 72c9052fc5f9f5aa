//! One partition, read in order from a position.
//!
//! The client fetches ahead into a bounded queue of the partition's own; records are taken out of it when they are asked
//! for, so that nothing has to be paused. What was given stays a while: followers of one partition stand at slightly
//! different places, and the slower one should not send the client back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ports::{BrokerError, Delivery, Partition};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::reader::Ear;
use super::waker::Waker;
use crate::client;
use crate::seldom::Seldom;
use crate::wire;

/// Records that were given and are kept, at most, and their bytes.
const KEPT: usize = 2_048;
const KEPT_BYTES: usize = 8 << 20;

/// So far ahead is read to rather than sought.
const NEAR: u64 = 1_024;

/// A seek is acknowledged by the client's own thread, within microseconds, unless the partition is not under way yet.
const SEEK: Duration = Duration::from_millis(250);

/// Whoever has sent the client elsewhere gets something from there before the next one does, unless it takes this long.
/// Followers that stand far apart would else send it back and forth, and none would get anything.
const HOLD: Duration = Duration::from_millis(500);

/// So many seeks may fail before the partition is given to the client anew.
const SEEKS: u32 = 8;

/// The reader of one partition.
pub struct Cursor {
    consumer: Arc<BaseConsumer<Ear>>,
    waker: Arc<Waker>,
    partition: Partition,
    topic: Arc<str>,
    queue: PartitionQueue<Ear>,
    /// Records behind `from`, up to `next`.
    window: VecDeque<Delivery>,
    bytes: usize,
    from: u64,
    next: u64,
    place: Place,
    /// Sent elsewhere, and nothing was given from there yet.
    held: Option<Instant>,
    /// The end was met, and nothing since.
    at_end: bool,
    /// The last number of each outbox, to see what was sent twice.
    numbers: BTreeMap<String, u64>,
    skipped: Seldom,
    errors: Seldom,
    keyless: bool,
}

/// Whether what comes out of the queue belongs to where the cursor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The client must be sent there first; so many attempts have failed.
    Lost(u32),
    /// The first record has not come yet: it tells whether the place still exists.
    New,
    /// Under way.
    Known,
    /// The topic ends before this place: all that comes is behind the reader.
    Beyond,
}

impl Cursor {
    /// Begins at a position. What was read before, by an earlier cursor, may still lie in the queue: a seek tells it apart.
    pub fn open(
        consumer: &Arc<BaseConsumer<Ear>>,
        waker: &Arc<Waker>,
        partition: &Partition,
        after: u64,
        again: bool,
    ) -> Result<Self, BrokerError> {
        let no_queue = || BrokerError(format!("{partition} is no partition"));
        let queue = consumer.split_partition_queue(&partition.topic, client::signed(partition.number));
        let mut queue = queue.ok_or_else(no_queue)?;
        let topic: Arc<str> = Arc::from(partition.topic.as_str());
        let (signal, of) = (waker.clone(), topic.clone());
        queue.set_nonempty_callback(move || signal.signal(&of));
        let cursor = Self {
            consumer: consumer.clone(),
            waker: waker.clone(),
            partition: partition.clone(),
            topic,
            queue,
            window: VecDeque::new(),
            bytes: 0,
            from: after,
            next: after,
            place: if again { Place::Lost(0) } else { Place::New },
            held: None,
            at_end: false,
            numbers: BTreeMap::new(),
            skipped: Seldom::default(),
            errors: Seldom::default(),
            keyless: false,
        };
        cursor.assign()?;
        Ok(cursor)
    }

    /// Records behind a position that are there already.
    pub fn take(&mut self, after: u64, limit: usize) -> Result<Vec<Delivery>, BrokerError> {
        if after < self.from || after > self.next.saturating_add(NEAR) {
            if self.held.is_some_and(|since| since.elapsed() < HOLD) {
                self.waker.later(&self.topic);
                return Ok(Vec::new());
            }
            self.go_to(after);
        }
        if let Place::Lost(attempts) = self.place {
            self.seek(attempts)?;
        }
        self.trim(after);
        let fatal = if matches!(self.place, Place::Lost(_)) { None } else { self.fill(after, limit) };
        let behind = self.window.partition_point(|delivery| delivery.record.seq <= after);
        let found: Vec<Delivery> = self.window.iter().skip(behind).take(limit).cloned().collect();
        if !found.is_empty() || self.at_end {
            self.held = None;
        }
        match fatal {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    /// Everything before this offset was seen, or the end was met.
    pub fn has_reached(&self, end: u64) -> bool {
        !matches!(self.place, Place::Lost(_)) && (self.next >= end || self.at_end)
    }

    /// The client need not fetch it any more.
    pub fn leave(&mut self) {
        if let Ok(list) = self.list(Offset::Invalid)
            && let Err(error) = self.consumer.incremental_unassign(&list)
        {
            tracing::warn!(partition = %self.partition, %error, "it goes on being fetched for nobody");
        }
    }

    fn list(&self, offset: Offset) -> Result<TopicPartitionList, BrokerError> {
        let mut list = TopicPartitionList::new();
        let added = list.add_partition_offset(&self.partition.topic, client::signed(self.partition.number), offset);
        added.map_err(|error| client::failed(&self.partition.to_string(), &error))?;
        Ok(list)
    }

    fn assign(&self) -> Result<(), BrokerError> {
        let list = self.list(Offset::Offset(client::offset(self.next)))?;
        let assigned = self.consumer.incremental_assign(&list);
        assigned.map_err(|error| client::failed(&format!("{} cannot be read", self.partition), &error))
    }

    fn go_to(&mut self, after: u64) {
        tracing::debug!(partition = %self.partition, from = self.from, next = self.next, after, "reads elsewhere");
        self.window.clear();
        self.numbers.clear();
        self.bytes = 0;
        (self.from, self.next) = (after, after);
        (self.place, self.held, self.at_end) = (Place::Lost(0), Some(Instant::now()), false);
    }

    /// What is in the queue by now is outdated by the call itself, whether the client succeeds or not.
    fn seek(&mut self, attempts: u32) -> Result<(), BrokerError> {
        let offset = Offset::Offset(client::offset(self.next));
        match self.consumer.seek(&self.partition.topic, client::signed(self.partition.number), offset, SEEK) {
            Ok(()) => self.place = Place::New,
            Err(error) => {
                self.place = Place::Lost(attempts + 1);
                if (attempts + 1).is_multiple_of(SEEKS) {
                    tracing::warn!(partition = %self.partition, %error, "not under way yet; it is begun anew");
                    self.leave();
                    self.assign()?;
                }
                self.waker.later(&self.topic);
            }
        }
        Ok(())
    }

    /// Forgets what has been given long ago.
    fn trim(&mut self, after: u64) {
        while self.window.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some(seq) = self.window.front().map(|delivery| delivery.record.seq).filter(|seq| *seq <= after) else { return };
            self.bytes -= self.window.pop_front().map_or(0, |delivery| size(&delivery));
            self.from = seq;
        }
    }

    /// Takes from the queue until there are so many records behind a position.
    fn fill(&mut self, after: u64, limit: usize) -> Option<BrokerError> {
        let passed = self.window.partition_point(|delivery| delivery.record.seq <= after);
        let mut found = self.window.len() - passed;
        // Messages that are no events do not count; but they must not keep the caller for long, either.
        for _ in 0..limit.saturating_mul(4).max(KEPT) {
            if found >= limit {
                return None;
            }
            match self.polled()? {
                Ok(arrival) => found += usize::from(self.arrived(arrival) && self.next > after),
                Err(KafkaError::PartitionEOF(_)) => self.at_end = true,
                Err(error) => return Some(self.troubled(&error)),
            }
        }
        self.waker.later(&self.topic);
        None
    }

    fn polled(&self) -> Option<Result<Arrival, KafkaError>> {
        let polled = self.queue.poll(Duration::ZERO)?;
        Some(polled.map(|message| Arrival::of(&message)))
    }

    /// True if there is one more in the window.
    fn arrived(&mut self, arrival: Arrival) -> bool {
        self.at_end = false;
        if self.place == Place::New {
            self.place = Place::Known;
            if arrival.offset > self.next {
                self.check_gap(arrival.offset);
            }
        }
        if arrival.offset < self.next {
            if self.place != Place::Beyond {
                self.place = Place::Beyond;
                metrics::counter!("pabal_kafka_out_of_range_total", "topic" => self.partition.topic.clone()).increment(1);
                tracing::error!(partition = %self.partition, position = self.next, offset = arrival.offset,
                    "the topic ends before the position that was reached: it was made anew or has lost records; what it has is passed");
            }
            return false;
        }
        self.next = arrival.offset + 1;
        match arrival.read {
            Ok(delivery) => {
                self.keep(delivery, arrival.keyless);
                return true;
            }
            Err(garbage) => {
                let (topic, reason) = (self.partition.topic.clone(), garbage.label());
                metrics::counter!("pabal_kafka_skipped_total", "topic" => topic, "reason" => reason).increment(1);
                if let Some(times) = self.skipped.now() {
                    tracing::warn!(partition = %self.partition, offset = arrival.offset, times, reason = %garbage, "a message is no event and was skipped");
                }
            }
        }
        false
    }

    fn keep(&mut self, delivery: Delivery, keyless: bool) {
        if keyless && !self.keyless && self.partition.number > 0 {
            self.keyless = true;
            tracing::warn!(partition = %self.partition,
                "somebody writes without keys to a topic of several partitions: their order is not kept");
        }
        if let Some(stamp) = &delivery.stamp {
            let last = self.numbers.entry(stamp.outbox.clone()).or_default();
            if stamp.number <= *last {
                metrics::counter!("pabal_kafka_republished_total", "topic" => self.partition.topic.clone()).increment(1);
            }
            *last = stamp.number.max(*last);
        }
        self.bytes += size(&delivery);
        self.window.push_back(delivery);
    }

    /// Offsets may have gaps; but records that retention took before they were read are lost to this reader.
    fn check_gap(&self, first: u64) {
        let (topic, number) = (&self.partition.topic, client::signed(self.partition.number));
        match self.consumer.fetch_watermarks(topic, number, Duration::from_secs(1)) {
            Ok((low, _)) if client::unsigned(low) <= self.next => {}
            Ok((low, _)) => {
                metrics::counter!("pabal_kafka_out_of_range_total", "topic" => topic.clone()).increment(1);
                tracing::error!(partition = %self.partition, position = self.next, earliest = low, lost = client::unsigned(low) - self.next,
                    "records were removed before they were read; it goes on with the earliest");
            }
            Err(error) => tracing::warn!(partition = %self.partition, %error, first, "whether records are missing is not known"),
        }
    }

    /// The client tries again by itself, unless it cannot.
    fn troubled(&mut self, error: &KafkaError) -> BrokerError {
        metrics::counter!("pabal_kafka_errors_total").increment(1);
        if let Some(times) = self.errors.now() {
            tracing::warn!(partition = %self.partition, %error, times, "cannot be read at the moment");
        }
        self.waker.later(&self.topic);
        client::failed(&self.partition.to_string(), error)
    }
}

/// A message out of the queue.
struct Arrival {
    offset: u64,
    keyless: bool,
    read: Result<Delivery, wire::Garbage>,
}

impl Arrival {
    fn of(message: &BorrowedMessage<'_>) -> Self {
        let offset = client::unsigned(message.offset());
        Self { offset, keyless: message.key().is_none(), read: wire::read(&client::arrived(message)) }
    }
}

fn size(delivery: &Delivery) -> usize {
    delivery.record.data.len() + 400
}
