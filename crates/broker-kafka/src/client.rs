//! What all clients have in common: settings, logging, and how their errors read.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ports::BrokerError;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};

use crate::auth_failure::{self, AuthFailure, ReportsAuthFailure, in_terms_of_settings, is_auth_failure};
use crate::config::Options;
use crate::log_throttle::LogThrottle;
use crate::security;
use crate::wire::Arrived;

/// A client context that logs, and records authentication failures.
#[derive(Debug, Default)]
pub struct LoggingContext(AuthFailure);

impl ClientContext for LoggingContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.record(&error, reason);
        log_error(&error, reason);
    }
}

impl ConsumerContext for LoggingContext {}

impl ReportsAuthFailure for LoggingContext {
    fn auth_failure(&self) -> &AuthFailure {
        &self.0
    }
}

/// The client library's log. While a broker is down each connection has a line: those are at debug level.
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

/// An error of a connection. The client retries by itself.
pub fn log_error(error: &KafkaError, reason: &str) {
    // Each connection of each client reports it, several times a second for as long as it lasts.
    static DOWN: Mutex<LogThrottle> = Mutex::new(LogThrottle::new());
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
        return; // not an error: the end of a partition
    }
    metrics::counter!("pabal_kafka_errors_total").increment(1);
    match error.rdkafka_error_code() {
        _ if is_auth_failure(error, reason) => {
            tracing::warn!(target: "kafka", reason = in_terms_of_settings(reason), "a broker refuses this client");
        }
        Some(RDKafkaErrorCode::AllBrokersDown) => {
            if let Some(times) = DOWN.lock().unwrap_or_else(PoisonError::into_inner).allow() {
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
    // Requests are small, and latency counts.
    config.set("socket.nagle.disable", "true");
    // A broker that is up again is reconnected within a second.
    config.set("reconnect.backoff.ms", "50");
    config.set("reconnect.backoff.max.ms", "1000");
    config.set("topic.metadata.refresh.interval.ms", options.times.metadata_ms.to_string());
    security::secure(&mut config, &options.security)?;
    Ok(config)
}

/// Settings of a client that reads. It has a group id because the library requires one; it never joins or commits.
pub fn reading(options: &Options) -> Result<ClientConfig, BrokerError> {
    let mut config = config(options)?;
    config.set("group.id", &options.client_id);
    config.set("enable.auto.commit", "false");
    config.set("enable.auto.offset.store", "false");
    config.set("auto.offset.reset", "earliest");
    config.set("enable.partition.eof", "true");
    Ok(config)
}

/// Creates a client.
pub fn create<C, T: FromClientConfigAndContext<C>>(config: &ClientConfig, context: C) -> Result<T, BrokerError>
where
    C: ClientContext,
{
    config.create_with_context(context).map_err(|error| failed("the client cannot be created", &error))
}

/// An error as one sentence. A setting's value is left out: it may be a secret.
pub fn failed(what: &str, error: &KafkaError) -> BrokerError {
    match error {
        KafkaError::ClientConfig(_, description, key, _) => BrokerError(format!("{what}: {key}: {description}")),
        KafkaError::ClientCreation(why) => BrokerError(format!("{what}: {}", in_terms_of_settings(why))),
        error => BrokerError(format!("{what}: {error}")),
    }
}

/// The outcome of a request to a broker; its error names an authentication failure, if there is one.
pub fn answered<C: ReportsAuthFailure, T>(
    consumer: &BaseConsumer<C>,
    asked: impl FnOnce() -> String,
    answer: Result<T, KafkaError>,
) -> Result<T, BrokerError> {
    match answer {
        Ok(answer) => {
            consumer.context().auth_failure().clear();
            Ok(answer)
        }
        Err(error) => {
            auth_failure::serve_events(consumer);
            Err(consumer.context().auth_failure().explain(failed(&asked(), &error)))
        }
    }
}

/// The numbers of a topic's partitions; none where there is no such topic.
pub fn partitions<C: ReportsAuthFailure>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    within: Duration,
) -> Result<Option<Vec<i32>>, BrokerError> {
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

/// A partition's number as the client has it. One beyond its range does not exist, as the broker will report.
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

/// A message as [`crate::wire`] takes it.
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
        let error = create::<_, BaseConsumer<LoggingContext>>(&config, LoggingContext::default()).err().unwrap();
        assert!(error.0.contains("sasl.pasword") && !error.0.contains("s3cr3t"), "{error}");
    }
}
