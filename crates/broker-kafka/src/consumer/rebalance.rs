//! Rebalances of a group: what its member is told when partitions are assigned and revoked.

use std::collections::BTreeMap;
use std::sync::Arc;

use ports::{GroupMember, Partition};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};

use super::{Shared, lock};
use crate::client;

/// What the thread and the rebalance callbacks share.
pub struct MemberState {
    pub group: String,
    pub member: Box<dyn GroupMember>,
    pub shared: Arc<Shared>,
}

impl MemberState {
    fn assigned(&self, partitions: Vec<Partition>) {
        tracing::info!(group = self.group, partitions = %names(&partitions), "partitions assigned");
        lock(&self.shared.assigned).extend(partitions.iter().cloned());
        self.member.assigned(partitions);
    }

    /// Returns once the member has released the partitions.
    fn revoked(&self, partitions: &[Partition]) {
        tracing::info!(group = self.group, partitions = %names(partitions), "partitions revoked");
        self.member.revoked(partitions.to_vec());
        lock(&self.shared.assigned).retain(|partition| !partitions.contains(partition));
        self.shared.reader.forget(partitions);
    }

    /// The offsets in these partitions, also those that the member has reported while it released them.
    fn reached(&self, partitions: &[Partition]) -> BTreeMap<Partition, u64> {
        let mut reached = lock(&self.shared.reached);
        let Some(of_group) = reached.get_mut(&self.group) else { return BTreeMap::new() };
        partitions.iter().filter_map(|partition| of_group.remove_entry(partition)).collect()
    }
}

/// The callbacks of the group's client.
pub struct RebalanceListener(pub Arc<MemberState>);

impl ClientContext for RebalanceListener {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::log_error(&error, reason);
    }
}

impl ConsumerContext for RebalanceListener {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            metrics::counter!("pabal_kafka_rebalances_total", "group" => self.0.group.clone()).increment(1);
            let partitions = partitions(list);
            if partitions.is_empty() {
                return;
            }
            // Lost partitions may have another owner already; the member releases them all the same.
            let lost = consumer.assignment_lost();
            self.0.revoked(&partitions);
            let reached = self.0.reached(&partitions);
            if !lost {
                commit(consumer, &self.0.group, &reached);
            }
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                pause(consumer);
                let partitions = partitions(list);
                if !partitions.is_empty() {
                    self.0.assigned(partitions);
                }
            }
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => tracing::error!(group = self.0.group, %error, "the rebalance has failed"),
        }
    }

    fn commit_callback(&self, outcome: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = outcome {
            tracing::debug!(group = self.0.group, %error, "offsets were not committed");
        }
    }
}

/// Commits offsets of a group, without waiting for the answer. False if there are none, or they could not be sent.
pub fn commit(consumer: &BaseConsumer<RebalanceListener>, group: &str, moved: &BTreeMap<Partition, u64>) -> bool {
    if moved.is_empty() {
        return false;
    }
    let mut list = TopicPartitionList::with_capacity(moved.len());
    let added = moved.iter().try_for_each(|(partition, position)| {
        list.add_partition_offset(&partition.topic, client::signed(partition.number), Offset::Offset(client::offset(*position)))
    });
    let committed = added.and_then(|()| consumer.commit(&list, CommitMode::Async));
    committed.inspect_err(|error| tracing::debug!(group, %error, "offsets are not committed")).is_ok()
}

/// This client is only a member: it does not fetch.
pub fn pause(consumer: &BaseConsumer<RebalanceListener>) {
    let paused = consumer.assignment().and_then(|assignment| consumer.pause(&assignment));
    if let Err(error) = paused {
        tracing::debug!(%error, "the group's client goes on fetching");
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<Partition> {
    let of = |topic: &str, number| Partition { topic: topic.to_owned(), number: client::number(number) };
    list.elements().iter().map(|element| of(element.topic(), element.partition())).collect()
}

fn names(partitions: &[Partition]) -> String {
    partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
