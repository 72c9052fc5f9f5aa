//! One simulated installation: a core, what it runs on, and a client who sends and sends again.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use jiff::tz::TimeZone;
use kernel::context::Opaque;
use kernel::event::Cause;
use kernel::{Reaction, Repeat, System, Timestamp};
use runtime::memory::MemoryStore;
use runtime::ports::Reader;
use runtime::{Action, Core, Done, Failure, Idempotency, Input, Limits, Model, Parts, Request, TableId};

use crate::chance::{Chance, Faults, Tally};
use crate::far::FarLedger;
use crate::sabotage::{Sabotage, sabotaged};
use crate::store::FaultyStore;

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

/// An answer that a client got.
#[derive(Debug, Clone)]
pub struct Answered {
    /// What the client calls its request.
    pub name: String,
    /// The answer; none, where the process died first.
    pub result: Result<Done, Failure>,
}

/// A request as a client can repeat it.
#[derive(Clone)]
struct Sent {
    name: String,
    table: TableId,
    /// None, where one is made for each try, as an inbound adapter does.
    key: Option<String>,
    command: Opaque,
    must_exist: bool,
    tries: u32,
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
    /// Answers, in order.
    pub answers: Vec<Answered>,
    faulty: FaultyStore,
    faults: Faults,
    zone: TimeZone,
    core: Option<Core>,
    now_ms: i64,
    open: BTreeMap<u64, Sent>,
    next_ticket: u64,
    /// What happens next outside of the core: at an instant, in the order of being planned.
    agenda: BTreeMap<(i64, u64), Planned>,
    planned: u64,
    trace: DefaultHasher,
    lines: Vec<String>,
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

/// Lines of the trace that are kept for reading; the digest covers all of them.
const TRACE_LINES: usize = 200_000;

/// Short enough that some events are given up, and must be redriven, in most runs.
const EVENT_RETRIES_MS: [i64; 2] = [500, 2_000];

/// A client gives up after so many tries.
const TRIES: u32 = 200;

impl World {
    /// A world at its beginning.
    ///
    /// # Panics
    /// If the system is misdeclared: that is a fault of the test.
    pub fn new(options: WorldOptions) -> Self {
        let model = match Model::of(options.system) {
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
            chance,
            answers: Vec::new(),
            faults: options.faults,
            zone: options.zone,
            core: None,
            now_ms: options.start.as_millisecond(),
            open: BTreeMap::new(),
            next_ticket: 0,
            agenda: BTreeMap::new(),
            planned: 0,
            trace: DefaultHasher::new(),
            lines: Vec::new(),
            paused: None,
            restarts: 0,
            sabotage: None,
        }
    }

    /// Plans a command: a client sends it at `after_ms` from now, and again until it is answered.
    ///
    /// # Panics
    /// If there is no such aggregate: that is a fault of the test.
    pub fn send(&mut self, after_ms: u64, name: &str, aggregate: (&str, &str), key: &str, command: Opaque, must_exist: bool) {
        self.plan_send(after_ms, name, aggregate, Some(key.to_owned()), command, must_exist);
    }

    /// Plans a command for a new aggregate whose key the client does not name.
    ///
    /// # Panics
    /// If there is no such aggregate: that is a fault of the test.
    pub fn send_unnamed(&mut self, after_ms: u64, name: &str, aggregate: (&str, &str), command: Opaque) {
        self.plan_send(after_ms, name, aggregate, None, command, false);
    }

    fn plan_send(
        &mut self,
        after_ms: u64,
        name: &str,
        aggregate: (&str, &str),
        key: Option<String>,
        command: Opaque,
        must_exist: bool,
    ) {
        let Some(table) = self.model.find(aggregate.0, aggregate.1).map(|table| table.id) else {
            panic!("{aggregate:?} is not declared");
        };
        let sent = Sent { name: name.to_owned(), table, key, command, must_exist, tries: 0 };
        self.plan(after_ms, Planned::Send(sent));
    }

    /// From now on one of the ports is wrong, to show that somebody would notice.
    pub fn sabotage(&mut self, sabotage: Sabotage) {
        self.sabotage = Some(sabotage);
    }

    fn promise(&self, repeat: Repeat) -> Repeat {
        if self.sabotage == Some(Sabotage::RepeatedBlindly) { Repeat::Idempotent } else { repeat }
    }

