//! A simulated cluster: every service alone, in several processes over one shared store, with a partitioned topic between.
//!
//! ```text
//! clients ──▶ any replica ──commits──▶ SharedMemory ──relay──▶ Topic ──▶ the replica that has the partition
//!                (dies, freezes, comes back as another)          (late, in part, unheard, twice)
//! ```
//! Partitions change hands at any moment; an owner may not have heard of it yet (a zombie), and commits all the same.

mod replica;
mod rest;
mod topic;

use std::collections::BTreeMap;
use std::sync::Arc;

use in_memory::{MemoryOutbox, SharedMemory};
use jiff::tz::TimeZone;
use kernel::{Reaction, System, Timestamp};
use pabal_core::{Action, Core, CoreOptions, Input, Limits, Relay};
use ports::{Model, Reader, Record, Stamp, StoreError, StoredRow};

use crate::chance::{Chance, Faults};
use crate::clients::{Answered, Clients, Sent};
use crate::far::{FarCallSeen, FarLedger};
use crate::installation::Installation;
use crate::store::FaultyStore;
use crate::trace::Trace;
use replica::{Process, Replica};
use topic::{SimPublisher, Topic};

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
    services: Vec<Alone>,
    replicas: Vec<Replica>,
    /// Which replica has which partition of which service: what the group's coordinator thinks.
    owners: BTreeMap<(usize, u32), usize>,
    topic: Topic,
    topic_name: &'static str,
    partitions: u32,
    far: FarLedger,
    chance: Chance,
    faults: Faults,
    clients: Clients,
    /// The replica that has each open request.
    asked: BTreeMap<u64, usize>,
    zone: TimeZone,
    now_ms: i64,
    /// The databases' clock: it does not jump.
    store_ms: i64,
    agenda: BTreeMap<(i64, u64), Planned>,
    planned: u64,
    busy_ms: i64,
    trace: Trace,
}

/// One service with its store.
struct Alone {
    model: Arc<Model>,
    store: SharedMemory,
}

enum Planned {
    Send(Sent),
    Far {
        replica: usize,
        life: u64,
        number: u64,
        attempt: u32,
        reaction: Reaction<Vec<u8>>,
    },
    /// The group's session with a replica is over, or a rebalance is due for another reason.
    Rebalance(usize),
    /// A replica hears that a partition is not its own any more.
    Revoke {
        replica: usize,
        partition: u32,
    },
    /// What a publisher had given up arrives.
    Arrive(Vec<(Stamp, Record)>),
}

/// The lease of an instance and of a relay.
const LEASE_MS: i64 = 10_000;

/// A quiet cluster has nothing left to do, unless a timer is due later: leases have run out within this time.
const QUIET_MS: i64 = 3 * LEASE_MS;

/// Steps after which a run that does not come to rest is a failure.
const MOST_STEPS: u64 = 100_000;

/// Short enough that some events are given up, and must be redriven, in most runs.
const EVENT_RETRIES_MS: [i64; 2] = [500, 2_000];

