//! The core: a state machine that turns commands, events, answers and due timers into commits and actions.
//!
//! It owns the store's writing side and nothing else: the time comes with each turn, calls to far sides and answers to
//! clients leave as [`Action`]s. One turn is one batch: gather what is ready, decide it in memory, commit once, act.
//!
//! ```text
//! inputs ──accept──▶ queues ──gather──▶ work ──attempt──▶ batch ──commit──▶ actions
//!                      ▲                  │ rows missing: load, again          │
//!                      └── log, timers, parked, effects ◀─────────────────────┘
//! ```

mod answers;
mod batch;
mod commit;
mod decide;
mod effects;
mod events;
mod foreign;
mod gather;
mod lanes;
mod limits;
mod parking;
mod rebuild;
mod relay;
mod request;
mod rows;
mod status;
mod subscriptions;
mod waiters;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::tz::TimeZone;
use kernel::{RetrySafety, Timestamp};

use answers::Answers;
use batch::{Batch, Mark};
use effects::{Effects, Ended};
use gather::Items;
use parking::Parking;
use ports::model::{Model, Subscription, TableId};
use ports::{CommitError, Partition, Record, Recovered, RowRef, Store, StoreError};
use rebuild::Rebuild;
use rows::RowCache;
use subscriptions::{Phase, Place, Reached};
use waiters::Waiters;
use work::Work;

pub use limits::Limits;
pub use relay::{Relay, RelayError, Relayed};
pub use request::{
    Action, CommandError, CommandOutcome, CommandRequest, EffectJob, Idempotency, Input, QueuedCommand, Typed, Wait,
};
pub use status::{ConsumerStatus, RebuildDone, RebuildStatus, Status};

/// Rounds of loading after which one item is to blame: more than any chain of look-ups needs.
const ROUNDS: usize = 64;

/// One system at work.
pub struct Core {
    model: Arc<Model>,
    limits: Limits,
    zone: TimeZone,
    store: Box<dyn Store>,
    now: Timestamp,
    rows: RowCache,
    places: Vec<Place>,
    /// Positions that were handed over by those who read before.
    handed: BTreeMap<Partition, u64>,
    /// The own topic, too, comes from a broker.
    by_broker: bool,
    effects: Effects,
    parking: Parking,
    waiters: Waiters,
    rebuild: Option<Rebuild>,
    rebuilds: u64,
    rebuilt: Option<RebuildDone>,
    commands: VecDeque<Box<QueuedCommand>>,
    ended: VecDeque<Ended>,
    /// Ends of effects that the store refuses, each with when it is tried again.
    set_back: Vec<(i64, Ended)>,
    discards: VecDeque<(usize, String, u64)>,
    rebuild_wanted: Option<String>,
    /// A commit whose outcome nobody knows yet; nothing else is done before it is known.
    limbo: Option<commit::Pending>,
    trouble: Option<Trouble>,
    /// Items of the next batch at most; smaller while a refused batch is being taken apart.
    batch_items: usize,
    /// A refused batch is being taken apart: every event is an item of its own.
    apart: bool,
    /// Services that handle no events and timers now, by index.
    paused: Vec<bool>,
    /// The place whose backlog the last batch took from first.
    first_place: usize,
    last_commit: u64,
    last_seq: u64,
    last_effect: u64,
    /// With those that the present batch gives.
    last_ids: Vec<u64>,
    committed_ids: Vec<u64>,
    /// The last id per table that this process may give: in a shared store it is given some at a time.
    ids_until: Vec<u64>,
    /// Commits in a row that others came before.
    conflicts: u32,
    /// When a shared store is looked at again for what others have left or set.
    next_look_ms: i64,
    /// When the own lease was last prolonged.
    pulse_ms: i64,
    next_timer_ms: Option<i64>,
    next_housekeeping_ms: i64,
}

/// The store refuses to work: what can wait waits until then.
struct Trouble {
    until_ms: i64,
    cause: String,
}

/// Why an item or a batch cannot go on.
pub(crate) enum Stop {
    /// These rows must be loaded first; none, where answers were missing and are at hand now.
    Missing(Vec<RowRef>),
    /// The ids of this table that this process may give are used up.
    Ids(TableId),
    /// The store failed.
    Store(StoreError),
    /// A commit failed.
    Commit(CommitError),
}

impl Stop {
    fn cause(&self) -> String {
        match self {
            Self::Missing(_) => "rows could not be loaded".to_owned(),
            Self::Ids(_) => "there are no ids".to_owned(),
            Self::Store(error) => error.to_string(),
            Self::Commit(error) => error.to_string(),
        }
    }
}

