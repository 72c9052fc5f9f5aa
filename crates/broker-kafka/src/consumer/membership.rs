//! Membership: one client and one thread for each group that is joined. It learns which partitions are assigned to this
//! process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use ports::{BrokerError, GroupMember, Partition};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::rebalance::{MemberState, RebalanceListener, commit, pause};
use super::{Shared, lock};
use crate::client;
use crate::config::Options;
use crate::log_throttle::LogThrottle;

/// How long the thread polls at a time.
const POLL: Duration = Duration::from_millis(100);

/// A thread that has not left its group within this time is detached: the broker's session time-out does the rest.
const LEAVING: Duration = Duration::from_secs(5);

/// The membership of a group; dropping it leaves the group.
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
        let state = Arc::new(MemberState { group: group.to_owned(), member, shared });
        let settings = settings(options, group)?;
        let consumer = subscribe(&settings, topics, &state)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (leaving, left) = channel();
        let mut thread = MemberThread {
            settings,
            topics: topics.to_vec(),
            state,
            stop: stop.clone(),
            commit_every: Duration::from_millis(options.times.commit_ms.max(100)),
            committed: BTreeMap::new(),
            errors: LogThrottle::default(),
        };
        let spawned = std::thread::Builder::new().name(format!("kafka-{group}")).spawn(move || {
            thread.run(consumer);
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
    // Assigned partitions are paused at once; a fetch that is faster returns little.
    config.set("queued.min.messages", "1");
    config.set("fetch.message.max.bytes", "1024");
    Ok(config)
}

fn subscribe(
    settings: &ClientConfig,
    topics: &[String],
    state: &Arc<MemberState>,
) -> Result<BaseConsumer<RebalanceListener>, BrokerError> {
    let consumer: BaseConsumer<RebalanceListener> = client::create(settings, RebalanceListener(state.clone()))?;
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let subscribed = consumer.subscribe(&topics);
    subscribed.map_err(|error| client::failed(&format!("the group {} cannot be joined", state.group), &error))?;
    Ok(consumer)
}

/// The thread that polls the group's client.
struct MemberThread {
    settings: ClientConfig,
    topics: Vec<String>,
    state: Arc<MemberState>,
    stop: Arc<AtomicBool>,
    commit_every: Duration,
    committed: BTreeMap<Partition, u64>,
    errors: LogThrottle,
}

impl MemberThread {
    fn run(&mut self, first: BaseConsumer<RebalanceListener>) {
        let mut joined = Some(first);
        while !self.stop.load(Ordering::Acquire) {
            let Some(consumer) = joined.take() else {
                std::thread::sleep(Duration::from_secs(1));
                joined = subscribe(&self.settings, &self.topics, &self.state).ok();
                continue;
            };
            self.poll_until_stopped(&consumer); // dropped then: it leaves the group, and the member's partitions are revoked
        }
    }

    /// Until it is stopped, or the client fails for good.
    fn poll_until_stopped(&mut self, consumer: &BaseConsumer<RebalanceListener>) {
        self.committed.clear();
        let mut reported = Instant::now();
        while !self.stop.load(Ordering::Acquire) {
            match consumer.poll(POLL) {
                Some(Ok(_)) => pause(consumer), // fetched before the pause; the reader fetches it as well
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    tracing::error!(group = self.state.group, %code, "the group is left and joined anew");
                    return;
                }
                // Logged by the client's callback already.
                Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) => {}
                Some(Err(error)) => self.note_error(&error),
                None => {}
            }
            if reported.elapsed() >= self.commit_every {
                reported = Instant::now();
                self.report(consumer);
            }
        }
        self.report(consumer);
    }

    /// Commits the group's offsets, for tools that show its lag; the store's offsets are the ones that count.
    fn report(&mut self, consumer: &BaseConsumer<RebalanceListener>) {
        let assigned = lock(&self.state.shared.assigned).clone();
        let reached = lock(&self.state.shared.reached).get(&self.state.group).cloned().unwrap_or_default();
        let moved = reached
            .into_iter()
            .filter(|(partition, position)| assigned.contains(partition) && self.committed.get(partition) != Some(position));
        let moved: BTreeMap<Partition, u64> = moved.collect();
        if commit(consumer, &self.state.group, &moved) {
            self.committed.extend(moved);
        }
    }

    fn note_error(&mut self, error: &KafkaError) {
        metrics::counter!("pabal_kafka_errors_total").increment(1);
        if let Some(times) = self.errors.allow() {
            tracing::warn!(group = self.state.group, %error, times, "the group's client fails; it retries");
        }
    }
}