impl Cluster {
    /// A cluster at its beginning.
    ///
    /// # Panics
    /// If the system is misdeclared: that is a fault of the test.
    pub fn new(options: ClusterOptions) -> Self {
        let ClusterOptions { seed, faults, system, replicas, partitions, start, zone } = options;
        let chance = Chance::seeded(seed);
        let whole = declared(system.clone());
        let services: Vec<Alone> = (0..system.services.len())
            .map(|service| {
                let model = declared(System { services: vec![system.services[service].clone()], ..system.clone() });
                Alone { store: SharedMemory::new(&model, LEASE_MS), model }
            })
            .collect();
        let of = |number: usize| Replica { service: number / replicas, life: 0, process: None, frozen_until_ms: 0, wake_ms: 0 };
        let mut cluster = Self {
            replicas: (0..services.len() * replicas).map(of).collect(),
            services,
            owners: BTreeMap::new(),
            topic: Topic::new(partitions as usize),
            topic_name: system.topic,
            partitions,
            far: FarLedger::new(&whole, chance.clone(), faults),
            clients: Clients::new(chance.clone(), &faults),
            asked: BTreeMap::new(),
            chance,
            faults,
            zone,
            now_ms: start.as_millisecond(),
            store_ms: 0,
            agenda: BTreeMap::new(),
            planned: 0,
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
        self.planned += 1;
        let at = self.now_ms.saturating_add(i64::try_from(after_ms).unwrap_or(i64::MAX));
        self.agenda.insert((at, self.planned), planned);
    }

    fn log(&mut self, line: impl std::fmt::Display) {
        self.trace.log(self.now_ms, line);
    }

    /// Runs until nothing is left to do, timers of up to `horizon_ms` from now included; at `heal_after_ms` all faults end.
    ///
    /// # Panics
    /// If it does not come to rest.
    pub fn run(&mut self, heal_after_ms: i64, horizon_ms: i64) {
        let heal_at = self.now_ms + heal_after_ms;
        let end = self.now_ms + horizon_ms;
        let mut healed = false;
        for _ in 0..MOST_STEPS {
            if self.now_ms >= heal_at && !healed {
                healed = true;
                self.log("healed");
                self.chance.heal();
                self.busy_ms = self.now_ms;
            }
            if healed {
                self.redrive();
            }
            let wake = self.step();
            match self.next(wake, if healed { end } else { heal_at }) {
                Some(at) => self.pass(at),
                None if !healed => self.pass(heal_at.max(self.now_ms)),
                None => return self.log(format!("at rest, store's time {}", self.store_ms)),
            }
        }
        panic!("the cluster does not come to rest\n{}", self.tail(60));
    }

    /// When something happens next. A cluster's pulse goes on for ever: where nothing else has happened for a while, and nobody
    /// who stands still has yet to do it, the next thing is the next timer.
    fn next(&self, wake: Option<i64>, end: i64) -> Option<i64> {
        let agenda = self.agenda.keys().next().map(|(at, _)| *at);
        let frozen = self.replicas.iter().any(|replica| replica.frozen_until_ms > self.now_ms);
        if agenda.is_none() && !frozen && self.now_ms - self.busy_ms > QUIET_MS {
            return self.next_timer().filter(|due| *due <= end).map(|due| due.max(self.now_ms + 1));
        }
        wake.into_iter().chain(agenda).min().map(|at| at.max(self.now_ms)).filter(|at| *at <= end)
    }

    fn pass(&mut self, at: i64) {
        // However far the world's clock jumps: leases are kept by pulses, and there are none in between.
        self.store_ms += (at - self.now_ms).clamp(0, 1_000);
        self.now_ms = at;
        for service in &self.services {
            service.store.set_now(self.store_ms);
        }
    }

    /// One turn of every process that wants one, in any order, after what is due around them.
    fn step(&mut self) -> Option<i64> {
        self.misfortunes();
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > self.now_ms {
                break;
            }
            let planned = entry.remove();
            self.happen(planned);
            self.busy_ms = self.now_ms;
        }
        let from = usize::try_from(self.chance.below(self.replicas.len() as u64)).unwrap_or(0);
        let all = self.replicas.len();
        // All processes read before any of them commits.
        let late = self.chance.strikes("others commit between read and commit", self.faults.reads_late);
        self.services.iter().for_each(|service| service.store.read_from(late.then(|| service.store.snapshot())));
        for number in 0..all {
            self.replica_turn((number + from) % all);
        }
        self.services.iter().for_each(|service| service.store.read_from(None));
        self.replicas.iter().map(|replica| replica.wake_ms.max(replica.frozen_until_ms)).min()
    }

