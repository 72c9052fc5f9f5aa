//! One partition, read in order from a position.
//!
//! The client prefetches into a bounded queue of the partition's own; records are taken out of it when they are asked for, so
//! that nothing has to be paused. A position far from the last one is a seek.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ports::{BrokerError, Delivery, Partition};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::arrival::Arrival;
use super::context::ReaderContext;
use super::waker::Waker;
use super::window::{KEPT, Window};
use crate::client;
use crate::log_throttle::LogThrottle;

/// A position at most so far ahead is read up to, without a seek.
const NEAR: u64 = 1_024;

/// A seek is acknowledged by the client's own thread, within microseconds, unless the partition is not being fetched yet.
const SEEK: Duration = Duration::from_millis(250);

/// After a seek, how long the next one waits for the first record from there. Without that, subscriptions whose positions are
/// far apart would seek back and forth, and none would read anything.
const SEEK_HOLD: Duration = Duration::from_millis(500);

/// After so many failed seeks the partition is assigned to the client anew.
const SEEKS: u32 = 8;

/// The reader of one partition.
pub struct Cursor {
    consumer: Arc<BaseConsumer<ReaderContext>>,
    waker: Arc<Waker>,
    partition: Partition,
    topic: Arc<str>,
    queue: PartitionQueue<ReaderContext>,
    /// Records behind `from`, up to `next`.
    window: Window,
    from: u64,
    next: u64,
    state: State,
    /// When it was sent elsewhere, as long as nothing was read from there.
    sought_at: Option<Instant>,
    /// The end was met, and nothing since.
    at_end: bool,
    skipped: LogThrottle,
    errors: LogThrottle,
    keyless: bool,
}

/// Whether the records in the queue follow the cursor's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A seek is due; so many have failed.
    SeekDue(u32),
    /// The first record has not come yet: it tells whether the position still exists.
    Sought,
    /// Records follow the position.
    Reading,
    /// The topic ends before the position: all records are below it.
    PastEnd,
}