/// Runs what the business has written: its panic is its own, and the writer goes on.
fn guarded<T>(name: &str, run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| format!("{name} panicked"))
}

/// What a turn came to.
#[derive(Default)]
pub struct Turn {
    /// To be done outside.
    pub actions: Vec<Action>,
    /// There is more to do at once.
    pub more: bool,
    /// When there is something to do without any input, milliseconds since 1970.
    pub wake_ms: Option<i64>,
}

/// What a core is made of.
pub struct CoreOptions {
    /// The declarations.
    pub model: Arc<Model>,
    /// The store's writing side.
    pub store: Box<dyn Store>,
    /// The zone of the installation.
    pub zone: TimeZone,
    /// Bounds.
    pub limits: Limits,
    /// What the adapters of the ports promise; ports that are missing here are never called twice.
    pub ports: BTreeMap<String, RetrySafety>,
    /// The system's own topic, too, comes from a broker, which its log is relayed to; else followers read the log itself.
    pub by_broker: bool,
}

impl Core {
    /// A core over what its store has.
    pub fn new(parts: CoreOptions) -> Result<Self, StoreError> {
        let CoreOptions { model, mut store, zone, limits, ports, by_broker } = parts;
        let recovered = store.recover()?;
        let answers = Answers::new(&model, limits.answers, limits.answer_ttl_ms);
        let mut core = Self {
            rows: RowCache::new(model.clone(), answers),
            effects: Effects::new(&limits, ports),
            next_timer_ms: store.next_timer()?,
            now: Timestamp::UNIX_EPOCH,
            waiters: Waiters::default(),
            rebuild: None,
            rebuilds: 0,
            rebuilt: None,
            commands: VecDeque::new(),
            ended: VecDeque::new(),
            set_back: Vec::new(),
            discards: VecDeque::new(),
            rebuild_wanted: None,
            limbo: None,
            trouble: None,
            batch_items: limits.batch_items,
            apart: false,
            paused: vec![false; model.system.services.len()],
            first_place: 0,
            committed_ids: Vec::new(),
            last_commit: 0,
            last_seq: 0,
            last_effect: 0,
            last_ids: Vec::new(),
            ids_until: Vec::new(),
            conflicts: 0,
            next_look_ms: 0,
            pulse_ms: 0,
            next_housekeeping_ms: 0,
            parking: Parking::default(),
            places: Vec::new(),
            handed: BTreeMap::new(),
            by_broker,
            model,
            limits,
            zone,
            store,
        };
        core.begin(recovered);
        core.open_own()?;
        Ok(core)
    }

    /// Takes its place in the store: with the numbers that are its own.
    fn begin(&mut self, recovered: Recovered) {
        let Recovered { last_commit, last_seq, last_effect, mut last_ids } = recovered;
        last_ids.resize(self.model.tables.len(), 0);
        self.ids_until = if self.store.exclusive() { vec![u64::MAX; last_ids.len()] } else { last_ids.clone() };
        self.committed_ids.clone_from(&last_ids);
        self.last_ids = last_ids;
        (self.last_commit, self.last_seq, self.last_effect) = (last_commit, last_seq, last_effect);
        self.effects.begin(last_effect);
    }

    /// Takes something in. A command beyond the bound is answered at once.
    pub fn accept(&mut self, input: Input, now: Timestamp) -> Option<Action> {
        match input {
            Input::Command(request) => {
                let paused = self.is_paused(self.service_of(request.order.table));
                if paused || self.commands.len() >= self.limits.queue {
                    let failure =
                        if paused { CommandError::Unavailable("the service is paused".into()) } else { CommandError::Overloaded };
                    return Some(Action::Reply { ticket: request.ticket, result: Err(failure) });
                }
                self.commands.push_back(request);
            }
            Input::EffectResult { number, attempt, reaction } => {
                self.ended.extend(self.effects.reacted((number, attempt), reaction, now.as_millisecond()));
            }
            Input::Delivered { partition, deliveries } => self.delivered(&partition, deliveries),
            Input::Assigned { partitions } => self.assigned(partitions),
            Input::HandedOver { positions } => self.handed.extend(positions),
            Input::Revoked { partitions } => self.revoked(&partitions),
            Input::Redrive { subscription, key } => {
                for place in self.places_that_park(&subscription, &key) {
                    self.parking.set(place, &key, parking::Parked { next_try_ms: 0, dead: false });
                }
            }
            Input::Discard { subscription, key, place } => {
                let heads = self.places_that_park(&subscription, &key);
                self.discards.extend(heads.into_iter().map(|parks| (parks, key.clone(), place)));
            }
            Input::Rebuild { view } => self.rebuild_wanted = Some(view),
            Input::Pause { service, paused } => self.pause(&service, paused),
        }
        None
    }

