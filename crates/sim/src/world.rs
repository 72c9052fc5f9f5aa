//! One simulated installation: a core, what it runs on, and a client who sends and sends again.

use std::collections::BTreeMap;
use std::sync::Arc;

use in_memory::MemoryStore;
use jiff::tz::TimeZone;
use kernel::{Reaction, RetrySafety, System, Timestamp};
use pabal_core::{Action, CommandError, CommandOutcome, Core, CoreOptions, Input, Limits};
use ports::{LogQuery, Model, Query, Reader, Record, StoredRow};

use crate::chance::{Chance, Faults};
use crate::clients::{Answered, Clients, Sent};
use crate::far::{FarCallSeen, FarLedger};
use crate::installation::Installation;
use crate::sabotage::{Sabotage, sabotaged};
use crate::store::FaultyStore;
use crate::trace::Trace;

/// What a world is made of.
pub struct WorldOptions {
    /// The seed of all chance.
    pub seed: u64,
    /// How often what goes wrong.
    pub faults: Faults,
    /// The system.
    pub system: System,
    /// When it begins.
    pub start: Timestamp,
    /// The zone of the installation.
    pub zone: TimeZone,
}

/// A simulated installation.
pub struct World {
    /// The declarations.
    pub model: Arc<Model>,
    /// What survives a crash.
    pub store: MemoryStore,
    /// The far sides, which survive it too.
    pub far: FarLedger,
    /// Chance.
    pub chance: Chance,
    clients: Clients,
    faulty: FaultyStore<MemoryStore>,
    faults: Faults,
    zone: TimeZone,
    core: Option<Core>,
    now_ms: i64,
    /// What happens next outside of the core: at an instant, in the order of being planned.
    agenda: BTreeMap<(i64, u64), Planned>,
    planned: u64,
    trace: Trace,
    paused: Option<String>,
    restarts: u64,
    sabotage: Option<Sabotage>,
}

enum Planned {
    Send(Sent),
    Far(u64, u32, Reaction<Vec<u8>>),
    Resume(String),
}

/// Turns after which a run that does not come to rest is a failure.
const MOST_TURNS: u64 = 10_000;

/// Records after which a log that goes on growing is a failure; a run has some hundreds.
const MOST_RECORDS: u64 = 1_500;

/// Short enough that some events are given up, and must be redriven, in most runs.
const EVENT_RETRIES_MS: [i64; 2] = [500, 2_000];

impl World {
    /// A world at its beginning.
    ///
    /// # Panics
    /// If the system is misdeclared: that is a fault of the test.
    pub fn new(options: WorldOptions) -> Self {
        let model = match Model::new(options.system) {
            Ok(model) => model,
            Err(error) => panic!("{error}"),
        };
        let chance = Chance::seeded(options.seed);
        let store = MemoryStore::new(&model);
        let faulty = FaultyStore::new(store.clone(), chance.clone(), options.faults);
        let far = FarLedger::new(&model, chance.clone(), options.faults);
        Self {
            faulty,
            far,
            store,
            model,
            clients: Clients::new(chance.clone(), &options.faults),
            chance,
            faults: options.faults,
            zone: options.zone,
            core: None,
            now_ms: options.start.as_millisecond(),
            agenda: BTreeMap::new(),
            planned: 0,
            trace: Trace::default(),
            paused: None,
            restarts: 0,
            sabotage: None,
        }
    }

    /// From now on one of the ports is wrong, to show that somebody would notice.
    pub fn sabotage(&mut self, sabotage: Sabotage) {
        self.sabotage = Some(sabotage);
    }

    fn promise(&self, repeat: RetrySafety) -> RetrySafety {
        if self.sabotage == Some(Sabotage::RepeatedBlindly) { RetrySafety::Idempotent } else { repeat }
    }

    /// Runs until nothing is left to do, timers of up to `horizon_ms` from now included; at `heal_after_ms` all faults end.
    ///
    /// # Panics
    /// If it does not come to rest.
    pub fn run(&mut self, heal_after_ms: i64, horizon_ms: i64) {
        let heal_at = self.now_ms + heal_after_ms;
        let end = self.now_ms + horizon_ms;
        for _ in 0..MOST_TURNS {
            if self.now_ms >= heal_at {
                self.heal();
            }
            assert!(self.store.last_seq().unwrap_or(0) < MOST_RECORDS, "the log grows without end\n{}", self.tail(60));
            let wake = self.step();
            let next = self.agenda.keys().next().map(|(at, _)| *at);
            match wake.into_iter().chain(next).min() {
                Some(at) if at <= self.now_ms => {}
                Some(at) if at <= end => self.now_ms = at,
                _ if self.now_ms < heal_at && heal_at <= end => self.now_ms = heal_at,
                _ => return,
            }
        }
        panic!("the world does not come to rest\n{}", self.tail(60));
    }

