//! The engine as a member of a consumer group: assignments and revocations reach the core through the writer's inbox.
//!
//! What an assignment needs to know of the broker is asked on a thread of its own, so that a broker that does not answer delays
//! neither the group's heartbeat nor the writer, which goes on taking commands.

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ports::{Backoff, Broker, BrokerError, GroupMember, Partition};

use crate::message::Message;

/// How long a revocation waits for the writer. A writer that takes longer is stuck in its store, and the store's fence holds.
const REVOKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a full inbox is tried again.
const INBOX_RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// Between two questions to a broker that does not answer.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

/// The writer's inbox, as a member of a group.
#[derive(Clone)]
pub(crate) struct GroupMembership {
    inbox: SyncSender<Message>,
    /// Weak, because the broker owns its members.
    broker: Weak<dyn Broker>,
    group: Option<String>,
    assignments: Arc<Mutex<Assignments>>,
}

/// The assigned partitions, each with the number of its assignment: answers about an earlier assignment are void.
#[derive(Default)]
struct Assignments {
    partitions: BTreeMap<Partition, u64>,
    last: u64,
}

/// The end of an assigned partition, and the position that a handover committed for the group.
type Bounds = (u64, Option<u64>);

impl GroupMembership {
    /// For the writer behind this inbox.
    pub fn new(inbox: SyncSender<Message>, broker: &Arc<dyn Broker>, group: Option<String>) -> Self {
        Self { inbox, broker: Arc::downgrade(broker), group, assignments: Arc::default() }
    }

    fn assignments(&self) -> MutexGuard<'_, Assignments> {
        self.assignments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the inbox is full, since a rebalance must not be lost. False once the writer has ended.
    fn send(&self, mut message: Message) -> bool {
        loop {
            match self.inbox.try_send(message) {
                Ok(()) => return true,
                Err(TrySendError::Full(back)) => message = back,
                Err(TrySendError::Disconnected(_)) => return false,
            }
            std::thread::sleep(INBOX_RETRY_INTERVAL);
        }
    }

    /// Asks for the bounds of each partition until the broker has answered, and sends them to the writer; partitions that are
    /// revoked meanwhile are left out.
    fn fetch_bounds(&self, mut partitions: Vec<Partition>, number: u64) {
        for delay in BACKOFF.delays() {
            let Some(broker) = self.broker.upgrade() else { return };
            let mut answered = Vec::new();
            partitions.retain(|partition| match self.bounds(&*broker, partition) {
                Ok(bounds) => {
                    answered.push((partition.clone(), bounds));
                    false
                }
                Err(error) => {
                    tracing::warn!(%partition, %error, "the end of an assigned partition is unknown; trying again");
                    true
                }
            });
            if !self.send_assigned(answered, number) || partitions.is_empty() {
                return;
            }
            drop(broker);
            std::thread::sleep(delay);
            let assignments = self.assignments();
            partitions.retain(|partition| assignments.partitions.get(partition) == Some(&number));
        }
    }

    fn bounds(&self, broker: &dyn Broker, partition: &Partition) -> Result<Bounds, BrokerError> {
        let end = broker.end(partition)?;
        let handed = self.group.as_deref().map(|group| broker.handed_over_offset(group, partition)).transpose()?;
        Ok((end, handed.flatten()))
    }

    /// Under the lock, so that an assignment never reaches the writer after its revocation. False once the writer has ended.
    fn send_assigned(&self, answered: Vec<(Partition, Bounds)>, number: u64) -> bool {
        let assignments = self.assignments();
        let (mut ends, mut handed) = (Vec::new(), Vec::new());
        for (partition, (end, position)) in answered {
            if assignments.partitions.get(&partition) == Some(&number) {
                handed.extend(position.map(|position| (partition.clone(), position)));
                ends.push((partition, end));
            }
        }
        self.send(Message::Assigned { ends, handed })
    }
}

impl GroupMember for GroupMembership {
    fn assigned(&self, partitions: Vec<Partition>) {
        let number = {
            let mut assignments = self.assignments();
            assignments.last += 1;
            let number = assignments.last;
            assignments.partitions.extend(partitions.iter().map(|partition| (partition.clone(), number)));
            number
        };
        let (membership, assigned) = (self.clone(), partitions.clone());
        let fetching = move || membership.fetch_bounds(assigned, number);
        if let Err(error) = std::thread::Builder::new().name("pabal-assigned".into()).spawn(fetching) {
            tracing::warn!(%error, "no thread for questions to the broker; the rebalance waits for its answers");
            self.fetch_bounds(partitions, number);
        }
    }

    fn revoked(&self, partitions: Vec<Partition>) {
        let (done, released) = sync_channel(1);
        let sent = {
            let mut assignments = self.assignments();
            assignments.partitions.retain(|partition, _| !partitions.contains(partition));
            self.send(Message::Revoked(partitions, done))
        };
        if sent && released.recv_timeout(REVOKE_TIMEOUT).is_err() {
            tracing::warn!("the writer has not released its revoked partitions in time");
        }
    }
}
