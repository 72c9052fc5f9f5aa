//! One simulated process with everything in it: an engine for each system, what they run on, and clients that retry.

mod engine;
mod observe;
mod turns;

use jiff::tz::TimeZone;
use kernel::{Reaction, System, Timestamp};
use pabal_core::Input;

use crate::chance::Chance;
use crate::clients::{ClientRequest, Clients};
use crate::effect_ledger::EffectLedger;
use crate::faults::Faults;
use crate::sabotage::Sabotage;
use crate::schedule::Schedule;
use crate::setup::declared;
use crate::trace::Trace;
use engine::Engine;

/// What a world is made of.
pub struct WorldOptions {
    /// The seed of all chance.
    pub seed: u64,
    /// How often what goes wrong.
    pub faults: Faults,
    /// The systems, each with a store and a topic of its own; they may follow each other's topics.
    pub systems: Vec<System>,
    /// When it begins.
    pub start: Timestamp,
    /// The zone of the installation.
    pub zone: TimeZone,
}

/// A simulated installation of one process.
pub struct World {
    engines: Vec<Engine>,
    /// The effect handlers, which outlive a crash.
    effects: EffectLedger,
    chance: Chance,
    clients: Clients,
    faults: Faults,
    zone: TimeZone,
    now_ms: i64,
    schedule: Schedule<Planned>,
    trace: Trace,
    paused: Option<String>,
    starts: u64,
    sabotage: Option<Sabotage>,
}

/// What happens outside of the cores.
enum Planned {
    Request(ClientRequest),
    Reply { engine: usize, number: u64, attempt: u32, reaction: Reaction<Vec<u8>> },
    Resume(String),
}

/// Turns after which a run that does not come to rest is a failure, beside those that its time takes.
const MOST_TURNS: u64 = 6_000;

/// A core at rest takes a turn a minute, for its housekeeping; together with timers, some more.
const TURNS_A_MINUTE: u64 = 2;

/// Records after which a log that goes on growing is a failure, beside those of its requests; a run has some hundreds.
const MOST_RECORDS: u64 = 1_500;

/// A request and all that follows from it have fewer.
const RECORDS_A_REQUEST: u64 = 20;

impl World {
    /// A world at its beginning.
    ///
    /// # Panics
    /// If a system is misdeclared: that is a fault of the test.
    pub fn new(options: WorldOptions) -> Self {
        let WorldOptions { seed, faults, systems, start, zone } = options;
        let chance = Chance::seeded(seed);
        let engines: Vec<Engine> = systems.into_iter().map(|system| Engine::new(declared(system), &chance, faults)).collect();
        Self {
            effects: EffectLedger::new(engines.iter().map(|engine| &*engine.model), chance.clone(), faults),
            engines,
            clients: Clients::new(chance.clone(), &faults),
            chance,
            faults,
            zone,
            now_ms: start.as_millisecond(),
            schedule: Schedule::default(),
            trace: Trace::default(),
            paused: None,
            starts: 0,
            sabotage: None,
        }
    }

    /// From now on one of the ports is wrong, to show that a check fails.
    pub fn sabotage(&mut self, sabotage: Sabotage) {
        self.sabotage = Some(sabotage);
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

    /// Runs until nothing is left to do, timers of up to `horizon_ms` from now included. Faults strike during the first
    /// `faults_ms`, and then no more.
    ///
    /// # Panics
    /// If it does not come to rest; and where the world has faults, and `faults_ms` leaves them no time: such a run proves
    /// nothing about them. [`World::settle`] is for that.
    pub fn run(&mut self, faults_ms: i64, horizon_ms: i64) {
        assert!(
            faults_ms > 0 || !self.faults.any(),
            "no fault can strike in a run of 0 ms with faults: use `settle`, or Faults::NONE"
        );
        self.chance.set_healed(false);
        self.turn_until(self.now_ms + faults_ms, horizon_ms);
    }

    /// Runs without faults until nothing is left to do, timers of up to `horizon_ms` from now included.
    ///
    /// # Panics
    /// If it does not come to rest.
    pub fn settle(&mut self, horizon_ms: i64) {
        self.turn_until(self.now_ms, horizon_ms);
    }

    fn turn_until(&mut self, heal_at: i64, horizon_ms: i64) {
        let end = self.now_ms + horizon_ms;
        let minutes = u64::try_from(horizon_ms / 60_000).unwrap_or(0);
        let most_records = MOST_RECORDS + RECORDS_A_REQUEST * self.clients.requests();
        for _ in 0..MOST_TURNS + TURNS_A_MINUTE * minutes {
            if self.now_ms >= heal_at {
                self.heal();
            }
            assert!(self.records() < most_records, "the log grows without end\n{}", self.trace.tail(60));
            let wake = self.step();
            match wake.into_iter().chain(self.schedule.next_ms()).min() {
                Some(at) if at <= self.now_ms => {}
                Some(at) if at <= end => self.now_ms = at,
                _ if self.now_ms < heal_at && heal_at <= end => self.now_ms = heal_at,
                _ => return,
            }
        }
        panic!("the world does not come to rest\n{}", self.trace.tail(60));
    }

    fn records(&self) -> u64 {
        self.engines.iter().map(Engine::records).sum()
    }

    fn heal(&mut self) {
        self.chance.set_healed(true);
        self.redrive();
        if let Some(service) = self.paused.take() {
            self.plan(0, Planned::Resume(service));
        }
    }

    /// Dead letters are redriven: an operator would do so once the cause is mended.
    fn redrive(&mut self) {
        let now = self.now();
        for engine in &mut self.engines {
            for row in engine.dead_letters() {
                if let Some(core) = engine.core.as_mut() {
                    self.chance.note("redriven");
                    core.accept(Input::Redrive { subscription: row.subscription, key: row.key }, now);
                }
            }
        }
    }

    /// Stops or starts one service; the others go on.
    ///
    /// # Panics
    /// If no system has such a service: that is a fault of the test.
    pub fn pause(&mut self, service: &str, paused: bool) {
        self.start();
        let now = self.now();
        let engine = self.engines.iter_mut().find(|engine| engine.has_service(service));
        let Some(engine) = engine else { panic!("{service} is not declared") };
        if let Some(core) = engine.core.as_mut() {
            core.accept(Input::Pause { service: service.to_owned(), paused }, now);
        }
    }
}
