//! The callbacks of the reading client.

use std::collections::BTreeMap;
use std::sync::Mutex;

use ports::Partition;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;

use super::lock;
use crate::auth_failure::{AuthFailure, ReportsAuthFailure};
use crate::client;

/// The callbacks of the reading client: logs, errors, and the ends of partitions from its statistics.
#[derive(Debug, Default)]
pub struct ReaderContext {
    pub ends: Mutex<BTreeMap<Partition, u64>>,
    auth_failure: AuthFailure,
}

impl ClientContext for ReaderContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.auth_failure.record(&error, reason);
        client::log_error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        let mut ends = lock(&self.ends);
        for (topic, of_topic) in statistics.topics {
            for (number, partition) in of_topic.partitions {
                if number >= 0 && partition.hi_offset >= 0 {
                    let number = client::number(number);
                    ends.insert(Partition { topic: topic.clone(), number }, client::unsigned(partition.hi_offset));
                }
            }
        }
    }
}

impl ConsumerContext for ReaderContext {}

impl ReportsAuthFailure for ReaderContext {
    fn auth_failure(&self) -> &AuthFailure {
        &self.auth_failure
    }
}
