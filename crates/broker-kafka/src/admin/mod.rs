//! Topics, and the offsets of groups.

mod wait;

use std::collections::BTreeMap;
use std::time::Instant;

use ports::{BrokerError, Partition};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use crate::client::{self, LoggingContext};
use crate::config::Options;

/// The metadata of an offset that was handed over: a group's own commits carry none, and overwrite it.
const HANDED: &str = "handed over";

/// How a topic was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicState {
    /// Its name.
    pub topic: String,
    /// It was created now.
    pub made: bool,
    /// Partitions that it has.
    pub partitions: u32,
    /// Partitions that it should have, by the configuration. They are never added: the keys would move.
    pub wanted: u32,
    /// Recent records have no keys, so that with several partitions their order is not kept.
    pub keyless: bool,
}

impl TopicState {
    /// A warning for the operator, if there is one.
    pub fn warning(&self) -> Option<String> {
        let Self { topic, partitions, wanted, .. } = self;
        if self.keyless && *partitions > 1 {
            return Some(format!("{topic}: records without a key arrive in {partitions} partitions: their order is not kept"));
        }
        (partitions < wanted).then(|| format!("{topic}: has {partitions} partitions, configured are {wanted}"))
    }
}

/// How far a group is behind in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// The partition.
    pub partition: Partition,
    /// The group's committed offset; none if it has never committed.
    pub position: Option<u64>,
    /// The end of the partition.
    pub end: u64,
    /// Records that are retained and not read.
    pub behind: u64,
}

/// Why a handover was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// Two groups at work at once would handle every event twice.
    #[error("the group {group} still has {members} members: stop them first")]
    Busy {
        /// The group.
        group: String,
        /// How many.
        members: usize,
    },
    /// The group has no offsets to begin from.
    #[error("the group {0} has committed no offsets")]
    NoOffsets(String),
    /// The broker does not answer.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// Topics and groups of a cluster.
pub struct Admin {
    options: Options,
    client: BaseConsumer<LoggingContext>,
}

impl Admin {
    /// The cluster need not answer yet. Fails over settings only.
    pub fn new(options: &Options) -> Result<Self, BrokerError> {
        let client = client::create(&client::config(options)?, LoggingContext::default())?;
        Ok(Self { options: options.clone(), client })
    }

    /// Creates the missing topics, and returns the state of all. Existing ones are not changed.
    pub fn ensure(&self, topics: &[String]) -> Result<Vec<TopicState>, BrokerError> {
        topics.iter().map(|topic| self.ensure_one(topic)).collect()
    }

    fn ensure_one(&self, topic: &str) -> Result<TopicState, BrokerError> {
        let wanted = self.options.topics.partitions.max(1);
        let deadline = Instant::now() + self.options.request() * 2;
        let mut made = false;
        let found = loop {
            match client::partitions(&self.client, topic, self.options.request())? {
                Some(found) if !found.is_empty() => break found,
                _ if Instant::now() >= deadline => return Err(BrokerError(format!("{topic} was created and does not appear"))),
                _ if !made => made = self.make(topic, wanted)?,
                _ => std::thread::sleep(std::time::Duration::from_millis(50)),
            }
        };
        let keyless = !made && self.has_keyless(topic, &found)?;
        let partitions = u32::try_from(found.len()).unwrap_or(u32::MAX);
        let state = TopicState { topic: topic.to_owned(), made, partitions, wanted, keyless };
        if let Some(warning) = state.warning() {
            tracing::warn!(topic, "{warning}");
        }
        Ok(state)
    }

