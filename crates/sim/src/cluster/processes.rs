//! Processes: how they start, take a turn, and die.

use in_memory::MemoryOutbox;
use pabal_core::{Core, CoreOptions, Relay};

use super::replica::Process;
use super::topic::SimPublisher;
use super::{Cluster, LEASE_MS, Planned};
use crate::setup::core_options;
use crate::store::FaultyStore;

impl Cluster {
    pub(super) fn replica_turn(&mut self, number: usize) {
        let replica = &self.replicas[number];
        if replica.frozen_until_ms > self.now_ms || replica.wake_ms > self.now_ms {
            return;
        }
        if replica.process.is_none() && !self.start(number) {
            self.replicas[number].wake_ms = self.now_ms + 100;
            return;
        }
        let (topic, now) = (self.topic.clone(), self.now());
        let Some(process) = self.replicas[number].process.as_mut() else { return };
        let Some(turn) = process.turn(&topic, now) else { return self.crash(number) };
        let (sent, late) = process.relay();
        for records in late {
            let after = self.chance.below(8_000);
            self.plan(after, Planned::Arrive(records));
        }
        let busy = sent || turn.more || !turn.actions.is_empty();
        for action in turn.actions {
            self.act(number, action);
        }
        if sent {
            // Every reader of the topic may have more to do.
            self.replicas.iter_mut().for_each(|replica| replica.wake_ms = self.now_ms);
        }
        if busy {
            self.busy_ms = self.now_ms;
        }
        let wake = turn.wake_ms.map_or(self.now_ms + 1_000, |at| at.max(self.now_ms + 1));
        self.replicas[number].wake_ms = if busy { self.now_ms } else { wake };
    }

    /// A new process; it is assigned the partitions that it owns according to the coordinator.
    fn start(&mut self, number: usize) -> bool {
        let service = &self.services[self.replicas[number].service];
        let store = FaultyStore::new(service.store.connect(), self.chance.clone(), self.faults);
        let crashed = store.crashed();
        let options = CoreOptions { by_broker: true, ..core_options(&service.model, Box::new(store), &self.zone, &self.chance) };
        let Ok(core) = Core::new(options) else { return false };
        let most = 1 + usize::try_from(self.chance.below(16)).unwrap_or(0);
        let process = Process {
            core,
            crashed,
            relay: Relay::new(self.topic_name, most),
            outbox: MemoryOutbox::new(&service.store, service.model.system.services[0].name, LEASE_MS),
            publisher: SimPublisher::new(&self.topic, &self.chance, self.faults),
        };
        let replica = &mut self.replicas[number];
        replica.process = Some(process);
        replica.life += 1;
        let (life, of) = (replica.life, replica.service);
        self.log(format!("start {number} life {life}"));
        let mine = self.owners.iter().filter(|((service, _), owner)| *service == of && **owner == number);
        for partition in mine.map(|((_, partition), _)| *partition).collect::<Vec<_>>() {
            self.assign(number, partition);
        }
        true
    }

    /// Everything in memory is gone: open requests are retried by their clients, replies on their way are lost.
    fn crash(&mut self, number: usize) {
        self.log(format!("crash {number}"));
        self.replicas[number].process = None;
        self.replicas[number].wake_ms = self.now_ms + i64::try_from(self.chance.below(3_000)).unwrap_or(0);
        let asked = std::mem::take(&mut self.asked);
        for (after, request) in self.clients.retry_open(|ticket| asked.get(&ticket) == Some(&number)) {
            self.plan(after, Planned::Request(request));
        }
        self.asked = asked;
        self.asked.retain(|_, replica| *replica != number);
        let after = self.chance.below(4_000);
        self.plan(after, Planned::Rebalance(self.replicas[number].service));
    }
}