    /// The places of a follower that hold events of this key back.
    fn places_that_park(&self, subscription: &str, key: &str) -> Vec<usize> {
        let of = |place: &usize| self.model.subscriptions[self.places[*place].subscription].name == subscription;
        (0..self.places.len()).filter(of).filter(|place| self.parking.holds(*place, key)).collect()
    }

    fn pause(&mut self, service: &str, paused: bool) {
        let services = self.model.system.services.iter();
        services.zip(&mut self.paused).filter(|(def, _)| def.name == service).for_each(|(_, is)| *is = paused);
        if !paused {
            self.next_timer_ms = self.next_timer_ms.and(Some(i64::MIN)); // what waited is looked for at once
        }
        for place in &mut self.places {
            let of = self.model.subscriptions[place.subscription].service;
            if self.model.system.services[of].name == service {
                place.paused = paused;
            }
        }
    }

    fn is_paused(&self, service: usize) -> bool {
        self.paused[service]
    }

    fn service_of(&self, table: TableId) -> usize {
        self.model.table_of(table).service
    }

    /// One batch, if there is anything to do.
    pub fn turn(&mut self, now: Timestamp) -> Turn {
        self.now = now;
        self.rows.answers.begin(now.as_millisecond());
        let mut turn = Turn::default();
        if !self.out_of_limbo(&mut turn) {
            self.turn_away(&mut turn);
        } else if self.set_aside(&mut turn) {
            self.work_once(&mut turn);
        }
        let jobs = if self.may_call() { self.effects.dispatch(now.as_millisecond()) } else { Vec::new() };
        turn.actions.extend(jobs.into_iter().map(Action::Call));
        let known = self.limbo.is_none();
        turn.actions.extend(self.waiters.answer(&self.model, known.then_some(&self.rows), now.as_millisecond()));
        if known {
            self.rows.trim(if self.store.exclusive() { self.limits.rows } else { 0 });
        }
        turn.more = turn.more || self.has_more();
        turn.wake_ms = self.wake_ms();
        turn
    }

    /// As long as nobody knows what became of a commit, nothing can be begun: who waits is told so at once.
    fn turn_away(&mut self, turn: &mut Turn) {
        let unavailable = || CommandError::Unavailable("the outcome of a commit is being found out".into());
        let rejected =
            self.commands.drain(..).map(|request| Action::Reply { ticket: request.ticket, result: Err(unavailable()) });
        turn.actions.extend(rejected);
    }

    fn work_once(&mut self, turn: &mut Turn) {
        let mut items = Items::default();
        let mut batch = Batch::default();
        if let Err(stop) = self.gather(&mut items) {
            if matches!(stop, Stop::Store(StoreError::Fenced)) {
                return self.begin_again(items, turn);
            }
            return self.wait_for_store(items, &stop.cause(), turn); // whatever it is, it is no item's fault
        }
        match self.run(&mut batch, &mut items) {
            Ok(()) => self.commit(batch, items, turn),
            Err(stop) => self.stumble(items, &stop, turn),
        }
    }

    /// Does every item, then what the events of this very batch cause in followers that are at the end of the log.
    fn run(&mut self, batch: &mut Batch, items: &mut Items) -> Result<(), Stop> {
        // Rows first: whoever commits between the two reads is found in the answers, if not in the rows.
        self.load_foreseen(&items.work)?;
        self.recall(batch, &items.work)?;
        self.do_all(batch, &items.work)?;
        // While a refused batch is taken apart, every event is an item of its own.
        if self.apart { Ok(()) } else { self.run_followers(batch, items) }
    }

    fn run_followers(&mut self, batch: &mut Batch, items: &mut Items) -> Result<(), Stop> {
        let at_end: Vec<usize> = (0..self.places.len()).filter(|place| self.is_at_end(*place, items)).collect();
        let mut handled = 0;
        while handled < batch.log.len() && handled < self.limits.batch_events && batch.log_bytes < self.limits.batch_bytes {
            let from = handled;
            let upto = batch.log.len();
            let works: Vec<Work> = batch.log[from..upto].iter().flat_map(|record| self.for_places(&at_end, record)).collect();
            self.do_all(batch, &works)?;
            handled = upto;
        }
        if handled > 0 {
            let reached = self.last_seq + handled as u64;
            items.reached.retain(|reached| !at_end.contains(&reached.place));
            let to_end = |place| Reached { place, to: reached, numbers: BTreeMap::new() };
            items.reached.extend(at_end.into_iter().map(to_end));
        }
        Ok(())
    }

