//! The reading side.
//!
//! Membership and reading are two clients. The one of a group only learns which partitions are this process's, tells the
//! member, and reports positions; it never fetches. The reader fetches any partition from any position: where to begin is
//! known to the store, not to the group. Its queues are bounded for each partition, so that one that nobody asks for does
//! not fill memory, and it stops nothing but itself.

mod cursor;
mod group;
mod reader;
mod waker;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ports::{Broker, BrokerError, Delivery, GroupMember, Partition};

use self::group::Membership;
use self::reader::Reader;
use self::waker::Waker;
use crate::admin::Admin;
use crate::config::Options;

/// The topics of a Kafka cluster, for one engine or one tool. An engine whose group reads a partition that another group
/// of the same process reads, too, has a broker of its own: one reader of a partition stands at one place.
pub struct KafkaBroker {
    options: Options,
    shared: Arc<Shared>,
    memberships: Mutex<Vec<Membership>>,
}

/// What the threads of a broker share.
struct Shared {
    reader: Reader,
    waker: Arc<Waker>,
    /// Topics that a group was joined for: only what is assigned is read of them.
    joined: Mutex<BTreeSet<String>>,
    assigned: Mutex<BTreeSet<Partition>>,
    /// Where each group stands.
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

    /// Leaves all groups, which tells their members; then nobody is woken any more. Dropping does the same.
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
            let place = least.entry(partition.clone()).or_insert(*position);
            *place = (*place).min(*position);
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
            return Ok(Vec::new()); // another member's
        }
        shared.reader.waited_for(partition, after, limit)
    }

    fn end(&self, partition: &Partition) -> Result<u64, BrokerError> {
        // A partition that was assigned exists: who says that it does not has not heard of it yet.
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
            self.shared.waker.told(topic);
        }
        let membership = Membership::start(&self.options, group, topics, member, self.shared.clone())?;
        lock(&self.memberships).push(membership);
        Ok(())
    }

    fn handed(&self, group: &str, partition: &Partition) -> Result<Option<u64>, BrokerError> {
        Admin::new(&self.options)?.handed(group, partition)
    }

    fn reached(&self, group: &str, positions: &[(Partition, u64)]) {
        let mut reached = lock(&self.shared.reached);
        reached.entry(group.to_owned()).or_default().extend(positions.iter().cloned());
    }
}

/// Takes a lock whatever happened to its last holder.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
