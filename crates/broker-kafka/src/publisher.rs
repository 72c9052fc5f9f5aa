//! The writing side: one idempotent producer for each relay.
//!
//! The producer keeps the order of what it is given, writes nothing twice over a broken connection, and stops for good
//! rather than leave a gap: what fails takes everything behind it with it. Then it is made anew, and the relay first looks
//! for what has arrived.

mod acks;
mod back;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ports::{BrokerError, Publisher, Record, Stamp};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

use self::acks::{Acks, Batch};
use crate::client;
use crate::config::Options;
use crate::wire;

/// The client gives a record up by itself; this long after that it is not believed any more.
const GRACE: Duration = Duration::from_secs(5);

/// The client's own queue is full: so long until it is tried again, unless something is acknowledged before.
const FULL: Duration = Duration::from_millis(20);

/// Publishes an outbox.
pub struct KafkaPublisher {
    options: Options,
    producer: Option<ThreadedProducer<Acks>>,
    /// Records were given up that may still lie in a socket of the broker.
    unsure: bool,
}

/// A broker that hung works off what lies in its sockets within such a time, mostly. What comes later stands in the topic
/// twice; our own readers know it by its number.
const LATE: Duration = Duration::from_millis(500);

impl KafkaPublisher {
    /// A publisher; the broker need not answer yet. Fails over settings only.
    pub fn new(options: &Options) -> Result<Self, BrokerError> {
        let mut publisher = Self { options: options.clone(), producer: None, unsure: false };
        publisher.producer()?;
        Ok(publisher)
    }

    fn producer(&mut self) -> Result<&ThreadedProducer<Acks>, BrokerError> {
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => produce(&self.options)?,
        };
        Ok(self.producer.insert(producer))
    }

    fn send(&mut self, topic: &str, records: &[(Stamp, Record)]) -> Result<(), BrokerError> {
        let generation = self.options.topics.generation(topic);
        let within = Duration::from_millis(self.options.times.delivery_ms) + GRACE;
        let request = self.options.request();
        let producer = self.producer()?;
        let deadline = Instant::now() + within;
        let batch = Arc::new(Batch::default());
        for (stamp, record) in records {
            let message = wire::write(Some(stamp), record, generation);
            let headers = message.headers.iter().fold(OwnedHeaders::new_with_capacity(20), |headers, (key, value)| {
                headers.insert(Header { key, value: Some(value.as_bytes()) })
            });
            let mut out = BaseRecord::with_opaque_to(topic, batch.clone()).payload(&message.value).headers(headers);
            if let Some(key) = message.key {
                out = out.key(key);
            }
            batch.sent();
            while let Err((error, back)) = producer.send(out) {
                let full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                if !full || Instant::now() >= deadline || batch.failure().is_some() {
                    batch.unsent();
                    return Err(batch.failure().unwrap_or_else(|| refused(topic, &error)));
                }
                batch.wait(FULL);
                out = back;
            }
        }
        let refusal = &producer.client().context().refusal;
        // Whoever was never let in need not wait for as long as somebody whose record may be under way.
        batch.wait(request);
        let outcome = if batch.is_open() && !producer.client().context().was_let_in() && refusal.now().is_some() {
            Err(batch.unanswered())
        } else {
            batch.done(deadline)
        };
        match outcome {
            Ok(()) => {
                refusal.is_over();
                Ok(())
            }
            Err(error) => Err(refusal.explain(BrokerError(format!("{topic}: {}", error.0)))),
        }
    }
}

impl Publisher for KafkaPublisher {
    fn publish(&mut self, topic: &str, records: &[(Stamp, Record)]) -> Result<(), BrokerError> {
        let outcome = self.send(topic, records);
        match &outcome {
            Ok(()) => {
                metrics::counter!("pabal_kafka_published_total", "topic" => topic.to_owned()).increment(records.len() as u64);
            }
            Err(error) => {
                metrics::counter!("pabal_kafka_publish_failures_total", "topic" => topic.to_owned()).increment(1);
                tracing::error!(topic, records = records.len(), %error, "records were not acknowledged; the producer is made anew");
                // Whatever it still holds is thrown away: it must not arrive behind what comes next.
                (self.producer, self.unsure) = (None, true);
            }
        }
        outcome
    }

    fn published(&mut self, topic: &str, outbox: &str, after: u64) -> Result<BTreeSet<u64>, BrokerError> {
        let mut found = back::look_back(&self.options, topic, outbox, after)?;
        if self.unsure {
            std::thread::sleep(LATE);
            found = back::look_back(&self.options, topic, outbox, after)?;
            self.unsure = false;
        }
        if !found.is_empty() {
            metrics::counter!("pabal_kafka_found_total", "topic" => topic.to_owned()).increment(found.len() as u64);
            tracing::info!(
                topic,
                outbox,
                after,
                found = found.len(),
                "an earlier relay has published records without marking them"
            );
        }
        Ok(found)
    }
}

fn refused(topic: &str, error: &KafkaError) -> BrokerError {
    client::failed(&format!("{topic}: the producer takes no more"), error)
}

fn produce(options: &Options) -> Result<ThreadedProducer<Acks>, BrokerError> {
    let mut config = client::config(options)?;
    config.set("acks", "all");
    config.set("enable.idempotence", "true");
    config.set("enable.gapless.guarantee", "true");
    // As Java's clients and the services beside us do it: one key, one partition, whoever writes.
    config.set("partitioner", "murmur2_random");
    config.set("message.timeout.ms", options.times.delivery_ms.to_string());
    config.set("linger.ms", options.times.linger_ms.to_string());
    config.set("compression.codec", &options.compression);
    config.set("queue.buffering.max.messages", "100000");
    config.set("queue.buffering.max.kbytes", "65536");
    client::create(&config, Acks::default())
}
