//! The reading side.
//!
//! Membership and reading are two clients. The one of a group only learns its assignment, tells the member, and commits
//! offsets; it never fetches. The reader fetches any partition from any position: where to begin is known to the store, not
//! to the group. Its queues are bounded for each partition, so that one that is not read does not fill memory, and blocks no
//! other partition.

mod arrival;
mod context;
mod cursor;
mod membership;
mod reader;
mod rebalance;
mod waker;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ports::{Broker, BrokerError, Delivery, GroupMember, Partition};

use self::membership::Membership;
use self::reader::Reader;
use self::waker::Waker;
use crate::admin::Admin;
use crate::config::Options;

/// The topics of a Kafka cluster, for one engine or one tool. An engine whose group reads a partition that another group
/// of the same process reads, too, has a broker of its own: a reader has one position in a partition.
pub struct KafkaBroker {
    options: Options,
    shared: Arc<Shared>,
    memberships: Mutex<Vec<Membership>>,
}

/// What the threads of a broker share.
struct Shared {
    reader: Reader,
    waker: Arc<Waker>,
    /// Topics of the groups that were joined: only their assigned partitions are read.
    joined: Mutex<BTreeSet<String>>,
    assigned: Mutex<BTreeSet<Partition>>,
    /// The offsets of each group.
    reached: Mutex<BTreeMap<String, BTreeMap<Partition, u64>>>,
}

impl KafkaBroker {
    /// A broker; the cluster need not answer yet. Fails over settings only.
    pub fn new(options: &Options) -> Result<Self, BrokerError> {
        let waker = Waker::start()?;
        let shared = Shared {
            reader: Reader::new(options, waker.clone())?,
            waker,
            joined: Mutex::default(),
            assigned: Mutex::default(),
            reached: Mutex::default(),
        };
        let shared = Arc::new(shared);
        let polled = Arc::downgrade(&shared);
        shared.waker.each_tick(Box::new(move || {
            if let Some(shared) = polled.upgrade() {
                shared.reader.serve(&shared.positions());
            }
        }));
        Ok(Self { options: options.clone(), shared, memberships: Mutex::default() })
    }

    /// Leaves all groups, which revokes their partitions, and wakes no watcher any more. Dropping does the same.
    pub fn close(&self) {
        lock(&self.memberships).clear();
        self.shared.waker.stop();
    }
}

impl Drop for KafkaBroker {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn positions(&self) -> BTreeMap<Partition, u64> {
        let reached = lock(&self.reached);
        let mut least: BTreeMap<Partition, u64> = BTreeMap::new();
        for (partition, position) in reached.values().flatten() {
            let lowest = least.entry(partition.clone()).or_insert(*position);
            *lowest = (*lowest).min(*position);
        }
        least
    }
}

impl Broker for KafkaBroker {
    fn fetch(&self, partition: &Partition, after: u64, limit: usize) -> Result<Vec<Delivery>, BrokerError> {
        let shared = &self.shared;
        if lock(&shared.assigned).contains(partition) {
            return shared.reader.ready(partition, after, limit);
        }
        if lock(&shared.joined).contains(&partition.topic) {
            return Ok(Vec::new()); // assigned to another member
        }
        shared.reader.waited_for(partition, after, limit)
    }

    fn end(&self, partition: &Partition) -> Result<u64, BrokerError> {
        // A partition that was assigned exists: a broker that denies it has outdated metadata.
        let exists = lock(&self.shared.assigned).contains(partition);
        let (_, end) = self.shared.reader.watermarks(partition, exists)?;
        Ok(end)
    }

    fn watch(&self, topic: &str, wake: Box<dyn Fn() + Send + Sync>) {
        self.shared.waker.watch(topic, wake);
    }

    fn join(&self, group: &str, topics: &[String], member: Box<dyn GroupMember>) -> Result<(), BrokerError> {
        if topics.is_empty() {
            return Ok(());
        }
        lock(&self.shared.joined).extend(topics.iter().cloned());
        for topic in topics {
            self.shared.waker.set_signalling(topic);
        }
        let membership = Membership::start(&self.options, group, topics, member, self.shared.clone())?;
        lock(&self.memberships).push(membership);
        Ok(())
    }

    fn handed_over_offset(&self, group: &str, partition: &Partition) -> Result<Option<u64>, BrokerError> {
        Admin::new(&self.options)?.handed(group, partition)
    }

    fn report_offsets(&self, group: &str, positions: &[(Partition, u64)]) {
        let mut reached = lock(&self.shared.reached);
        reached.entry(group.to_owned()).or_default().extend(positions.iter().cloned());
    }
}

/// Takes a lock, also if its last holder panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