    /// Plans the rows of a first run, in their order.
    pub fn seed(&mut self) {
        let model = self.model.clone();
        for (place, seed) in model.system.seeds.iter().enumerate() {
            for service in &model.system.services {
                let Some(resource) = service.resources.iter().find(|resource| resource.name == seed.resource) else { continue };
                let new = resource.create.as_ref().and_then(|create| create.make(seed.body.clone()).ok());
                let (Some(new), Some(table)) = (new, model.by_type(resource.aggregate)) else { continue };
                let name = format!("seed-{place}");
                let sent = Sent { name, table, key: new.key, command: new.command, must_exist: false, tries: 0 };
                self.plan(0, Planned::Send(sent));
            }
        }
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
                core.accept(Input::Redrive { follower: row.follower, key: row.key }, now);
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
        let core = self.core.as_mut()?;
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
        let far_sides = self.model.system.services.iter().flat_map(|service| &service.far_sides);
        let parts = Parts {
            model: self.model.clone(),
            store: sabotaged(&self.faulty, self.sabotage),
            zone: self.zone.clone(),
            limits: Limits {
                batch_items: 1 + usize::try_from(self.chance.below(32)).unwrap_or(0),
                event_retries_ms: EVENT_RETRIES_MS.to_vec(),
                ..Limits::default()
            },
            ports: far_sides.map(|def| (def.port.to_owned(), self.promise(def.repeat))).collect(),
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
        for (_, sent) in std::mem::take(&mut self.open) {
            self.again(sent);
        }
    }

    fn again(&mut self, sent: Sent) {
        assert!(sent.tries < TRIES, "{} is never answered\n{}", sent.name, self.tail(60));
        let pause_ms = 10 + self.chance.below(500);
        self.plan(pause_ms, Planned::Send(Sent { tries: sent.tries + 1, ..sent }));
    }

    fn happen(&mut self, planned: Planned) {
        let now = Timestamp::from_millisecond(self.now_ms).unwrap_or_default();
        match planned {
            Planned::Send(sent) => self.request(sent, now),
            Planned::Far(number, attempt, reaction) => {
                if let Some(core) = self.core.as_mut() {
                    core.accept(Input::Far { number, attempt, reaction }, now);
                }
            }
            Planned::Resume(service) => {
                self.paused = None;
                self.pause(&service, false);
            }
        }
    }

    fn request(&mut self, sent: Sent, now: Timestamp) {
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        let request = Request {
            ticket,
            table: sent.table,
            key: sent.key.clone().unwrap_or_else(|| format!("made-{ticket}")),
            give_id: None,
            command: sent.command.clone(),
            cause: Cause { actor: "client".into(), request: sent.name.clone(), ..Cause::default() },
            must_exist: sent.must_exist,
            expected_version: None,
            idempotency: Some(Idempotency {
                scope: "sim".into(),
                key: sent.name.clone(),
                fingerprint: sent.name.clone(),
                keep_ms: 86_400_000,
            }),
            wait: None,
        };
        self.log(format!("send {} as {ticket}", sent.name));
        self.open.insert(ticket, sent);
        let refused = self.core.as_mut().and_then(|core| core.accept(Input::Command(Box::new(request)), now));
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

    fn answered(&mut self, ticket: u64, result: Result<Done, Failure>) {
        let Some(sent) = self.open.remove(&ticket) else { return };
        self.log(format!("answer {} {}", sent.name, if result.is_ok() { "ok" } else { "no" }));
        match &result {
            Err(Failure::Unavailable(_) | Failure::Overloaded | Failure::InFlight) => self.again(sent),
            // A cancel may overtake its message: the client tries again as long as the message has not come.
            Err(Failure::Absent) if sent.must_exist && sent.tries < TRIES / 2 => {
                // A remembered answer would never change; absence is not remembered.
                self.again(sent);
            }
            _ => {
                if self.chance.strikes("request twice", self.faults.request_twice) {
                    let late = self.chance.below(5_000);
                    self.plan(late, Planned::Send(Sent { tries: 0, ..sent.clone() }));
                }
                self.answers.push(Answered { name: sent.name, result });
            }
        }
    }

    fn log(&mut self, line: impl std::fmt::Display) {
        let line = format!("{} {line}", self.now_ms);
        line.hash(&mut self.trace);
        if self.lines.len() < TRACE_LINES {
            self.lines.push(line);
        }
    }

    /// A digest of everything that happened: the same seed gives the same.
    pub fn digest(&self) -> u64 {
        self.trace.finish()
    }

    /// The last lines of the trace.
    pub fn tail(&self, lines: usize) -> String {
        self.lines[self.lines.len().saturating_sub(lines)..].join("\n")
    }

    /// What happened, how often.
    pub fn tally(&self) -> Tally {
        self.chance.tally()
    }

    /// Starts a rebuild of a view and runs until it is done.
    pub fn rebuild(&mut self, view: &str) {
        self.restart();
        let now = Timestamp::from_millisecond(self.now_ms).unwrap_or_default();
        if let Some(core) = self.core.as_mut() {
            core.accept(Input::Rebuild { view: view.to_owned() }, now);
        }
        self.run(0, 0);
    }

    /// How the core is doing.
    pub fn status(&self) -> runtime::Status {
        self.core.as_ref().map(Core::status).unwrap_or_default()
    }
}

fn describe(reaction: &Reaction<Vec<u8>>) -> String {
    match reaction {
        Reaction::Reply { now, later } => format!("{} +{}", String::from_utf8_lossy(now), later.len()),
        Reaction::Unheard => "unheard".to_owned(),
        Reaction::TimedOut => "timed out".to_owned(),
        Reaction::Unreachable => "unreachable".to_owned(),
    }
}
