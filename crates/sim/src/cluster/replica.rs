//! One process of one service: a core over the shared store, and a relay. All of it is lost in a crash.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use in_memory::MemoryOutbox;
use kernel::Timestamp;
use pabal_core::{Core, Input, Relay, Turn};
use ports::{Delivery, Partition};

use super::topic::{SimPublisher, Topic};

/// A replica of a service.
pub(super) struct Replica {
    /// Its service's number.
    pub service: usize,
    /// Counts its starts.
    pub life: u64,
    /// The running process; none while it is down.
    pub process: Option<Process>,
    /// It does nothing until then (SIGSTOP).
    pub frozen_until_ms: i64,
    /// When it wants its next turn.
    pub wake_ms: i64,
}

/// A running process.
pub(super) struct Process {
    pub core: Core,
    pub crashed: Arc<AtomicBool>,
    pub relay: Relay,
    pub outbox: MemoryOutbox,
    pub publisher: SimPublisher,
}

impl Process {
    /// Delivers what the core wants, and takes one turn. None if the process died in it.
    pub fn turn(&mut self, topic: &Topic, now: Timestamp) -> Option<Turn> {
        for (partition, after, limit) in self.core.wants() {
            let deliveries: Vec<Delivery> = topic.fetch(partition.number, after, limit);
            if !deliveries.is_empty() {
                self.core.accept(Input::Delivered { partition, deliveries }, now);
            }
        }
        let turn = self.core.turn(now);
        (!self.crashed.swap(false, Ordering::SeqCst)).then_some(turn)
    }

    /// Relays what its service has committed, if it has the lease. The batches that timed out are returned: they arrive later.
    pub fn relay(&mut self) -> (bool, Vec<Vec<(ports::Stamp, ports::Record)>>) {
        let sent = matches!(self.relay.turn(&mut self.outbox, &mut self.publisher), Ok(pabal_core::Relayed::Sent(_)));
        (sent, std::mem::take(&mut self.publisher.late))
    }

    pub fn assigned(&mut self, topic: &Topic, name: &str, partition: u32, now: Timestamp) {
        let partitions = vec![(Partition { topic: name.to_owned(), number: partition }, topic.end(partition))];
        self.core.accept(Input::Assigned { partitions }, now);
    }

    pub fn revoked(&mut self, name: &str, partition: u32, now: Timestamp) {
        let partitions = vec![Partition { topic: name.to_owned(), number: partition }];
        self.core.accept(Input::Revoked { partitions }, now);
    }
}
