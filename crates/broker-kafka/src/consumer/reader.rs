//! The client that fetches, and a cursor for each partition that is read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ports::{BrokerError, Delivery, Partition};
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::context::ReaderContext;
use super::cursor::Cursor;
use super::lock;
use super::waker::Waker;
use crate::auth_failure::ReportsAuthFailure;
use crate::client;
use crate::config::Options;

/// How often the client reports statistics, from which the lag is measured.
const STATISTICS_MS: u64 = 10_000;

/// Reads partitions from wherever it is asked to.
pub struct Reader {
    /// First, so that their queues are gone before the client.
    cursors: Mutex<BTreeMap<Partition, Arc<Mutex<Cursor>>>>,
    consumer: Arc<BaseConsumer<ReaderContext>>,
    waker: Arc<Waker>,
    request: Duration,
    /// Partitions that have been read before: records of that time may still be in the client's queue.
    read_before: Mutex<BTreeSet<Partition>>,
}

impl Reader {
    pub fn new(options: &Options, waker: Arc<Waker>) -> Result<Self, BrokerError> {
        let mut config = client::reading(options)?;
        config.set("isolation.level", "read_committed");
        config.set("queued.min.messages", options.prefetch_records.max(1).to_string());
        config.set("queued.max.messages.kbytes", options.prefetch_kb.max(1).to_string());
        // A full queue is checked again soon: by default a reader that has caught up waits a second.
        config.set("fetch.queue.backoff.ms", "10");
        // A partition that is new to the client waits for the fetch in flight: 100 ms, in place of half a second.
        config.set("fetch.wait.max.ms", "100");
        config.set("statistics.interval.ms", STATISTICS_MS.to_string());
        let consumer = client::create(&config, ReaderContext::default())?;
        let (cursors, read_before) = (Mutex::default(), Mutex::default());
        Ok(Self { consumer: Arc::new(consumer), waker, request: options.request(), cursors, read_before })
    }

    /// Serves the client's events, and updates the lag of each partition.
    pub fn serve(&self, positions: &BTreeMap<Partition, u64>) {
        while let Some(event) = self.consumer.poll(Duration::ZERO) {
            if let Err(error) = event {
                tracing::debug!(%error, "the reading client");
            }
        }
        for (partition, end) in std::mem::take(&mut *lock(&self.consumer.context().ends)) {
            if let Some(position) = positions.get(&partition) {
                #[allow(clippy::cast_precision_loss, reason = "a gauge is a float, and a lag beyond 2^52 is no figure any more")]
                let lag = end.saturating_sub(*position) as f64;
                metrics::gauge!("pabal_kafka_lag", "topic" => partition.topic, "partition" => partition.number.to_string())
                    .set(lag);
            }
        }
    }

    /// What has been prefetched; the watchers are woken when there is more.
    pub fn ready(&self, partition: &Partition, after: u64, limit: usize) -> Result<Vec<Delivery>, BrokerError> {
        let cursor = self.cursor(partition, after)?;
        let mut cursor = lock(&cursor);
        cursor.take(after, limit)
    }

    /// Waits until there are so many records, or the end is reached.
    pub fn waited_for(&self, partition: &Partition, after: u64, limit: usize) -> Result<Vec<Delivery>, BrokerError> {
        let (_, end) = self.watermarks(partition, false)?;
        if after >= end {
            return Ok(Vec::new());
        }
        let cursor = self.cursor(partition, after)?;
        let mut cursor = lock(&cursor);
        let deadline = Instant::now() + self.request;
        loop {
            let found = cursor.take(after, limit)?;
            if found.len() >= limit || cursor.has_reached(end) {
                return Ok(found);
            }
            if Instant::now() >= deadline {
                let late = || BrokerError(format!("{partition} is not read within {} ms", self.request.as_millis()));
                return if found.is_empty() { Err(late()) } else { Ok(found) };
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Closes the cursors of partitions that were revoked.
    pub fn forget(&self, partitions: &[Partition]) {
        let gone: Vec<_> = partitions.iter().filter_map(|partition| lock(&self.cursors).remove(partition)).collect();
        for cursor in gone {
            lock(&cursor).close();
        }
    }

    /// The first offset that is there, and the one behind the last. Of what does not exist both are 0, unless it is known to.
    pub fn watermarks(&self, partition: &Partition, exists: bool) -> Result<(u64, u64), BrokerError> {
        match self.consumer.fetch_watermarks(&partition.topic, client::signed(partition.number), self.request) {
            Ok((low, high)) => {
                self.consumer.context().auth_failure().clear();
                Ok((client::unsigned(low), client::unsigned(high)))
            }
            Err(error)
                if !exists && error.rdkafka_error_code().is_some_and(client::is_unknown) && self.is_missing(partition)? =>
            {
                Ok((0, 0))
            }
            Err(error) => client::answered(&self.consumer, || format!("the end of {partition}"), Err(error)),
        }
    }

    /// A partition whose leader is not known for a moment is called unknown, too.
    fn is_missing(&self, partition: &Partition) -> Result<bool, BrokerError> {
        let known = client::partitions(self.consumer.as_ref(), &partition.topic, self.request)?;
        Ok(!known.is_some_and(|known| known.contains(&client::signed(partition.number))))
    }

    fn cursor(&self, partition: &Partition, after: u64) -> Result<Arc<Mutex<Cursor>>, BrokerError> {
        let mut cursors = lock(&self.cursors);
        if let Some(cursor) = cursors.get(partition) {
            return Ok(cursor.clone());
        }
        let again = !lock(&self.read_before).insert(partition.clone());
        let cursor = Cursor::open(&self.consumer, &self.waker, partition, after, again)?;
        let cursor = Arc::new(Mutex::new(cursor));
        cursors.insert(partition.clone(), cursor.clone());
        Ok(cursor)
    }
}
