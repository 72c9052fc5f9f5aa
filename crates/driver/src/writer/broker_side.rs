//! The broker as the writer uses it: fetching what the core wants, and committing the group's offsets.

use std::collections::BTreeMap;
use std::sync::Arc;

use pabal_core::{Input, Status};
use ports::{Broker, Partition};

/// A broker, and the consumer group where there is one.
pub(crate) struct BrokerSide {
    pub broker: Arc<dyn Broker>,
    pub group: Option<String>,
}

impl BrokerSide {
    /// Records of a partition after a position; `None` where there are none now.
    pub fn fetch(&self, (partition, after, limit): &(Partition, u64, usize)) -> Option<Input> {
        match self.broker.fetch(partition, *after, *limit) {
            Ok(deliveries) if deliveries.is_empty() => None,
            Ok(deliveries) => Some(Input::Delivered { partition: partition.clone(), deliveries }),
            Err(error) => {
                tracing::warn!(%partition, %error, "a partition could not be fetched; its events wait");
                None
            }
        }
    }

    /// Commits the group's offsets to the broker, for tools that show its lag there; the store's offsets are the ones that count.
    pub fn commit_offsets(&self, status: &Status) {
        let Some(group) = &self.group else { return };
        let mut reached: BTreeMap<Partition, u64> = BTreeMap::new();
        for subscription in &status.subscriptions {
            let partition = Partition { topic: subscription.topic.clone(), number: subscription.partition };
            let lowest = reached.entry(partition).or_insert(subscription.position);
            *lowest = subscription.position.min(*lowest);
        }
        self.broker.report_offsets(group, &reached.into_iter().collect::<Vec<_>>());
    }
}
