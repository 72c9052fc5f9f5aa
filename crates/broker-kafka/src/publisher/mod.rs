//! The writing side: one idempotent producer for each relay.
//!
//! The producer keeps the order of records, writes none twice over a broken connection, and fails for good rather than leave a
//! gap: a record that fails takes all later ones with it. Then a new producer is created, and the relay first looks for the
//! records that have arrived.

mod acknowledgements;
mod look_back;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ports::{BrokerError, Publisher, Record, Stamp};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

use self::acknowledgements::{Batch, ProducerEvents};
use crate::client;
use crate::config::Options;
use crate::wire;

/// The client fails a record at its delivery time-out; so long after that its callback is no longer waited for.
const DELIVERY_GRACE: Duration = Duration::from_secs(5);

/// The client's queue is full: the time to the next try, unless a record is acknowledged before.
const QUEUE_FULL_RETRY: Duration = Duration::from_millis(20);

/// Publishes an outbox.
pub struct KafkaPublisher {
    options: Options,
    producer: Option<ThreadedProducer<ProducerEvents>>,
    /// Records have timed out that may still be in a socket of the broker.
    in_doubt: bool,
}

/// A broker that hung handles the requests in its sockets within such a time, mostly. A record that arrives later is in the
/// topic twice; our own consumers recognise it by its number.
const LATE_ARRIVAL: Duration = Duration::from_millis(500);

impl KafkaPublisher {
    /// A publisher; the broker need not answer yet. Fails over settings only.
    pub fn new(options: &Options) -> Result<Self, BrokerError> {
        let mut publisher = Self { options: options.clone(), producer: None, in_doubt: false };
        publisher.producer()?;
        Ok(publisher)
    }

    fn producer(&mut self) -> Result<&ThreadedProducer<ProducerEvents>, BrokerError> {
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => produce(&self.options)?,
        };
        Ok(self.producer.insert(producer))
    }

    fn send(&mut self, topic: &str, records: &[(Stamp, Record)]) -> Result<(), BrokerError> {
        let generation = self.options.topics.generation(topic);
        let within = Duration::from_millis(self.options.times.delivery_ms) + DELIVERY_GRACE;
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
                    return Err(batch.failure().unwrap_or_else(|| not_accepted(topic, &error)));
                }
                batch.wait(QUEUE_FULL_RETRY);
                out = back;
            }
        }
        let auth_failure = &producer.client().context().auth_failure;
        // A client that was never accepted need not wait for the delivery time-out: none of its records can be in flight.
        batch.wait(request);
        let outcome = if batch.is_open() && !producer.client().context().has_delivered() && auth_failure.recent().is_some() {
            Err(batch.timed_out())
        } else {
            batch.done(deadline)
        };
        match outcome {
            Ok(()) => {
                auth_failure.clear();
                Ok(())
            }
            Err(error) => Err(auth_failure.explain(BrokerError(format!("{topic}: {}", error.0)))),
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
                tracing::error!(topic, records = records.len(), %error, "records were not acknowledged; a new producer is created");
                // The records that it still holds are dropped: they must not arrive behind later ones.
                (self.producer, self.in_doubt) = (None, true);
            }
        }
        outcome
    }

    fn published(&mut self, topic: &str, outbox: &str, after: u64) -> Result<BTreeSet<u64>, BrokerError> {
        let mut found = look_back::look_back(&self.options, topic, outbox, after)?;
        if self.in_doubt {
            std::thread::sleep(LATE_ARRIVAL);
            found = look_back::look_back(&self.options, topic, outbox, after)?;
            self.in_doubt = false;
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

fn not_accepted(topic: &str, error: &KafkaError) -> BrokerError {
    client::failed(&format!("{topic}: the producer accepts no records"), error)
}

fn produce(options: &Options) -> Result<ThreadedProducer<ProducerEvents>, BrokerError> {
    let mut config = client::config(options)?;
    config.set("acks", "all");
    config.set("enable.idempotence", "true");
    config.set("enable.gapless.guarantee", "true");
    // As Java's clients and the external services do: one key, one partition, whichever producer writes.
    config.set("partitioner", "murmur2_random");
    config.set("message.timeout.ms", options.times.delivery_ms.to_string());
    config.set("linger.ms", options.times.linger_ms.to_string());
    config.set("compression.codec", &options.compression);
    config.set("queue.buffering.max.messages", "100000");
    config.set("queue.buffering.max.kbytes", "65536");
    client::create(&config, ProducerEvents::default())
}