    fn heal(&mut self) {
        self.chance.heal();
        self.redrive();
        if let Some(service) = self.paused.take() {
            self.plan(0, Planned::Resume(service));
        }
    }

    /// What handlers gave up is tried again: a person would do so once the cause is mended.
    fn redrive(&mut self) {
        let now = Timestamp::from_millisecond(self.now_ms).unwrap_or_default();
        let dead = self.store.all_parked(true, usize::MAX).unwrap_or_default();
        for row in dead {
            if let Some(core) = self.core.as_mut() {
                self.chance.note("redriven");
                core.accept(Input::Redrive { subscription: row.subscription, key: row.key }, now);
            }
        }
    }

    fn plan(&mut self, after_ms: u64, planned: Planned) {
        self.planned += 1;
        let at = self.now_ms.saturating_add(i64::try_from(after_ms).unwrap_or(i64::MAX));
        self.agenda.insert((at, self.planned), planned);
    }

    /// One turn of the core, after what is due outside of it. Tells when the core wants its next one.
    fn step(&mut self) -> Option<i64> {
        self.misfortunes();
        self.restart();
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > self.now_ms {
                break;
            }
            let planned = entry.remove();
            self.happen(planned);
        }
        let now = Timestamp::from_millisecond(self.now_ms).unwrap_or_default();
        let Some(core) = self.core.as_mut() else { return Some(self.now_ms + 100) };
        let turn = core.turn(now);
        if self.faulty.take_crash() {
            self.crash();
            return Some(self.now_ms + 1);
        }
        for action in turn.actions {
            self.act(action);
        }
        if turn.more { Some(self.now_ms) } else { turn.wake_ms.map(|at| at.max(self.now_ms + 1)) }
    }

    fn misfortunes(&mut self) {
        if self.chance.strikes("clock jumps ahead", self.faults.clock_jump) {
            self.now_ms += i64::try_from(self.chance.below(3_600_000)).unwrap_or(0);
        }
        if self.paused.is_none() && self.chance.strikes("a service is paused", self.faults.service_paused) {
            let services = &self.model.system.services;
            let place = usize::try_from(self.chance.below(services.len() as u64)).unwrap_or(0);
            let service = services[place].name.to_owned();
            self.pause(&service, true);
            self.paused = Some(service.clone());
            let long_ms = self.chance.below(20_000);
            self.plan(long_ms, Planned::Resume(service));
        }
    }

    /// Stops or starts one service; the others go on.
    pub fn pause(&mut self, service: &str, paused: bool) {
        self.restart();
        let now = Timestamp::from_millisecond(self.now_ms).unwrap_or_default();
        if let Some(core) = self.core.as_mut() {
            core.accept(Input::Pause { service: service.to_owned(), paused }, now);
        }
    }

    fn restart(&mut self) {
        if self.core.is_some() {
            return;
        }
        let effect_handlers = self.model.system.services.iter().flat_map(|service| &service.effect_handlers);
        let parts = CoreOptions {
            model: self.model.clone(),
            store: sabotaged(&self.faulty, self.sabotage),
            zone: self.zone.clone(),
            limits: Limits {
                batch_items: 1 + usize::try_from(self.chance.below(32)).unwrap_or(0),
                event_retries_ms: EVENT_RETRIES_MS.to_vec(),
                ..Limits::default()
            },
            ports: effect_handlers.map(|def| (def.port.to_owned(), self.promise(def.repeat))).collect(),
            by_broker: false,
        };
        self.core = Core::new(parts).ok();
        self.restarts += 1;
        self.log(format!("start {}", self.restarts));
    }

    /// Everything in memory is gone: open requests are never answered, calls under way never heard of.
    fn crash(&mut self) {
        self.log("crash");
        self.core = None;
        self.paused = None;
        self.agenda.retain(|_, planned| !matches!(planned, Planned::Far(..)));
        for (after_ms, sent) in self.clients.unheard(|_| true) {
            self.plan(after_ms, Planned::Send(sent));
        }
    }

    fn happen(&mut self, planned: Planned) {
        let now = Timestamp::from_millisecond(self.now_ms).unwrap_or_default();
        match planned {
            Planned::Send(sent) => self.request(sent, now),
            Planned::Far(number, attempt, reaction) => {
                if let Some(core) = self.core.as_mut() {
                    core.accept(Input::EffectResult { number, attempt, reaction }, now);
                }
            }
            Planned::Resume(service) => {
                self.paused = None;
                self.pause(&service, false);
            }
        }
    }

    fn request(&mut self, sent: Sent, now: Timestamp) {
        let Some(table) = self.model.find(sent.to.0, sent.to.1).map(|table| table.id) else {
            panic!("{:?} is not declared", sent.to);
        };
        let Some(core) = self.core.as_mut() else {
            let (after_ms, sent) = self.clients.again(sent);
            return self.plan(after_ms, Planned::Send(sent));
        };
        let queued = self.clients.request(sent, table);
        let line = format!("send {} as {}", queued.request.cause.request, queued.ticket);
        let refused = core.accept(Input::Command(Box::new(queued)), now);
        self.log(line);
        if let Some(action) = refused {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Reply { ticket, result } => self.answered(ticket, result),
            Action::Call(job) => {
                let reaction = self.far.call(&job);
                self.log(format!("call {} {} {}", job.id, job.asking, describe(&reaction)));
                if self.chance.strikes("answer twice", self.faults.answer_twice) {
                    let late = self.chance.below(2_000);
                    self.plan(late, Planned::Far(job.number, job.attempt, reaction.clone()));
                }
                let after = self.chance.below(50);
                self.plan(after, Planned::Far(job.number, job.attempt, reaction));
            }
            Action::Committed { last_seq } => self.log(format!("committed {last_seq}")),
        }
    }

    fn answered(&mut self, ticket: u64, result: Result<CommandOutcome, CommandError>) {
        self.log(format!("answer {} {}", self.clients.name_of(ticket), if result.is_ok() { "ok" } else { "no" }));
        if let Some((after_ms, sent)) = self.clients.answered(ticket, result) {
            self.plan(after_ms, Planned::Send(sent));
        }
    }

    fn log(&mut self, line: impl std::fmt::Display) {
        self.trace.log(self.now_ms, line);
    }
}