    fn replica_turn(&mut self, number: usize) {
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
            // Whoever reads the topic may have more to do.
            self.replicas.iter_mut().for_each(|replica| replica.wake_ms = self.now_ms);
        }
        if busy {
            self.busy_ms = self.now_ms;
        }
        let wake = turn.wake_ms.map_or(self.now_ms + 1_000, |at| at.max(self.now_ms + 1));
        self.replicas[number].wake_ms = if busy { self.now_ms } else { wake };
    }

    /// A new process; it is given the partitions that the coordinator thinks are its own.
    fn start(&mut self, number: usize) -> bool {
        let service = &self.services[self.replicas[number].service];
        let store = FaultyStore::new(service.store.connect(), self.chance.clone(), self.faults);
        let crashed = store.fate();
        let defs = service.model.system.services.iter().flat_map(|service| &service.effect_handlers);
        let parts = CoreOptions {
            model: service.model.clone(),
            store: Box::new(store),
            zone: self.zone.clone(),
            limits: Limits {
                batch_items: 1 + usize::try_from(self.chance.below(32)).unwrap_or(0),
                event_retries_ms: EVENT_RETRIES_MS.to_vec(),
                ..Limits::default()
            },
            ports: defs.map(|def| (def.port.to_owned(), def.repeat)).collect(),
            by_broker: true,
        };
        let Ok(core) = Core::new(parts) else { return false };
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

    fn assign(&mut self, number: usize, partition: u32) {
        let (topic, name, now) = (self.topic.clone(), self.topic_name, self.now());
        if let Some(process) = self.replicas[number].process.as_mut() {
            process.assigned(&topic, name, partition, now);
        }
        self.replicas[number].wake_ms = self.now_ms;
    }

    /// Everything in memory is gone: open requests are never answered, calls under way never heard of.
    fn crash(&mut self, number: usize) {
        self.log(format!("crash {number}"));
        self.replicas[number].process = None;
        self.replicas[number].wake_ms = self.now_ms + i64::try_from(self.chance.below(3_000)).unwrap_or(0);
        let asked = std::mem::take(&mut self.asked);
        for (after, sent) in self.clients.unheard(|ticket| asked.get(&ticket) == Some(&number)) {
            self.plan(after, Planned::Send(sent));
        }
        self.asked = asked;
        self.asked.retain(|_, replica| *replica != number);
        let after = self.chance.below(4_000);
        self.plan(after, Planned::Rebalance(self.replicas[number].service));
    }

    fn misfortunes(&mut self) {
        if self.chance.strikes("clock jumps ahead", self.faults.clock_jump) {
            let jump = self.now_ms + i64::try_from(self.chance.below(600_000)).unwrap_or(0);
            self.pass(jump);
        }
        if self.chance.strikes("partitions change hands", self.faults.rebalance) {
            let service = usize::try_from(self.chance.below(self.services.len() as u64)).unwrap_or(0);
            self.rebalance(service);
        }
        if self.chance.strikes("a process stands still", self.faults.freeze) {
            let number = usize::try_from(self.chance.below(self.replicas.len() as u64)).unwrap_or(0);
            let long = i64::try_from(self.chance.below(4 * LEASE_MS.unsigned_abs())).unwrap_or(0);
            self.replicas[number].frozen_until_ms = self.now_ms + long;
            self.log(format!("freeze {number} for {long}"));
            let after = self.chance.below(4_000);
            self.plan(after, Planned::Rebalance(self.replicas[number].service));
        }
    }

    /// The coordinator gives partitions to the processes that it hears of. Who loses one hears of it now or later, and who
    /// stands still when it goes on.
    fn rebalance(&mut self, service: usize) {
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
                let zombie = self.chance.strikes("an owner has not heard yet", self.faults.zombie);
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

    fn revoke(&mut self, number: usize, partition: u32) {
        let (name, now) = (self.topic_name, self.now());
        if self.owners.get(&(self.replicas[number].service, partition)) == Some(&number) {
            return; // it has come back meanwhile
        }
        if let Some(process) = self.replicas[number].process.as_mut() {
            process.revoked(name, partition, now);
        }
    }

    fn happen(&mut self, planned: Planned) {
        let now = self.now();
        match planned {
            Planned::Send(sent) => self.request(sent),
            Planned::Far { replica, life, number, attempt, reaction } => {
                let at = &mut self.replicas[replica];
                if let Some(process) = at.process.as_mut().filter(|_| at.life == life) {
                    process.core.accept(Input::EffectResult { number, attempt, reaction }, now);
                    at.wake_ms = self.now_ms;
                }
            }
            Planned::Rebalance(service) => self.rebalance(service),
            Planned::Revoke { replica, partition } => self.revoke(replica, partition),
            Planned::Arrive(records) => {
                self.log(format!("{} records arrive late", records.len()));
                self.topic.append(&records);
                self.replicas.iter_mut().for_each(|replica| replica.wake_ms = self.now_ms);
            }
        }
    }

    /// A client asks any replica, as it comes.
    fn request(&mut self, sent: Sent) {
        let find = |alone: &Alone| alone.model.find(sent.to.0, sent.to.1).map(|table| table.id);
        let found = self.services.iter().enumerate().find_map(|(number, alone)| Some((number, find(alone)?)));
        let Some((service, table)) = found else { panic!("{:?} is not declared", sent.to) };
        let of = |number: &usize| self.replicas[*number].service == service;
        let replicas: Vec<usize> = (0..self.replicas.len()).filter(of).collect();
        let number = replicas[usize::try_from(self.chance.below(replicas.len() as u64)).unwrap_or(0)];
        let now = self.now();
        if self.replicas[number].process.is_none() || self.replicas[number].frozen_until_ms > self.now_ms {
            // Nobody opens: that is no try, however long it takes.
            let after = 10 + self.chance.below(500);
            return self.plan(after, Planned::Send(sent));
        }
        if self.chance.strikes("request at two doors", self.faults.two_doors) {
            self.plan(0, Planned::Send(sent.clone()));
        }
        let queued = self.clients.request(sent, table);
        self.log(format!("send {} as {} to {number}", queued.request.cause.request, queued.ticket));
        self.asked.insert(queued.ticket, number);
        self.replicas[number].wake_ms = self.now_ms;
        let process = self.replicas[number].process.as_mut();
        let refused = process.and_then(|process| process.core.accept(Input::Command(Box::new(queued)), now));
        if let Some(action) = refused {
            self.act(number, action);
        }
    }

    fn act(&mut self, replica: usize, action: Action) {
        match action {
            Action::Reply { ticket, result } => {
                self.asked.remove(&ticket);
                let said = if result.is_ok() { "ok" } else { "no" };
                self.log(format!("answer {} {said}", self.clients.name_of(ticket)));
                if let Some((after, sent)) = self.clients.answered(ticket, result) {
                    self.plan(after, Planned::Send(sent));
                }
            }
            Action::Call(job) => {
                let reaction = self.far.call(&job);
                self.log(format!("{replica} calls {} asking {}", job.id, job.asking));
                let (life, number, attempt) = (self.replicas[replica].life, job.number, job.attempt);
                let far = |reaction| Planned::Far { replica, life, number, attempt, reaction };
                if self.chance.strikes("answer twice", self.faults.answer_twice) {
                    let late = self.chance.below(2_000);
                    self.plan(late, far(reaction.clone()));
                }
                let after = self.chance.below(50);
                self.plan(after, far(reaction));
            }
            Action::Committed { .. } => self.log(format!("{replica} committed")),
        }
    }
}

fn declared(system: System) -> Arc<Model> {
    match Model::new(system) {
        Ok(model) => model,
        Err(error) => panic!("{error}"),
    }
}

impl Installation for Cluster {
    fn plan_send(&mut self, after_ms: u64, sent: Sent) {
        self.plan(after_ms, Planned::Send(sent));
    }

    fn models(&self) -> Vec<Arc<Model>> {
        self.services.iter().map(|service| service.model.clone()).collect()
    }

    fn reader(&self, service: &str) -> &dyn Reader {
        let found = self.services.iter().find(|alone| alone.model.system.services[0].name == service);
        let Some(alone) = found else { panic!("{service} is not declared") };
        alone.store.reader()
    }

    fn topic(&self) -> Vec<Record> {
        self.topic.once()
    }

    fn answers(&self) -> &[Answered] {
        &self.clients.answers
    }

    fn calls(&self) -> Vec<FarCallSeen> {
        self.far.seen().to_vec()
    }

    fn chance(&self) -> &Chance {
        &self.chance
    }

    fn status(&self) -> Vec<pabal_core::Status> {
        self.replicas.iter().filter_map(|replica| replica.process.as_ref()).map(|process| process.core.status()).collect()
    }

    fn digest(&self) -> u64 {
        self.trace.digest()
    }

    fn tail(&self, lines: usize) -> String {
        self.trace.tail(lines)
    }

    fn rebuilt(&mut self, view: &str) -> Vec<StoredRow> {
        self.read_anew(view).unwrap_or_default()
    }
}

/// What a read of a healthy store gives.
type Read<T> = Result<T, StoreError>;