impl Cursor {
    /// Begins at a position. Records that were fetched for an earlier cursor may still be in the queue: a seek outdates them.
    pub fn open(
        consumer: &Arc<BaseConsumer<ReaderContext>>,
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
            window: Window::default(),
            from: after,
            next: after,
            state: if again { State::SeekDue(0) } else { State::Sought },
            sought_at: None,
            at_end: false,
            skipped: LogThrottle::default(),
            errors: LogThrottle::default(),
            keyless: false,
        };
        cursor.assign()?;
        Ok(cursor)
    }

    /// Records behind a position that have been prefetched.
    pub fn take(&mut self, after: u64, limit: usize) -> Result<Vec<Delivery>, BrokerError> {
        if after < self.from || after > self.next.saturating_add(NEAR) {
            if self.sought_at.is_some_and(|since| since.elapsed() < SEEK_HOLD) {
                self.waker.later(&self.topic);
                return Ok(Vec::new());
            }
            self.move_to(after);
        }
        if let State::SeekDue(attempts) = self.state {
            self.seek(attempts)?;
        }
        if let Some(dropped) = self.window.trim(after) {
            self.from = dropped;
        }
        let fatal = if matches!(self.state, State::SeekDue(_)) { None } else { self.fill(after, limit) };
        let found = self.window.after(after, limit);
        if !found.is_empty() || self.at_end {
            self.sought_at = None;
        }
        match fatal {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    /// Everything before this offset was seen, or the end was met.
    pub fn has_reached(&self, end: u64) -> bool {
        !matches!(self.state, State::SeekDue(_)) && (self.next >= end || self.at_end)
    }

    /// The client need not fetch the partition any more.
    pub fn close(&mut self) {
        if let Ok(list) = self.list(Offset::Invalid)
            && let Err(error) = self.consumer.incremental_unassign(&list)
        {
            tracing::warn!(partition = %self.partition, %error, "the partition goes on being fetched though no reader needs it");
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

    fn move_to(&mut self, after: u64) {
        tracing::debug!(partition = %self.partition, from = self.from, next = self.next, after, "seeks");
        self.window.clear();
        (self.from, self.next) = (after, after);
        (self.state, self.sought_at, self.at_end) = (State::SeekDue(0), Some(Instant::now()), false);
    }

    /// The call outdates the records in the queue, whether the client succeeds or not.
    fn seek(&mut self, attempts: u32) -> Result<(), BrokerError> {
        let offset = Offset::Offset(client::offset(self.next));
        match self.consumer.seek(&self.partition.topic, client::signed(self.partition.number), offset, SEEK) {
            Ok(()) => self.state = State::Sought,
            Err(error) => {
                self.state = State::SeekDue(attempts + 1);
                if (attempts + 1).is_multiple_of(SEEKS) {
                    tracing::warn!(partition = %self.partition, %error, "the partition is not being fetched yet; it is assigned anew");
                    self.close();
                    self.assign()?;
                }
                self.waker.later(&self.topic);
            }
        }
        Ok(())
    }

    /// Takes from the queue until there are so many records behind a position.
    fn fill(&mut self, after: u64, limit: usize) -> Option<BrokerError> {
        let mut found = self.window.len_after(after);
        // Messages that are not events do not count; but the work per call stays bounded.
        for _ in 0..limit.saturating_mul(4).max(KEPT) {
            if found >= limit {
                return None;
            }
            match self.polled()? {
                Ok(arrival) => found += usize::from(self.arrived(arrival) && self.next > after),
                Err(KafkaError::PartitionEOF(_)) => self.at_end = true,
                Err(error) => return Some(self.note_error(&error)),
            }
        }
        self.waker.later(&self.topic);
        None
    }

    fn polled(&self) -> Option<Result<Arrival, KafkaError>> {
        let polled = self.queue.poll(Duration::ZERO)?;
        Some(polled.map(|message| Arrival::read(&message)))
    }

    /// True if there is one more in the window.
    fn arrived(&mut self, arrival: Arrival) -> bool {
        self.at_end = false;
        if self.state == State::Sought {
            self.state = State::Reading;
            if arrival.offset > self.next {
                self.check_gap(arrival.offset);
            }
        }
        if arrival.offset < self.next {
            if self.state != State::PastEnd {
                self.state = State::PastEnd;
                metrics::counter!("pabal_kafka_out_of_range_total", "topic" => self.partition.topic.clone()).increment(1);
                tracing::error!(partition = %self.partition, position = self.next, offset = arrival.offset,
                    "the topic ends before the position that was reached: it was recreated or has lost records; its records are skipped");
            }
            return false;
        }
        self.next = arrival.offset + 1;
        match arrival.event {
            Ok(delivery) => {
                self.keep(delivery, arrival.keyless);
                return true;
            }
            Err(not_an_event) => {
                let (topic, reason) = (self.partition.topic.clone(), not_an_event.label());
                metrics::counter!("pabal_kafka_skipped_total", "topic" => topic, "reason" => reason).increment(1);
                if let Some(times) = self.skipped.allow() {
                    tracing::warn!(partition = %self.partition, offset = arrival.offset, times, reason = %not_an_event, "a message is no event and was skipped");
                }
            }
        }
        false
    }

    fn keep(&mut self, delivery: Delivery, keyless: bool) {
        if keyless && !self.keyless && self.partition.number > 0 {
            self.keyless = true;
            tracing::warn!(partition = %self.partition,
                "a producer writes records without keys to a topic of several partitions: their order is not kept");
        }
        if self.window.push(delivery) {
            metrics::counter!("pabal_kafka_republished_total", "topic" => self.partition.topic.clone()).increment(1);
        }
    }

    /// Offsets may have gaps; but records that retention removed before they were read are lost to this reader.
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

    /// The client retries by itself, unless the error is fatal.
    fn note_error(&mut self, error: &KafkaError) -> BrokerError {
        metrics::counter!("pabal_kafka_errors_total").increment(1);
        if let Some(times) = self.errors.allow() {
            tracing::warn!(partition = %self.partition, %error, times, "cannot be read at the moment");
        }
        self.waker.later(&self.topic);
        client::failed(&self.partition.to_string(), error)
    }
}