    fn for_places(&self, at_end: &[usize], record: &Arc<Record>) -> Vec<Work> {
        let caring = at_end.iter().filter(|place| self.follower_at(**place).handles(&record.event_type));
        caring.map(|place| Work::Event { place: *place, record: record.clone(), parked: None }).collect()
    }

    /// Who stands at a place.
    fn follower_at(&self, place: usize) -> &Subscription {
        &self.model.subscriptions[self.places[place].subscription]
    }

    /// It has handled everything that is committed, this batch's items included.
    fn is_at_end(&self, number: usize, items: &Items) -> bool {
        let place = &self.places[number];
        let reached = items.reached.iter().find(|reached| reached.place == number).map_or(place.position, |reached| reached.to);
        place.own && place.works() && place.backlog.is_empty() && reached == self.last_seq
    }

    /// Does items in order; what they will certainly need is loaded for all of them at once.
    fn do_all(&mut self, batch: &mut Batch, items: &[Work]) -> Result<(), Stop> {
        self.load_foreseen(items)?;
        items.iter().try_for_each(|item| self.do_item(batch, item))
    }

    fn load_foreseen(&mut self, items: &[Work]) -> Result<(), Stop> {
        let foreseen = items.iter().flat_map(|item| self.foresee(item)).collect();
        self.load(foreseen)
    }

    fn do_item(&mut self, batch: &mut Batch, item: &Work) -> Result<(), Stop> {
        let mark = batch.mark(self.rows.mark());
        for _ in 0..ROUNDS {
            match self.attempt(batch, item) {
                Ok(()) => return Ok(()),
                Err(Stop::Missing(wanted)) => {
                    self.undo(batch, &mark);
                    self.load(wanted)?;
                }
                Err(Stop::Ids(table)) => {
                    self.undo(batch, &mark);
                    self.more_ids(table)?;
                }
                Err(stop) => return Err(stop),
            }
        }
        Err(Stop::Store(StoreError::Corrupt("a decision asks for ever more rows".into())))
    }

    fn undo(&mut self, batch: &mut Batch, mark: &Mark) {
        let rows = batch.rollback(mark);
        self.rows.rollback(rows);
    }

    /// Some more ids of a table, for this process alone. What was left of those before may stay ungiven.
    fn more_ids(&mut self, table: TableId) -> Result<(), Stop> {
        let count = self.limits.batch_items.max(1) as u64;
        let ids = self.store.ids(table, count).map_err(Stop::Store)?;
        let last = ids.start.saturating_sub(1);
        self.ids_until[table.0] = ids.end.saturating_sub(1);
        self.last_ids[table.0] = last;
        self.committed_ids[table.0] = last;
        Ok(())
    }

    fn load(&mut self, mut wanted: Vec<RowRef>) -> Result<(), Stop> {
        wanted.retain(|row| self.rows.get(row.table, &row.key).is_none());
        wanted.sort();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(());
        }
        let loaded = self.store.load(&wanted).map_err(Stop::Store)?;
        for (row, stored) in wanted.iter().zip(loaded) {
            let put = self.rows.put(row.table, &row.key, stored);
            put.map_err(|error| Stop::Store(StoreError::Corrupt(format!("{}: {error}", row.key))))?;
        }
        Ok(())
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        let places = self.places.iter().filter(|place| place.phase != Phase::Closed);
        let subscriptions = places.map(|place| ConsumerStatus {
            name: self.model.subscriptions[place.subscription].name.clone(),
            topic: place.partition.topic.clone(),
            partition: place.partition.number,
            position: place.position,
            lag: if place.own { self.last_seq - place.position } else { place.read_to - place.position },
        });
        let (parked_keys, dead_keys) = self.parking.counts();
        Status {
            last_seq: self.last_seq,
            subscriptions: subscriptions.collect(),
            effects: self.effects.len(),
            parked_keys,
            dead_keys,
            rebuild: self.rebuild.as_ref().map(|running| RebuildStatus {
                number: running.number,
                view: running.view.clone(),
                position: running.position,
                failed: running.failed.clone(),
            }),
            rebuilt: self.rebuilt.clone(),
            healthy: self.trouble.is_none() && self.limbo.is_none(),
            trouble: self.trouble.as_ref().map(|trouble| trouble.cause.clone()),
            pulse_ms: self.now.as_millisecond(),
        }
    }
}
