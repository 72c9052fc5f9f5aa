//! What all clients have in common: how they get in, what they log, and how their errors read.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ports::BrokerError;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};

use crate::config::Options;
use crate::refusal::{self, Ears, Refusal, in_our_words, is_refusal};
use crate::security;
use crate::seldom::Seldom;
use crate::wire::Arrived;

/// A client that has nothing to be asked about but why it is not let in.
#[derive(Debug, Default)]
pub struct Quiet(Refusal);

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.heard(&error, reason);
        trouble(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

impl Ears for Quiet {
    fn refusal(&self) -> &Refusal {
        &self.0
    }
}

/// The client's own lines. While a broker is away each connection has one: they are for those who look closely.
pub fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "kafka", facility, "{message}");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => {
            tracing::debug!(target: "kafka", facility, "{message}");
        }
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::trace!(target: "kafka", facility, "{message}"),
    }
}

/// What the client says about its connections. It goes on by itself.
pub fn trouble(error: &KafkaError, reason: &str) {
    // Each connection of each client says so, several times a second for as long as it lasts.
    static DOWN: Mutex<Seldom> = Mutex::new(Seldom::new());
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
        return; // no trouble at all: there is nothing more to read
    }
    metrics::counter!("pabal_kafka_errors_total").increment(1);
    match error.rdkafka_error_code() {
        _ if is_refusal(error, reason) => {
            tracing::warn!(target: "kafka", reason = in_our_words(reason), "there is no way in to a broker");
        }
        Some(RDKafkaErrorCode::AllBrokersDown) => {
            if let Some(times) = DOWN.lock().unwrap_or_else(PoisonError::into_inner).now() {
                tracing::warn!(target: "kafka", times, "no broker answers");
            }
        }
        Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve) => {
            tracing::debug!(target: "kafka", reason, "a broker does not answer");
        }
        _ => tracing::warn!(target: "kafka", reason, "{error}"),
    }
}

/// Settings that every client needs.
pub fn config(options: &Options) -> Result<ClientConfig, BrokerError> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &options.bootstrap);
    config.set("client.id", &options.client_id);
    config.set("socket.keepalive.enable", "true");
    // Requests are small, and each is waited for.
    config.set("socket.nagle.disable", "true");
    // A broker that comes back is found within a second.
    config.set("reconnect.backoff.ms", "50");
    config.set("reconnect.backoff.max.ms", "1000");
    config.set("topic.metadata.refresh.interval.ms", options.times.metadata_ms.to_string());
    security::secure(&mut config, &options.security)?;
    Ok(config)
}

/// Settings of a client that reads. It has a group's name because the client asks for one; it never joins or commits.
pub fn reading(options: &Options) -> Result<ClientConfig, BrokerError> {
    let mut config = config(options)?;
    config.set("group.id", &options.client_id);
    config.set("enable.auto.commit", "false");
    config.set("enable.auto.offset.store", "false");
    config.set("auto.offset.reset", "earliest");
    config.set("enable.partition.eof", "true");
    Ok(config)
}

/// Makes a client.
pub fn create<C, T: FromClientConfigAndContext<C>>(config: &ClientConfig, context: C) -> Result<T, BrokerError>
where
    C: ClientContext,
{
    config.create_with_context(context).map_err(|error| failed("the client cannot be made", &error))
}

/// An error as one sentence. A setting's value is left out: it may be a secret.
pub fn failed(what: &str, error: &KafkaError) -> BrokerError {
    match error {
        KafkaError::ClientConfig(_, description, key, _) => BrokerError(format!("{what}: {key}: {description}")),
        KafkaError::ClientCreation(why) => BrokerError(format!("{what}: {}", in_our_words(why))),
        error => BrokerError(format!("{what}: {error}")),
    }
}

/// What became of a question to a broker; where nothing did, with why the client was not let in.
pub fn answered<C: Ears, T>(
    consumer: &BaseConsumer<C>,
    asked: impl FnOnce() -> String,
    answer: Result<T, KafkaError>,
) -> Result<T, BrokerError> {
    match answer {
        Ok(answer) => {
            consumer.context().refusal().is_over();
            Ok(answer)
        }
        Err(error) => {
            refusal::listen(consumer);
            Err(consumer.context().refusal().explain(failed(&asked(), &error)))
        }
    }
}

/// The numbers of a topic's partitions; none where there is no such topic.
pub fn partitions<C: Ears>(consumer: &BaseConsumer<C>, topic: &str, within: Duration) -> Result<Option<Vec<i32>>, BrokerError> {
    let asked = || format!("partitions of {topic}");
    let metadata = answered(consumer, asked, consumer.fetch_metadata(Some(topic), within))?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(None) };
    match found.error().map(RDKafkaErrorCode::from) {
        None => Ok(Some(found.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect())),
        Some(code) if is_unknown(code) => Ok(None),
        Some(code) => Err(failed(&asked(), &KafkaError::MetadataFetch(code))),
    }
}

/// There is no such topic or partition, as far as the broker that answered knows.
pub fn is_unknown(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownPartition
    )
}

/// A partition's number as the client has it. One beyond its range does not exist, and the broker will say so.
pub fn signed(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

/// An offset of ours as the client has it.
pub fn offset(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

/// An offset or a partition of the client's as ours: negative ones mean that there is none.
pub fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A partition's number of the client's.
pub fn number(partition: i32) -> u32 {
    u32::try_from(partition).unwrap_or(0)
}

/// A message in the words of the wire.
pub fn arrived<'a>(message: &'a BorrowedMessage<'_>) -> Arrived<'a> {
    let headers = message.headers().map(|headers| {
        let values = headers.iter().map(|header| (header.key, header.value.unwrap_or_default()));
        values.collect()
    });
    Arrived {
        topic: message.topic(),
        partition: number(message.partition()),
        offset: unsigned(message.offset()),
        time_ms: message.timestamp().to_millis(),
        key: message.key(),
        headers: headers.unwrap_or_default(),
        value: message.payload(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_does_not_tell_a_settings_value() {
        let mut config = ClientConfig::new();
        config.set("sasl.pasword", "s3cr3t");
        let error = create::<_, BaseConsumer<Quiet>>(&config, Quiet::default()).err().unwrap();
        assert!(error.0.contains("sasl.pasword") && !error.0.contains("s3cr3t"), "{error}");
    }
}
