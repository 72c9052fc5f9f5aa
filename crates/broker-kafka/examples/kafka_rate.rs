//! How many records a second go to a topic and come from it: `PABAL_TEST_KAFKA=host:port cargo run --release --example kafka_rate`.

use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use broker_kafka::{Admin, KafkaBroker, KafkaPublisher, Options, Topics};
use kernel::event::Cause;
use ports::{Broker, GroupMember, Partition, Publisher, Record, Stamp};

const RECORDS: u64 = 400_000;

struct Seat(Sender<Vec<Partition>>);

impl GroupMember for Seat {
    fn assigned(&self, partitions: Vec<Partition>) {
        let _ = self.0.send(partitions);
    }

    fn revoked(&self, _: Vec<Partition>) {}
}

fn record(number: u64) -> (Stamp, Record) {
    let key = format!("msg-{}", number % 10_000);
    let data = format!("{{\"eventType\":\"SendSuccess\",\"id\":{number},\"messageId\":\"{key}\",\"text\":\"{:a<120}\"}}", "");
    let cause = Cause { actor: "anonymous".into(), request: format!("r-{number}"), ..Cause::default() };
    let record = Record {
        seq: 0,
        id: format!("0197-{number}"),
        source: "message".into(),
        event_type: "SendSuccess".into(),
        version: 1,
        key,
        time_ms: 1_700_000_000_000,
        data: data.into_bytes(),
        cause,
    };
    (Stamp { outbox: "rate".into(), number }, record)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = Options::at(&std::env::var("PABAL_TEST_KAFKA")?);
    options.topics = Topics { partitions: 4, replication: 1, ..Topics::default() };
    let topic = format!("rate-{}", std::process::id());
    Admin::new(&options)?.ensure(std::slice::from_ref(&topic))?;
    let records: Vec<(Stamp, Record)> = (1..=RECORDS).map(record).collect();
    let mut publisher = KafkaPublisher::new(&options)?;
    publisher.publish(&topic, &records[..1])?;
    for size in [1, 100, 500, 2_000, 10_000] {
        let share = if size == 1 { &records[..2_000] } else { &records[..(size * 200).min(400_000)] };
        let began = Instant::now();
        for batch in share.chunks(size) {
            publisher.publish(&topic, batch)?;
        }
        tell(&format!("published, batches of {size}"), share.len(), began.elapsed());
    }
    let (given, got) = channel();
    let broker = KafkaBroker::new(&options)?;
    let began = Instant::now();
    broker.join(&topic, std::slice::from_ref(&topic), Box::new(Seat(given)))?;
    let partitions = got.recv_timeout(Duration::from_secs(20))?;
    println!("joined in {} ms", began.elapsed().as_millis());
    let ends: Vec<u64> = partitions.iter().map(|partition| broker.end(partition)).collect::<Result<_, _>>()?;
    let mut places = vec![0; partitions.len()];
    let began = Instant::now();
    let mut count = 0;
    while places != ends {
        for (partition, after) in partitions.iter().zip(&mut places) {
            let found = broker.fetch(partition, *after, 1_000)?;
            count += found.len();
            *after = found.last().map_or(*after, |last| last.record.seq);
        }
    }
    tell("fetched", count, began.elapsed());
    // One at a time, there and back.
    let mut times = Vec::new();
    for one in &records[..500] {
        let began = Instant::now();
        publisher.publish(&topic, std::slice::from_ref(one))?;
        while partitions.iter().zip(&mut places).all(|(partition, after)| match broker.fetch(partition, *after, 10) {
            Ok(found) if !found.is_empty() => {
                *after += found.len() as u64;
                false
            }
            _ => true,
        }) {}
        times.push(began.elapsed());
    }
    times.sort();
    println!("there and back, one at a time: p50 {:?}, p99 {:?}", times[250], times[495]);
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
fn tell(what: &str, records: usize, time: Duration) {
    println!("{what}: {records} in {} ms, {:.0}/s", time.as_millis(), records as f64 / time.as_secs_f64());
}
