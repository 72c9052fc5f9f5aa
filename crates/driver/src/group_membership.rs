//! The engine as a member of a broker's group: what it is given and what is taken away goes through the writer thread.
//!
//! What has to be asked of the broker about a partition is asked on a thread of its own. A broker that does not answer just
//! then keeps neither the group's heartbeat nor the writer, who goes on taking commands.

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::Message;
use ports::{Broker, BrokerError, GroupMember, Partition};

/// A writer that does not let go within this time is stuck in its store; the store's fence holds then.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first pause before a broker is asked again; it doubles up to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The writer's inbox, as a member of a group.
#[derive(Clone)]
pub(super) struct Seat {
    inbox: SyncSender<Message>,
    /// Not its owner: it owns the seat.
    broker: Weak<dyn Broker>,
    group: Option<String>,
    held: Arc<Mutex<Held>>,
}

/// The partitions that are this process's, each with the number of its assignment: what is learnt for an earlier one is void.
#[derive(Default)]
struct Held {
    partitions: BTreeMap<Partition, u64>,
    last: u64,
}

/// Where an assigned partition ends, and where the group was put by a handover.
type Asked = (u64, Option<u64>);

impl Seat {
    /// For the writer behind this inbox.
    pub fn new(inbox: SyncSender<Message>, broker: &Arc<dyn Broker>, group: Option<String>) -> Self {
        Self { inbox, broker: Arc::downgrade(broker), group, held: Arc::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A full inbox is waited for: what a group decides must not be lost. False once the writer has ended.
    fn give(&self, mut message: Message) -> bool {
        loop {
            match self.inbox.try_send(message) {
                Ok(()) => return true,
                Err(TrySendError::Full(back)) => message = back,
                Err(TrySendError::Disconnected(_)) => return false,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Asks about each partition until the broker has answered, and hands it to the writer then; not those that are taken
    /// away meanwhile.
    fn take_up(&self, mut partitions: Vec<Partition>, number: u64) {
        let mut pause = RETRY.0;
        while let Some(broker) = self.broker.upgrade() {
            let mut answered = Vec::new();
            partitions.retain(|partition| match self.ask(&*broker, partition) {
                Ok(asked) => {
                    answered.push((partition.clone(), asked));
                    false
                }
                Err(error) => {
                    tracing::warn!(%partition, %error, "its end is not known; it is asked for again");
                    true
                }
            });
            if !self.tell(answered, number) || partitions.is_empty() {
                return;
            }
            drop(broker);
            std::thread::sleep(pause);
            pause = (pause * 2).min(RETRY.1);
            let held = self.held();
            partitions.retain(|partition| held.partitions.get(partition) == Some(&number));
        }
    }

    fn ask(&self, broker: &dyn Broker, partition: &Partition) -> Result<Asked, BrokerError> {
        let end = broker.end(partition)?;
        let handed = self.group.as_deref().map(|group| broker.handed(group, partition)).transpose()?;
        Ok((end, handed.flatten()))
    }

    /// Under the lock, so that nothing is given after it was taken away. False once the writer has ended.
    fn tell(&self, answered: Vec<(Partition, Asked)>, number: u64) -> bool {
        let held = self.held();
        let (mut ends, mut handed) = (Vec::new(), Vec::new());
        for (partition, (end, before)) in answered {
            if held.partitions.get(&partition) == Some(&number) {
                handed.extend(before.map(|position| (partition.clone(), position)));
                ends.push((partition, end));
            }
        }
        self.give(Message::Assigned { ends, handed })
    }
}

impl GroupMember for Seat {
    fn assigned(&self, partitions: Vec<Partition>) {
        let number = {
            let mut held = self.held();
            held.last += 1;
            let number = held.last;
            held.partitions.extend(partitions.iter().map(|partition| (partition.clone(), number)));
            number
        };
        let (seat, given) = (self.clone(), partitions.clone());
        let asking = std::thread::Builder::new().name("pabal-assigned".into()).spawn(move || seat.take_up(given, number));
        if let Err(error) = asking {
            tracing::warn!(%error, "there is no thread to ask the broker on; the group waits for its answers");
            self.take_up(partitions, number);
        }
    }

    fn revoked(&self, partitions: Vec<Partition>) {
        let (done, let_go) = sync_channel(1);
        let given = {
            let mut held = self.held();
            held.partitions.retain(|partition, _| !partitions.contains(partition));
            self.give(Message::Revoked(partitions, done))
        };
        if given && let_go.recv_timeout(PATIENCE).is_err() {
            tracing::warn!("the writer has not let go of its partitions in time");
        }
    }
}
