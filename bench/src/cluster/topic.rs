//! What Kafka does without anything of ours behind it: the same client with the same settings, and the very events of sagas.

use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use broker_kafka::{Admin, KafkaBroker, KafkaPublisher, Options, Topics};
use ports::{Broker, GroupMember, Partition, Publisher, Record, Stamp};

use crate::args::Run;
use crate::failed::{Failed, failed};
use crate::numbers::to_f64;
use crate::rounds::commits;

/// Records that are waited for at once: as many as a relay sends.
const BATCH: usize = 1_000;
/// So many are read at once, as the core does.
const FETCH: usize = 1_024;
/// A topic that is not read by then never will be.
const PATIENCE: Duration = Duration::from_mins(1);

/// Records a second.
pub struct Rates {
    /// Produced, one relay's batch after the other.
    pub produced: f64,
    /// Produced one by one, each waited for.
    pub singly: f64,
    /// Consumed.
    pub consumed: f64,
    /// Bytes of a record's value.
    pub bytes: f64,
}

/// What an installation decides about a broker.
pub fn options(kafka: &str, partitions: u32) -> Options {
    Options { topics: Topics { partitions, ..Topics::default() }, ..Options::at(kafka) }
}

/// Measures it. Blocks.
pub fn measure(args: &Run, kafka: &str) -> Result<Rates, Failed> {
    let (options, topic, lasts) = (options(kafka, args.partitions), "raw", args.lasts() / 4);
    let events = events(args)?;
    let bytes = to_f64(events.iter().map(|event| event.data.len() as u64).sum()) / to_f64(events.len().max(1) as u64);
    Admin::new(&options).map_err(failed)?.ensure(&[topic.to_owned()]).map_err(failed)?;
    let mut publisher = KafkaPublisher::new(&options).map_err(failed)?;
    let mut number = 0;
    let mut batch = |size: usize| -> Vec<(Stamp, Record)> {
        let next = events.iter().cycle().skip(usize::try_from(number).unwrap_or(0) % events.len().max(1)).take(size);
        let stamped = next.map(|event| {
            number += 1;
            (Stamp { outbox: "raw".to_owned(), number }, event.clone())
        });
        stamped.collect()
    };
    // The first one finds the broker.
    publisher.publish(topic, &batch(1)).map_err(failed)?;
    let produced = produce(&mut publisher, topic, || batch(BATCH), lasts)?;
    let singly = produce(&mut publisher, topic, || batch(1), lasts / 2)?;
    let consumed = consume(&options, topic)?;
    Ok(Rates { produced, singly, consumed, bytes })
}

/// The events of sagas, as the core writes them.
fn events(args: &Run) -> Result<Vec<Record>, Failed> {
    let commits = commits::record(args, 64, false, if args.quick { 256 } else { 4_096 })?;
    let events: Vec<Record> = commits.iter().flat_map(|commit| &commit.log).cloned().collect();
    if events.is_empty() { Err(failed("a saga has no events")) } else { Ok(events) }
}

/// Only the time within the client counts, not that of making records.
fn produce(
    publisher: &mut KafkaPublisher,
    topic: &str,
    mut batch: impl FnMut() -> Vec<(Stamp, Record)>,
    lasts: Duration,
) -> Result<f64, Failed> {
    let (mut spent, mut count) = (Duration::ZERO, 0);
    while spent < lasts {
        let records = batch();
        let started = Instant::now();
        publisher.publish(topic, &records).map_err(failed)?;
        spent += started.elapsed();
        count += records.len() as u64;
    }
    Ok(to_f64(count) / spent.as_secs_f64())
}

/// A member of a group, as a service is.
struct Seat(Sender<Vec<Partition>>);

impl GroupMember for Seat {
    fn assigned(&self, partitions: Vec<Partition>) {
        let _ = self.0.send(partitions); // a reader that has ended reads nothing
    }

    fn revoked(&self, _: Vec<Partition>) {}
}

fn consume(options: &Options, topic: &str) -> Result<f64, Failed> {
    let broker = KafkaBroker::new(options).map_err(failed)?;
    let (given, got) = channel();
    broker.join("raw", &[topic.to_owned()], Box::new(Seat(given))).map_err(failed)?;
    let began = Instant::now();
    let mut places: Vec<(Partition, u64, u64)> = Vec::new();
    while places.len() < options.topics.partitions.max(1) as usize {
        let partitions = got.recv_timeout(PATIENCE.saturating_sub(began.elapsed())).map_err(failed)?;
        for partition in partitions {
            let end = broker.end(&partition).map_err(failed)?;
            places.push((partition, 0, end));
        }
    }
    let (started, mut count) = (Instant::now(), 0);
    while places.iter().any(|(_, at, end)| at < end) {
        let before = count;
        for (partition, at, _) in &mut places {
            let found = broker.fetch(partition, *at, FETCH).map_err(failed)?;
            count += found.len() as u64;
            *at = found.last().map_or(*at, |last| last.record.seq);
        }
        if count == before {
            std::thread::sleep(Duration::from_micros(200));
        }
        if started.elapsed() > PATIENCE {
            return Err(failed("the topic was not read to its end"));
        }
    }
    Ok(to_f64(count) / started.elapsed().as_secs_f64())
}

/// The last positions of a topic's partitions, together. Blocks.
pub fn records(options: &Options, topic: &str) -> Result<u64, Failed> {
    let broker = KafkaBroker::new(options).map_err(failed)?;
    let partitions = (0..options.topics.partitions.max(1)).map(|number| Partition { topic: topic.to_owned(), number });
    partitions.map(|partition| broker.end(&partition).map_err(failed)).sum()
}