impl Installation for World {
    fn plan_send(&mut self, after_ms: u64, sent: Sent) {
        self.plan(after_ms, Planned::Send(sent));
    }

    fn models(&self) -> Vec<Arc<Model>> {
        vec![self.model.clone()]
    }

    fn reader(&self, _: &str) -> &dyn Reader {
        &self.store
    }

    fn topic(&self) -> Vec<Record> {
        self.store.log(&LogQuery { limit: 1_000_000, ..LogQuery::default() }).unwrap_or_default()
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
        self.core.as_ref().map(Core::status).into_iter().collect()
    }

    fn digest(&self) -> u64 {
        self.trace.digest()
    }

    fn tail(&self, lines: usize) -> String {
        self.trace.tail(lines)
    }

    fn rebuilt(&mut self, view: &str) -> Vec<StoredRow> {
        self.restart();
        let now = Timestamp::from_millisecond(self.now_ms).unwrap_or_default();
        if let Some(core) = self.core.as_mut() {
            core.accept(Input::Rebuild { view: view.to_owned() }, now);
        }
        self.run(0, 0);
        let unfinished = self.status().into_iter().find_map(|status| status.rebuild);
        assert!(unfinished.is_none(), "the rebuild was not finished: {unfinished:?}");
        let table = self.model.tables.iter().find(|table| table.name == view).map(|table| table.id);
        let page = table.and_then(|table| self.store.page(table, &Query::first(1000)).ok());
        page.map(|page| page.rows).unwrap_or_default()
    }
}

fn describe(reaction: &Reaction<Vec<u8>>) -> String {
    match reaction {
        Reaction::Reply { now, later } => format!("{} +{}", String::from_utf8_lossy(now), later.len()),
        Reaction::UnknownId => "unheard".to_owned(),
        Reaction::TimedOut => "timed out".to_owned(),
        Reaction::Unreachable => "unreachable".to_owned(),
    }
}