    /// True even if another process has created it first.
    fn make(&self, topic: &str, partitions: u32) -> Result<bool, BrokerError> {
        let admin: AdminClient<LoggingContext> = client::create(&client::config(&self.options)?, LoggingContext::default())?;
        let replication = match i32::from(self.options.topics.replication) {
            0 => TopicReplication::Fixed(-1),
            copies => TopicReplication::Fixed(copies),
        };
        let new = NewTopic::new(topic, client::signed(partitions), replication);
        let within =
            AdminOptions::new().operation_timeout(Some(self.options.request())).request_timeout(Some(self.options.request()));
        let failed = |error: &KafkaError| client::failed(&format!("{topic} cannot be created"), error);
        let made = wait::within(self.options.request() * 2, admin.create_topics([&new], &within));
        let made = made.ok_or_else(|| BrokerError(format!("{topic}: whether it was created is in doubt")))?;
        for outcome in made.map_err(|error| failed(&error))? {
            match outcome {
                Ok(_) => tracing::info!(topic, partitions, "topic created"),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, code)) => return Err(failed(&KafkaError::AdminOp(code))),
            }
        }
        Ok(true)
    }

    /// Looks at the last records of each partition.
    fn has_keyless(&self, topic: &str, partitions: &[i32]) -> Result<bool, BrokerError> {
        const LAST: i64 = 20;
        if partitions.len() < 2 {
            return Ok(false);
        }
        let consumer: BaseConsumer<LoggingContext> = client::create(&client::reading(&self.options)?, LoggingContext::default())?;
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            let (low, high) = self.watermarks(topic, *partition)?;
            if high > low {
                let added = list.add_partition_offset(topic, *partition, Offset::Offset(low.max(high - LAST)));
                added.map_err(|error| client::failed(topic, &error))?;
            }
        }
        let mut open = list.count();
        consumer.assign(&list).map_err(|error| client::failed(topic, &error))?;
        let deadline = Instant::now() + self.options.request();
        while open > 0 && Instant::now() < deadline {
            match consumer.poll(self.options.request() / 10) {
                Some(Ok(message)) if rdkafka::Message::key(&message).is_none() => return Ok(true),
                Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
                _ => {}
            }
        }
        Ok(false)
    }

    /// The committed offsets of a group: the next records that it would read.
    pub fn positions(&self, group: &str, topics: &[String]) -> Result<BTreeMap<Partition, u64>, BrokerError> {
        let asked = format!("positions of {group}");
        let mut list = TopicPartitionList::new();
        for topic in topics {
            for partition in client::partitions(&self.client, topic, self.options.request())?.unwrap_or_default() {
                list.add_partition(topic, partition);
            }
        }
        if list.count() == 0 {
            return Ok(BTreeMap::new());
        }
        let client = self.client_of_group(group)?;
        let found = client::answered(&client, || asked.clone(), client.committed_offsets(list, self.options.request()))?;
        let mut positions = BTreeMap::new();
        for element in found.elements() {
            element.error().map_err(|error| client::failed(&asked, &error))?;
            if let Offset::Offset(offset) = element.offset() {
                let partition = Partition { topic: element.topic().to_owned(), number: client::number(element.partition()) };
                positions.insert(partition, client::unsigned(offset));
            }
        }
        Ok(positions)
    }

    /// The offset that was handed over to a group in a partition, as long as the group has not committed one itself.
    pub fn handed(&self, group: &str, partition: &Partition) -> Result<Option<u64>, BrokerError> {
        let asked = format!("handover to {group}");
        let mut list = TopicPartitionList::new();
        list.add_partition(&partition.topic, client::signed(partition.number));
        let client = self.client_of_group(group)?;
        let found = client::answered(&client, || asked.clone(), client.committed_offsets(list, self.options.request()))?;
        let handed = found.elements().into_iter().find(|element| element.metadata() == HANDED);
        Ok(handed.and_then(|element| match element.offset() {
            Offset::Offset(offset) => Some(client::unsigned(offset)),
            _ => None,
        }))
    }

    /// How many members a group has now.
    pub fn members(&self, group: &str) -> Result<usize, BrokerError> {
        let list = self.client.fetch_group_list(Some(group), self.options.request());
        let list = client::answered(&self.client, || format!("members of {group}"), list)?;
        let found = list.groups().iter().filter(|info| info.name() == group);
        Ok(found.map(|info| if matches!(info.state(), "Dead" | "Empty") { 0 } else { info.members().len().max(1) }).sum())
    }

    /// Commits the offsets of one group for another. Neither may have members, before and after: they never run at once.
    pub fn handover(&self, from: &str, to: &str, topics: &[String]) -> Result<BTreeMap<Partition, u64>, HandoverError> {
        self.idle(from)?;
        self.idle(to)?;
        let positions = self.positions(from, topics)?;
        if positions.is_empty() {
            return Err(HandoverError::NoOffsets(from.to_owned()));
        }
        let asked = format!("positions of {to}");
        let mut list = TopicPartitionList::new();
        for (partition, position) in &positions {
            let offset = Offset::Offset(client::offset(*position));
            let added = list.add_partition_offset(&partition.topic, client::signed(partition.number), offset);
            added.map_err(|error| client::failed(&asked, &error))?;
        }
        for mut element in list.elements() {
            element.set_metadata(HANDED);
        }
        // The broker refuses this while the group has members.
        let committed = self.client_of_group(to)?.commit(&list, CommitMode::Sync);
        committed.map_err(|error| client::failed(&asked, &error))?;
        self.idle(from)?;
        Ok(positions)
    }

    fn idle(&self, group: &str) -> Result<(), HandoverError> {
        match self.members(group)? {
            0 => Ok(()),
            members => Err(HandoverError::Busy { group: group.to_owned(), members }),
        }
    }

    /// How far a group is behind, partition by partition.
    pub fn lag(&self, group: &str, topics: &[String]) -> Result<Vec<Lag>, BrokerError> {
        let positions = self.positions(group, topics)?;
        let mut lags = Vec::new();
        for topic in topics {
            for number in client::partitions(&self.client, topic, self.options.request())?.unwrap_or_default() {
                let (low, high) = self.watermarks(topic, number)?;
                let (low, end) = (client::unsigned(low), client::unsigned(high));
                let partition = Partition { topic: topic.clone(), number: client::number(number) };
                let position = positions.get(&partition).copied();
                let behind = end.saturating_sub(position.unwrap_or(low).max(low));
                lags.push(Lag { partition, position, end, behind });
            }
        }
        Ok(lags)
    }

    fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64), BrokerError> {
        let answer = self.client.fetch_watermarks(topic, partition, self.options.request());
        client::answered(&self.client, || format!("the end of {topic}/{partition}"), answer)
    }

    /// A client that reads and commits offsets of a group, without being a member.
    fn client_of_group(&self, group: &str) -> Result<BaseConsumer<LoggingContext>, BrokerError> {
        let mut config = client::config(&self.options)?;
        config.set("group.id", group);
        config.set("enable.auto.commit", "false");
        client::create(&config, LoggingContext::default())
    }
}
