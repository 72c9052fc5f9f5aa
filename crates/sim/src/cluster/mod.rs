//! A simulated cluster: every service alone, in several processes over one shared store, with a partitioned topic between.
//!
//! ```text
//! clients ──▶ any replica ──commits──▶ SharedMemory ──relay──▶ Topic ──▶ the replica that has the partition
//!               (dies, is stopped, restarts)          (late, in part, unacknowledged, twice)
//! ```
//! Partitions are rebalanced at any moment; the previous owner may not know yet (a zombie), and commits all the same.

mod group;
mod observe;
mod processes;
mod replica;
mod requests;
mod rest;
mod run;
mod topic;

use std::collections::BTreeMap;
use std::sync::Arc;

use in_memory::SharedMemory;
use jiff::tz::TimeZone;
use kernel::{Reaction, System, Timestamp};
use ports::{Model, Record, Stamp};

use crate::chance::Chance;
use crate::clients::{ClientRequest, Clients};
use crate::effect_ledger::EffectLedger;
use crate::faults::Faults;
use crate::schedule::Schedule;
use crate::setup::declared;
use crate::trace::Trace;
use replica::Replica;
use topic::Topic;

/// What a cluster is made of.
pub struct ClusterOptions {
    /// The seed of all chance.
    pub seed: u64,
    /// How often what goes wrong.
    pub faults: Faults,
    /// The system; each of its services runs alone.
    pub system: System,
    /// Processes of each service.
    pub replicas: usize,
    /// Partitions of the topic.
    pub partitions: u32,
    /// When it begins.
    pub start: Timestamp,
    /// The zone of the installation.
    pub zone: TimeZone,
}

/// A simulated cluster.
pub struct Cluster {
    services: Vec<ServiceStore>,
    replicas: Vec<Replica>,
    /// Which replica has which partition of which service, according to the group coordinator.
    owners: BTreeMap<(usize, u32), usize>,
    topic: Topic,
    topic_name: &'static str,
    partitions: u32,
    effects: EffectLedger,
    chance: Chance,
    faults: Faults,
    clients: Clients,
    /// The replica that has each open request.
    asked: BTreeMap<u64, usize>,
    zone: TimeZone,
    now_ms: i64,
    /// The databases' clock: it does not jump.
    store_ms: i64,
    schedule: Schedule<Planned>,
    busy_ms: i64,
    trace: Trace,
}

/// One service with its store.
struct ServiceStore {
    model: Arc<Model>,
    store: SharedMemory,
}

enum Planned {
    Request(ClientRequest),
    Reply {
        replica: usize,
        life: u64,
        number: u64,
        attempt: u32,
        reaction: Reaction<Vec<u8>>,
    },
    /// The group's session with a replica is over, or a rebalance is due for another reason.
    Rebalance(usize),
    /// A replica learns that a partition was assigned to another.
    Revoke {
        replica: usize,
        partition: u32,
    },
    /// A batch arrives that had timed out at its publisher.
    Arrive(Vec<(Stamp, Record)>),
}

/// The lease of an instance and of a relay.
const LEASE_MS: i64 = 10_000;

impl Cluster {
    /// A cluster at its beginning.
    ///
    /// # Panics
    /// If the system is misdeclared: that is a fault of the test.
    pub fn new(options: ClusterOptions) -> Self {
        let ClusterOptions { seed, faults, system, replicas, partitions, start, zone } = options;
        let chance = Chance::seeded(seed);
        let whole = declared(system.clone());
        let services: Vec<ServiceStore> = (0..system.services.len())
            .map(|service| {
                let alone = system.only(system.services[service].name);
                let model = declared(alone.unwrap_or_else(|| system.clone()));
                ServiceStore { store: SharedMemory::new(&model, LEASE_MS), model }
            })
            .collect();
        let replica =
            |number: usize| Replica { service: number / replicas, life: 0, process: None, frozen_until_ms: 0, wake_ms: 0 };
        let mut cluster = Self {
            replicas: (0..services.len() * replicas).map(replica).collect(),
            services,
            owners: BTreeMap::new(),
            topic: Topic::new(partitions as usize),
            topic_name: system.topic,
            partitions,
            effects: EffectLedger::new([&*whole], chance.clone(), faults),
            clients: Clients::new(chance.clone(), &faults),
            asked: BTreeMap::new(),
            chance,
            faults,
            zone,
            now_ms: start.as_millisecond(),
            store_ms: 0,
            schedule: Schedule::default(),
            busy_ms: start.as_millisecond(),
            trace: Trace::default(),
        };
        for service in 0..cluster.services.len() {
            cluster.rebalance(service);
        }
        cluster
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now_ms).unwrap_or_default()
    }

    fn plan(&mut self, after_ms: u64, planned: Planned) {
        self.schedule.plan(self.now_ms, after_ms, planned);
    }

    fn log(&mut self, line: impl std::fmt::Display) {
        self.trace.log(self.now_ms, line);
    }
}
