//! A cluster at rest: what an operator does then, and what a new consumer reads from the beginning.

use std::collections::BTreeMap;

use in_memory::SharedMemory;
use pabal_core::{Core, CoreOptions, Input, Limits};
use ports::{LogQuery, Partition, Query, Reader, Store, StoreError, StoredRow};

use super::{Cluster, LEASE_MS};

impl Cluster {
    /// The earliest timer of all services.
    pub(super) fn next_timer(&self) -> Option<i64> {
        let timers = self.services.iter().filter_map(|service| service.store.connect().next_timer().ok().flatten());
        timers.min()
    }

    /// Dead letters are redriven: an operator would do so once the cause is mended.
    pub(super) fn redrive(&mut self) {
        let now = self.now();
        for number in 0..self.replicas.len() {
            let service = self.replicas[number].service;
            let dead = self.services[service].store.reader().all_parked(true, usize::MAX).unwrap_or_default();
            let Some(process) = self.replicas[number].process.as_mut().filter(|_| !dead.is_empty()) else { continue };
            for row in dead {
                process.core.accept(Input::Redrive { subscription: row.subscription, key: row.key }, now);
            }
            self.chance.note("redriven");
            self.replicas[number].wake_ms = self.now_ms;
        }
    }

    /// Committed events that the topic does not have, and records of the topic that were never committed, by id.
    pub fn lost_or_invented(&self) -> Vec<String> {
        let mut differ: BTreeMap<String, i64> = BTreeMap::new();
        for record in self.topic.once() {
            *differ.entry(record.id).or_default() += 1;
        }
        for service in &self.services {
            let log = service.store.reader().log(&LogQuery { limit: 1_000_000, ..LogQuery::default() });
            for record in log.unwrap_or_default() {
                *differ.entry(record.id).or_default() -= 1;
            }
        }
        differ.into_iter().filter(|(_, more)| *more != 0).map(|(id, _)| id).collect()
    }

    /// Records in the topic, repetitions included.
    pub fn records(&self) -> usize {
        self.topic.len()
    }

    /// A view, built by a new consumer with a store of its own from the beginning of the topic.
    pub(super) fn read_anew(&self, view: &str) -> Result<Vec<StoredRow>, StoreError> {
        let table = |model: &ports::Model| model.tables.iter().find(|table| table.name == view).map(|table| table.id);
        let Some((model, table)) = self.services.iter().find_map(|service| Some((service.model.clone(), table(&service.model)?)))
        else {
            return Ok(Vec::new());
        };
        let store = SharedMemory::new(&model, LEASE_MS);
        let parts = CoreOptions {
            model,
            store: Box::new(store.connect()),
            zone: self.zone.clone(),
            limits: Limits::default(),
            ports: BTreeMap::new(),
            by_broker: true,
        };
        let mut core = Core::new(parts)?;
        let partition = |number| Partition { topic: self.topic_name.to_owned(), number };
        let partitions = (0..self.partitions).map(|number| (partition(number), self.topic.end(number))).collect();
        core.accept(Input::Assigned { partitions }, self.now());
        loop {
            let turn = core.turn(self.now());
            let mut came = false;
            for (partition, after, limit) in core.wants() {
                let deliveries = self.topic.fetch(partition.number, after, limit);
                came |= !deliveries.is_empty();
                core.accept(Input::Delivered { partition, deliveries }, self.now());
            }
            if !came && !turn.more {
                break;
            }
        }
        Ok(store.reader().page(table, &Query::first(1000))?.rows)
    }
}
