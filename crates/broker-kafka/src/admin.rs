//! What has to be there, and where groups stand.

mod wait;

use std::collections::BTreeMap;
use std::time::Instant;

use ports::{BrokerError, Partition};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use crate::client::{self, Quiet};
use crate::config::Options;

/// What a position is marked with that was handed over: a group's own reports carry no mark, and wipe it out.
const HANDED: &str = "handed over";

/// How a topic was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicState {
    /// Its name.
    pub topic: String,
    /// It was made now.
    pub made: bool,
    /// Partitions that it has.
    pub partitions: u32,
    /// Partitions that it should have, by the configuration. They are never added: the keys would move.
    pub wanted: u32,
    /// Somebody has lately written without keys, so that with several partitions order is not kept.
    pub keyless: bool,
}

impl TopicState {
    /// What people should know, if anything.
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
    /// Where the group says that it stands; none if it never said.
    pub position: Option<u64>,
    /// The last position that there is.
    pub end: u64,
    /// Records that are still there and not read.
    pub behind: u64,
}

/// A handover did not take place.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// Both at once would do everything twice.
    #[error("the group {group} still has {members} members: stop them first")]
    Busy {
        /// The group.
        group: String,
        /// How many.
        members: usize,
    },
    /// Nothing to begin from.
    #[error("the group {0} has no positions there")]
    Nowhere(String),
    /// No answer.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// Topics and groups of a cluster.
pub struct Admin {
    options: Options,
    client: BaseConsumer<Quiet>,
}

impl Admin {
    /// The cluster need not answer yet. Fails over settings only.
    pub fn new(options: &Options) -> Result<Self, BrokerError> {
        let client = client::create(&client::config(options)?, Quiet::default())?;
        Ok(Self { options: options.clone(), client })
    }

    /// Makes the topics that are missing, and says how the others are. Existing ones are left as they are.
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
                _ if Instant::now() >= deadline => return Err(BrokerError(format!("{topic} was made and does not appear"))),
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

    /// True even if another process was faster.
    fn make(&self, topic: &str, partitions: u32) -> Result<bool, BrokerError> {
        let admin: AdminClient<Quiet> = client::create(&client::config(&self.options)?, Quiet::default())?;
        let replication = match i32::from(self.options.topics.replication) {
            0 => TopicReplication::Fixed(-1),
            copies => TopicReplication::Fixed(copies),
        };
        let new = NewTopic::new(topic, client::signed(partitions), replication);
        let within =
            AdminOptions::new().operation_timeout(Some(self.options.request())).request_timeout(Some(self.options.request()));
        let failed = |error: &KafkaError| client::failed(&format!("{topic} cannot be made"), error);
        let made = wait::within(self.options.request() * 2, admin.create_topics([&new], &within));
        let made = made.ok_or_else(|| BrokerError(format!("{topic}: whether it was made is not known")))?;
        for outcome in made.map_err(|error| failed(&error))? {
            match outcome {
                Ok(_) => tracing::info!(topic, partitions, "topic made"),
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
        let consumer: BaseConsumer<Quiet> = client::create(&client::reading(&self.options)?, Quiet::default())?;
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

    /// Where a group says that it stands: the next offset that it would read.
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
        let speaker = self.of_group(group)?;
        let found = client::answered(&speaker, || asked.clone(), speaker.committed_offsets(list, self.options.request()))?;
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

    /// Where a group is to go on by a handover that it has not taken note of yet, if there is one for that partition.
    pub fn handed(&self, group: &str, partition: &Partition) -> Result<Option<u64>, BrokerError> {
        let asked = format!("handover to {group}");
        let mut list = TopicPartitionList::new();
        list.add_partition(&partition.topic, client::signed(partition.number));
        let speaker = self.of_group(group)?;
        let found = client::answered(&speaker, || asked.clone(), speaker.committed_offsets(list, self.options.request()))?;
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

    /// A group begins where another one stands. Neither may be at work, before and after: the two never run at once.
    pub fn handover(&self, from: &str, to: &str, topics: &[String]) -> Result<BTreeMap<Partition, u64>, HandoverError> {
        self.idle(from)?;
        self.idle(to)?;
        let positions = self.positions(from, topics)?;
        if positions.is_empty() {
            return Err(HandoverError::Nowhere(from.to_owned()));
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
        let committed = self.of_group(to)?.commit(&list, CommitMode::Sync);
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

    /// A client that may ask and speak for a group, without being a member.
    fn of_group(&self, group: &str) -> Result<BaseConsumer<Quiet>, BrokerError> {
        let mut config = client::config(&self.options)?;
        config.set("group.id", group);
        config.set("enable.auto.commit", "false");
        client::create(&config, Quiet::default())
    }
}
