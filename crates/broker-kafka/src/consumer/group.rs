//! Membership: one client and one thread for each group that is joined. It learns which partitions are this process's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use ports::{BrokerError, GroupMember, Partition};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::{Shared, lock};
use crate::client;
use crate::config::Options;
use crate::seldom::Seldom;

/// How long the thread listens at a time.
const POLL: Duration = Duration::from_millis(100);

/// A thread that has not left its group within this time is left alone: the broker notices without it.
const LEAVING: Duration = Duration::from_secs(5);

/// A seat in a group; dropping it leaves the group.
pub struct Membership {
    group: String,
    stop: Arc<AtomicBool>,
    left: Receiver<()>,
}

impl Membership {
    pub fn start(
        options: &Options,
        group: &str,
        topics: &[String],
        member: Box<dyn GroupMember>,
        shared: Arc<Shared>,
    ) -> Result<Self, BrokerError> {
        let seat = Arc::new(Seat { group: group.to_owned(), member, shared });
        let settings = settings(options, group)?;
        let consumer = enter(&settings, topics, &seat)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (leaving, left) = channel();
        let mut sitting = Sitting {
            settings,
            topics: topics.to_vec(),
            seat,
            stop: stop.clone(),
            commit_every: Duration::from_millis(options.times.commit_ms.max(100)),
            committed: BTreeMap::new(),
            errors: Seldom::default(),
        };
        let spawned = std::thread::Builder::new().name(format!("kafka-{group}")).spawn(move || {
            sitting.run(consumer);
            drop(leaving);
        });
        spawned.map_err(|error| BrokerError(format!("no thread for the group {group}: {error}")))?;
        Ok(Self { group: group.to_owned(), stop, left })
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if matches!(self.left.recv_timeout(LEAVING), Err(RecvTimeoutError::Timeout)) {
            tracing::warn!(group = self.group, "the group could not be left in time");
        }
    }
}

fn settings(options: &Options, group: &str) -> Result<ClientConfig, BrokerError> {
    let mut config = client::config(options)?;
    config.set("group.id", group);
    config.set("partition.assignment.strategy", "cooperative-sticky");
    config.set("enable.auto.commit", "false");
    config.set("enable.auto.offset.store", "false");
    config.set("auto.offset.reset", "earliest");
    config.set("session.timeout.ms", options.times.session_ms.to_string());
    config.set("heartbeat.interval.ms", options.times.heartbeat_ms.to_string());
    // What is assigned is paused at once; a fetch that is faster brings little.
    config.set("queued.min.messages", "1");
    config.set("fetch.message.max.bytes", "1024");
    Ok(config)
}

fn enter(settings: &ClientConfig, topics: &[String], seat: &Arc<Seat>) -> Result<BaseConsumer<Ear>, BrokerError> {
    let consumer: BaseConsumer<Ear> = client::create(settings, Ear(seat.clone()))?;
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let subscribed = consumer.subscribe(&topics);
    subscribed.map_err(|error| client::failed(&format!("the group {} cannot be joined", seat.group), &error))?;
    Ok(consumer)
}

/// The thread's own.
struct Sitting {
    settings: ClientConfig,
    topics: Vec<String>,
    seat: Arc<Seat>,
    stop: Arc<AtomicBool>,
    commit_every: Duration,
    committed: BTreeMap<Partition, u64>,
    errors: Seldom,
}

impl Sitting {
    fn run(&mut self, first: BaseConsumer<Ear>) {
        let mut entered = Some(first);
        while !self.stop.load(Ordering::Acquire) {
            let Some(consumer) = entered.take() else {
                std::thread::sleep(Duration::from_secs(1));
                entered = enter(&self.settings, &self.topics, &self.seat).ok();
                continue;
            };
            self.sit(&consumer); // dropped then: it leaves, and the member lets go
        }
    }

