//! One system in the process: its core, and the store that survives a crash.

use std::sync::Arc;

use in_memory::MemoryStore;
use kernel::Timestamp;
use pabal_core::{Core, Input, Turn};
use ports::{Delivery, LogQuery, Model, ParkedRow, Partition, Reader};

use crate::chance::Chance;
use crate::faults::Faults;
use crate::store::FaultyStore;

pub(super) struct Engine {
    pub model: Arc<Model>,
    pub store: MemoryStore,
    pub faulty: FaultyStore<MemoryStore>,
    /// None while the process is down.
    pub core: Option<Core>,
}

impl Engine {
    pub fn new(model: Arc<Model>, chance: &Chance, faults: Faults) -> Self {
        let store = MemoryStore::new(&model);
        Self { model, faulty: FaultyStore::new(store.clone(), chance.clone(), faults), store, core: None }
    }

    pub fn has_service(&self, service: &str) -> bool {
        self.model.system.services.iter().any(|declared| declared.name == service)
    }

    pub fn topic(&self) -> &'static str {
        self.model.system.topic
    }

    /// Records in its log.
    pub fn records(&self) -> u64 {
        self.store.last_seq().unwrap_or(0)
    }

    pub fn dead_letters(&self) -> Vec<ParkedRow> {
        self.store.all_parked(true, usize::MAX).unwrap_or_default()
    }

    /// A core that has just started consumes the topics of the other systems, given with their ends.
    pub fn assign(&mut self, topics: &[(&'static str, u64)], now: Timestamp) {
        let followed = |topic: &str| self.model.subscriptions.iter().any(|subscription| subscription.topic == topic);
        let others = topics.iter().filter(|(topic, _)| *topic != self.topic() && followed(topic));
        let partitions: Vec<_> = others.map(|(topic, end)| (Partition::only(topic), *end)).collect();
        if let Some(core) = self.core.as_mut().filter(|_| !partitions.is_empty()) {
            core.accept(Input::Assigned { partitions }, now);
        }
    }

    /// What the core wants of other systems' topics: partition, position after which, and how many records.
    pub fn wants(&self) -> Vec<(Partition, u64, usize)> {
        self.core.as_ref().map(Core::wants).unwrap_or_default()
    }

    /// Records of its own topic.
    pub fn fetch(&self, after: u64, limit: usize) -> Vec<Delivery> {
        let records = self.store.log(&LogQuery { after, limit, ..LogQuery::default() }).unwrap_or_default();
        records.into_iter().map(|record| Delivery { record, stamp: None }).collect()
    }

    pub fn turn(&mut self, now: Timestamp) -> Option<Turn> {
        self.core.as_mut().map(|core| core.turn(now))
    }
}
