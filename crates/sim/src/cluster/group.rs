//! The consumer group of each service: its partitions are rebalanced among its replicas.

use super::{Cluster, Planned};

impl Cluster {
    /// The coordinator assigns partitions to the processes that send heartbeats. The previous owner learns of it now or later,
    /// a stopped one when it goes on.
    pub(super) fn rebalance(&mut self, service: usize) {
        let alive = |number: &usize| {
            let replica = &self.replicas[*number];
            replica.service == service && replica.frozen_until_ms <= self.now_ms
        };
        let alive: Vec<usize> = (0..self.replicas.len()).filter(alive).collect();
        if alive.is_empty() {
            return;
        }
        for partition in 0..self.partitions {
            let to = alive[usize::try_from(self.chance.below(alive.len() as u64)).unwrap_or(0)];
            let from = self.owners.insert((service, partition), to);
            if from == Some(to) {
                continue;
            }
            if let Some(from) = from {
                let still = u64::try_from(self.replicas[from].frozen_until_ms - self.now_ms).unwrap_or(0);
                let zombie = self.chance.strikes("zombie owner", self.faults.zombie);
                let later = if zombie { self.chance.below(3_000) } else { 0 };
                if still + later > 0 {
                    self.plan(still + later, Planned::Revoke { replica: from, partition });
                } else {
                    self.revoke(from, partition);
                }
            }
            self.assign(to, partition);
        }
    }

    pub(super) fn assign(&mut self, number: usize, partition: u32) {
        let (topic, name, now) = (self.topic.clone(), self.topic_name, self.now());
        if let Some(process) = self.replicas[number].process.as_mut() {
            process.assigned(&topic, name, partition, now);
        }
        self.replicas[number].wake_ms = self.now_ms;
    }

    pub(super) fn revoke(&mut self, number: usize, partition: u32) {
        let (name, now) = (self.topic_name, self.now());
        if self.owners.get(&(self.replicas[number].service, partition)) == Some(&number) {
            return; // it has come back meanwhile
        }
        if let Some(process) = self.replicas[number].process.as_mut() {
            process.revoked(name, partition, now);
        }
    }
}
