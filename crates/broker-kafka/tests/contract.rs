//! Apache Kafka keeps the contract of every broker and of every publisher: `scripts/infra up`, `PABAL_TEST_KAFKA` set to its
//! address, and `--include-ignored`, as `scripts/test-distributed` does it.
#![allow(clippy::unwrap_used, reason = "a harness that fails fails its check")]

mod support;

use std::collections::BTreeSet;

use broker_kafka::{Admin, Generation, KafkaBroker, KafkaPublisher, Options, Topics, wire};
use contract_tests::{BrokerHarness, PublisherHarness};
use ports::{Broker, BrokerError, Partition, Publisher, Record, Stamp};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use support::{PATIENCE, fresh, kafka, partition};

const PARTITIONS: u32 = 3;

/// A broker that other checks use, too: each check has names of its own.
struct Kafka {
    options: Options,
    broker: KafkaBroker,
    /// As an external service writes: without a stamp.
    producer: BaseProducer,
    run: String,
}

impl BrokerHarness for Kafka {
    fn fresh() -> Self {
        let topics = Topics { partitions: PARTITIONS, replication: 1, ..Topics::default() };
        let options = Options { topics, ..kafka("contract") };
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &options.bootstrap).set("partitioner", "murmur2_random");
        Self { broker: KafkaBroker::new(&options).unwrap(), producer: config.create().unwrap(), run: fresh("run"), options }
    }

    fn broker(&self) -> &dyn Broker {
        &self.broker
    }

    fn publish(&self, topic: &str, record: Record) {
        make(&self.options, topic);
        let message = wire::write(None, &record, Generation::New);
        let headers = message
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value.as_bytes()) }));
        let sent = BaseRecord::to(topic).key(&record.key).payload(&message.value).headers(headers);
        self.producer.send(sent).map_err(|(error, _)| error).unwrap();
        self.producer.flush(PATIENCE).unwrap();
    }

    fn topic(&self, name: &str) -> String {
        format!("{name}-{}", self.run)
    }

    fn group(&self, name: &str) -> String {
        format!("{name}-{}", self.run)
    }

    fn partitions(&self, topic: &str) -> Vec<Partition> {
        (0..PARTITIONS).map(|number| partition(topic, number)).collect()
    }
}

impl PublisherHarness for Kafka {
    fn publisher(&self) -> Box<dyn Publisher> {
        let publisher = KafkaPublisher::new(&self.options).unwrap();
        Box::new(ToMadeTopics { options: self.options.clone(), publisher })
    }
}

/// A service makes its topics before it publishes; so does this, for whatever topic a check uses.
struct ToMadeTopics {
    options: Options,
    publisher: KafkaPublisher,
}

impl Publisher for ToMadeTopics {
    fn publish(&mut self, topic: &str, records: &[(Stamp, Record)]) -> Result<(), BrokerError> {
        make(&self.options, topic);
        self.publisher.publish(topic, records)
    }

    fn published(&mut self, topic: &str, outbox: &str, after: u64) -> Result<BTreeSet<u64>, BrokerError> {
        make(&self.options, topic);
        self.publisher.published(topic, outbox, after)
    }
}

fn make(options: &Options, topic: &str) {
    let states = Admin::new(options).unwrap().ensure(&[topic.to_owned()]).unwrap();
    assert_eq!(states[0].partitions, PARTITIONS);
}

contract_tests::broker_suite!(
    #[ignore = "needs Apache Kafka: scripts/test-distributed"]
    Kafka
);
contract_tests::publisher_suite!(
    #[ignore = "needs Apache Kafka: scripts/test-distributed"]
    Kafka
);