    /// Until it is to stop, or the client cannot go on.
    fn sit(&mut self, consumer: &BaseConsumer<Ear>) {
        self.committed.clear();
        let mut reported = Instant::now();
        while !self.stop.load(Ordering::Acquire) {
            match consumer.poll(POLL) {
                Some(Ok(_)) => pause(consumer), // fetched before the pause; the reader has it, too
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    tracing::error!(group = self.seat.group, %code, "the group is left and joined anew");
                    return;
                }
                // Said by the client already, for all of them.
                Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) => {}
                Some(Err(error)) => self.troubled(&error),
                None => {}
            }
            if reported.elapsed() >= self.commit_every {
                reported = Instant::now();
                self.report(consumer);
            }
        }
        self.report(consumer);
    }

    /// Says to those who watch the group how far it has come.
    fn report(&mut self, consumer: &BaseConsumer<Ear>) {
        let assigned = lock(&self.seat.shared.assigned).clone();
        let reached = lock(&self.seat.shared.reached).get(&self.seat.group).cloned().unwrap_or_default();
        let moved = reached
            .into_iter()
            .filter(|(partition, position)| assigned.contains(partition) && self.committed.get(partition) != Some(position));
        let moved: BTreeMap<Partition, u64> = moved.collect();
        if commit(consumer, &self.seat.group, &moved) {
            self.committed.extend(moved);
        }
    }

    fn troubled(&mut self, error: &KafkaError) {
        metrics::counter!("pabal_kafka_errors_total").increment(1);
        if let Some(times) = self.errors.now() {
            tracing::warn!(group = self.seat.group, %error, times, "the group's client is in trouble; it goes on trying");
        }
    }
}

fn commit(consumer: &BaseConsumer<Ear>, group: &str, moved: &BTreeMap<Partition, u64>) -> bool {
    if moved.is_empty() {
        return false;
    }
    let mut list = TopicPartitionList::with_capacity(moved.len());
    let added = moved.iter().try_for_each(|(partition, position)| {
        list.add_partition_offset(&partition.topic, client::signed(partition.number), Offset::Offset(client::offset(*position)))
    });
    let committed = added.and_then(|()| consumer.commit(&list, CommitMode::Async));
    committed.inspect_err(|error| tracing::debug!(group, %error, "positions are not reported")).is_ok()
}

/// This client only holds the seat.
fn pause(consumer: &BaseConsumer<Ear>) {
    let paused = consumer.assignment().and_then(|assignment| consumer.pause(&assignment));
    if let Err(error) = paused {
        tracing::debug!(%error, "the group's client goes on fetching");
    }
}

/// What the thread and the client's callbacks share.
struct Seat {
    group: String,
    member: Box<dyn GroupMember>,
    shared: Arc<Shared>,
}

impl Seat {
    fn assigned(&self, partitions: Vec<Partition>) {
        tracing::info!(group = self.group, partitions = %names(&partitions), "partitions assigned");
        lock(&self.shared.assigned).extend(partitions.iter().cloned());
        self.member.assigned(partitions);
    }

    /// Returns once the member has let go.
    fn revoked(&self, partitions: &[Partition]) {
        tracing::info!(group = self.group, partitions = %names(partitions), "partitions revoked");
        self.member.revoked(partitions.to_vec());
        lock(&self.shared.assigned).retain(|partition| !partitions.contains(partition));
        self.shared.reader.forget(partitions);
    }

    /// Where it stands in these by now, which the member may have said while it let go.
    fn reached(&self, partitions: &[Partition]) -> BTreeMap<Partition, u64> {
        let mut reached = lock(&self.shared.reached);
        let Some(of_group) = reached.get_mut(&self.group) else { return BTreeMap::new() };
        partitions.iter().filter_map(|partition| of_group.remove_entry(partition)).collect()
    }
}

/// The client's ear.
struct Ear(Arc<Seat>);

impl ClientContext for Ear {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::trouble(&error, reason);
    }
}

impl ConsumerContext for Ear {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            metrics::counter!("pabal_kafka_rebalances_total", "group" => self.0.group.clone()).increment(1);
            let partitions = partitions(list);
            if partitions.is_empty() {
                return;
            }
            // Lost ones are another's already; the member lets go of them just the same.
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
            Rebalance::Error(error) => tracing::error!(group = self.0.group, %error, "the group cannot share its partitions"),
        }
    }

    fn commit_callback(&self, outcome: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = outcome {
            tracing::debug!(group = self.0.group, %error, "positions were not reported");
        }
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<Partition> {
    let of = |topic: &str, number| Partition { topic: topic.to_owned(), number: client::number(number) };
    list.elements().iter().map(|element| of(element.topic(), element.partition())).collect()
}

fn names(partitions: &[Partition]) -> String {
    partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
