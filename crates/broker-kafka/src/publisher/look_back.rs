//! Looking back from a topic's end for the records of an outbox that the previous relay has published and not marked.
//!
//! In one partition an outbox's numbers rise, so that a number that is known to have arrived ends the search there. Each
//! round reads one range of every partition that is not done, four times as long as the one before, with a client of its
//! own: no record of an earlier range can be taken for one of the next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use ports::BrokerError;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use crate::client::{self, LoggingContext};
use crate::config::Options;
use crate::wire;

/// The first range of a partition, in offsets.
const FIRST: u64 = 1_000;

/// Part of one partition: the end is not in it.
#[derive(Debug, Clone, Copy)]
struct OffsetRange {
    low: u64,
    begin: u64,
    end: u64,
    looked: u64,
}

/// Numbers of an outbox above one that the topic has.
pub fn look_back(options: &Options, topic: &str, outbox: &str, after: u64) -> Result<BTreeSet<u64>, BrokerError> {
    let mut found = BTreeSet::new();
    let mut left = ends(options, topic)?;
    let mut length = FIRST;
    while !left.is_empty() {
        for range in left.values_mut() {
            let most = length.min(options.look_back.saturating_sub(range.looked).max(1));
            range.begin = range.end.saturating_sub(most).max(range.low);
        }
        let known = read(options, topic, &left, |stamp| {
            let ours = stamp.outbox == outbox;
            if ours && stamp.number > after {
                found.insert(stamp.number);
            }
            ours && stamp.number <= after
        })?;
        left.retain(|partition, range| {
            range.looked += range.end - range.begin;
            range.end = range.begin;
            let enough = range.looked >= options.look_back;
            if enough && range.begin > range.low && !known.contains(partition) {
                tracing::info!(topic, partition, looked = range.looked, "looked back as far as configured");
            }
            !known.contains(partition) && !enough && range.begin > range.low
        });
        length = length.saturating_mul(4);
    }
    Ok(found)
}

fn ends(options: &Options, topic: &str) -> Result<BTreeMap<i32, OffsetRange>, BrokerError> {
    let consumer: BaseConsumer<LoggingContext> = client::create(&client::config(options)?, LoggingContext::default())?;
    let known = client::partitions(&consumer, topic, options.request())?;
    let mut ends = BTreeMap::new();
    for partition in known.ok_or_else(|| BrokerError(format!("there is no topic {topic}")))? {
        let answer = consumer.fetch_watermarks(topic, partition, options.request());
        let (low, high) = client::answered(&consumer, || format!("the end of {topic}/{partition}"), answer)?;
        let (low, end) = (client::unsigned(low), client::unsigned(high));
        if end > low {
            ends.insert(partition, OffsetRange { low, begin: end, end, looked: 0 });
        }
    }
    Ok(ends)
}

/// Reads the ranges; returns the partitions in which a number up to the known one was found.
fn read(
    options: &Options,
    topic: &str,
    ranges: &BTreeMap<i32, OffsetRange>,
    mut meet: impl FnMut(&ports::Stamp) -> bool,
) -> Result<BTreeSet<i32>, BrokerError> {
    let mut config = client::reading(options)?;
    // Open transactions of other producers must not hide the records behind them.
    config.set("isolation.level", "read_uncommitted");
    let consumer: BaseConsumer<LoggingContext> = client::create(&config, LoggingContext::default())?;
    let mut list = TopicPartitionList::new();
    for (partition, range) in ranges {
        let begin = Offset::Offset(client::offset(range.begin));
        list.add_partition_offset(topic, *partition, begin).map_err(|error| client::failed(topic, &error))?;
    }
    consumer.assign(&list).map_err(|error| client::failed(topic, &error))?;
    let mut open: BTreeSet<i32> = ranges.keys().copied().collect();
    let mut known = BTreeSet::new();
    let mut deadline = Instant::now() + options.request();
    while !open.is_empty() {
        match consumer.poll(options.request() / 10) {
            Some(Ok(message)) => {
                deadline = Instant::now() + options.request();
                let (partition, offset) = (message.partition(), client::unsigned(message.offset()));
                let Some(range) = ranges.get(&partition) else { continue };
                if offset < range.end && wire::stamp(&client::arrived(&message)).is_some_and(|stamp| meet(&stamp)) {
                    known.insert(partition);
                }
                if offset + 1 >= range.end {
                    open.remove(&partition);
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(open.remove(&partition)),
            Some(Err(error)) => tracing::debug!(topic, %error, "while looking back"),
            None => {}
        }
        if Instant::now() >= deadline {
            return Err(BrokerError(format!("{topic}: its end cannot be read")));
        }
    }
    Ok(known)
}
