//! A core, its store and its time, all in the hands of a test.

use std::collections::BTreeMap;
use std::sync::Arc;

use in_memory::{MemoryStore, SharedMemory};
use jiff::tz::TimeZone;
use kernel::event::Cause;
use kernel::{Aggregate, DelayedReply, Reaction, Timestamp};
use pabal_core::{
    Action, CommandError, CommandOutcome, CommandRequest, Core, CoreOptions, EffectJob, Idempotency, Input, Limits,
    QueuedCommand, Status, Turn, Wait,
};
use ports::{Delivery, Model, ParkedRow, Partition, Reader, Record, Store};
use serde_json::Value;

use super::store::Fickle;
use super::system::{Copied, CopyDo, Do, Go, NEWS, Note, office};

/// Turns after which a core that should be idle is caught running in circles.
const MOST_TURNS: usize = 5_000;

/// Half past midnight, some day.
pub const START_MS: i64 = 1_800_000_000_000;

/// An installation.
pub struct World {
    /// The declarations.
    pub model: Arc<Model>,
    /// The reading side of what survives a restart.
    pub reader: MemoryStore,
    /// The store as the core sees it, with its faults.
    pub store: Fickle,
    /// The core.
    pub core: Core,
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// Bounds, from the next restart on.
    pub limits: Limits,
    /// Partitions of a broker that are its own from the next restart on, each with its end.
    pub ends: Vec<(Partition, u64)>,
    /// Answers, by ticket.
    pub replies: BTreeMap<u64, Result<CommandOutcome, CommandError>>,
    /// Calls that nobody has looked at yet.
    pub calls: Vec<EffectJob>,
    connect: Box<dyn Fn() -> Box<dyn Store> + Send>,
    by_broker: bool,
    attempts: BTreeMap<u64, u32>,
    tickets: u64,
}

impl World {
    /// A new installation.
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    /// With other bounds.
    pub fn with(limits: Limits) -> Self {
        Self::following(limits, Vec::new())
    }

    /// Where other topics have ended before it began.
    pub fn following(limits: Limits, ends: Vec<(String, u64)>) -> Self {
        let model = Model::new(office()).unwrap();
        let reader = MemoryStore::new(&model);
        let connect = reader.clone();
        let ends = if ends.is_empty() { vec![(NEWS.to_owned(), 0)] } else { ends };
        let ends = ends.into_iter().map(|(topic, end)| (Partition::only(&topic), end)).collect();
        let mut world = Self::over(model, reader, Box::new(move || Box::new(connect.clone())), limits, false);
        world.own(ends);
        world
    }

    /// A process of those that share a database, and a broker for all topics; no partition is its own yet.
    pub fn beside(shared: &SharedMemory, limits: Limits) -> Self {
        let (model, connect) = (Model::new(office()).unwrap(), shared.clone());
        Self::over(model, shared.reader().clone(), Box::new(move || Box::new(connect.connect())), limits, true)
    }

    fn over(
        model: Arc<Model>,
        reader: MemoryStore,
        connect: Box<dyn Fn() -> Box<dyn Store> + Send>,
        limits: Limits,
        by_broker: bool,
    ) -> Self {
        let store = Fickle::around(connect());
        let core = core(&model, &store, &limits, by_broker);
        Self {
            model,
            reader,
            store,
            core,
            now_ms: START_MS,
            limits,
            ends: Vec::new(),
            replies: BTreeMap::new(),
            calls: Vec::new(),
            connect,
            by_broker,
            attempts: BTreeMap::new(),
            tickets: 0,
        }
    }

    /// These partitions are its own, after a restart too.
    pub fn own(&mut self, ends: Vec<(Partition, u64)>) {
        self.ends.clone_from(&ends);
        self.input(Input::Assigned { partitions: ends });
        self.run();
    }

    /// These are not any more.
    pub fn lose(&mut self, partitions: &[Partition]) {
        self.ends.retain(|(partition, _)| !partitions.contains(partition));
        self.input(Input::Revoked { partitions: partitions.to_vec() });
    }

    /// The process dies and starts again: what was in memory is gone.
    pub fn restart(&mut self) {
        self.store.reconnect((self.connect)());
        self.core = core(&self.model, &self.store, &self.limits, self.by_broker);
        self.calls.clear();
        self.input(Input::Assigned { partitions: self.ends.clone() });
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now_ms).unwrap()
    }

    /// A queued as most are.
    pub fn request<A: Aggregate>(&mut self, key: &str, command: A::Command) -> QueuedCommand {
        self.tickets += 1;
        let order = CommandRequest {
            table: self.model.by_type(std::any::TypeId::of::<A>()).unwrap(),
            key: key.to_owned(),
            give_id: None,
            command: Arc::new(command),
            cause: Cause { actor: "tester".into(), request: format!("queued-{}", self.tickets), ..Cause::default() },
            must_exist: false,
            expected_version: None,
            idempotency: None,
            wait: None,
        };
        QueuedCommand { ticket: self.tickets, request: order }
    }

    /// Hands a queued in and returns its ticket.
    pub fn hand_in(&mut self, queued: QueuedCommand) -> u64 {
        let ticket = queued.ticket;
        self.input(Input::Command(Box::new(queued)));
        ticket
    }

    /// Hands a command in and returns its ticket.
    pub fn ask<A: Aggregate>(&mut self, key: &str, command: A::Command) -> u64 {
        let queued = self.request::<A>(key, command);
        self.hand_in(queued)
    }

    /// Hands a queued in, runs, and returns the answer.
    pub fn done(&mut self, queued: QueuedCommand) -> Result<CommandOutcome, CommandError> {
        let ticket = self.hand_in(queued);
        self.run();
        self.reply(ticket)
    }

    /// Hands a command in, runs, and returns the answer.
    pub fn command<A: Aggregate>(&mut self, key: &str, command: A::Command) -> Result<CommandOutcome, CommandError> {
        let queued = self.request::<A>(key, command);
        self.done(queued)
    }

    /// Writes a note.
    pub fn write(&mut self, key: &str, text: &str) -> Result<CommandOutcome, CommandError> {
        self.command::<Note>(key, Do::Write(text.into()))
    }

    /// Hands in that a note is to be written.
    pub fn ask_to_write(&mut self, key: &str, text: &str) -> u64 {
        self.ask::<Note>(key, Do::Write(text.into()))
    }

    /// Makes the gate that gated texts wait for.
    pub fn open_the_gate(&mut self) {
        self.command::<Copied>("gate", CopyDo::Take("open".into())).unwrap();
    }

    /// Sends an errand out, so often.
    pub fn send_out<A: Aggregate<Command = Go>>(&mut self, key: &str, times: u32) {
        self.command::<A>(key, Go::Out(times, "go".into(), None)).unwrap();
    }

    /// The answer to a ticket.
    pub fn reply(&mut self, ticket: u64) -> Result<CommandOutcome, CommandError> {
        self.replies.remove(&ticket).unwrap_or_else(|| panic!("ticket {ticket} is not answered"))
    }

    /// Gives the core something.
    pub fn input(&mut self, input: Input) {
        let now = self.now();
        if let Some(action) = self.core.accept(input, now) {
            self.act(action);
        }
    }

    /// One turn.
    pub fn turn(&mut self) -> Turn {
        let now = self.now();
        let mut turn = self.core.turn(now);
        for action in std::mem::take(&mut turn.actions) {
            self.act(action);
        }
        turn
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Reply { ticket, result } => {
                let twice = self.replies.insert(ticket, result);
                assert!(twice.is_none(), "ticket {ticket} is answered twice");
            }
            Action::Call(job) => {
                self.attempts.insert(job.number, job.attempt);
                self.calls.push(job);
            }
            Action::Committed { last_seq } => assert!(last_seq <= self.reader.last_seq().unwrap()),
        }
    }

    /// Runs until there is nothing to do now; tells when there will be.
    pub fn run(&mut self) -> Option<i64> {
        for _ in 0..MOST_TURNS {
            let turn = self.turn();
            if !turn.more && turn.wake_ms.is_none_or(|wake_ms| wake_ms > self.now_ms) {
                return turn.wake_ms;
            }
        }
        panic!("the core is busy with nothing: {:?}", self.core.status());
    }

    /// Lets time pass, waking the core whenever it wants to be.
    pub fn pass(&mut self, ms: i64) {
        let end = self.now_ms + ms;
        while let Some(wake_ms) = self.run().filter(|wake_ms| *wake_ms <= end) {
            self.now_ms = wake_ms;
        }
        self.now_ms = end;
        self.run();
    }

    /// The calls since the last time: number, attempt, and whether only a question is allowed.
    pub fn called(&mut self) -> Vec<(u64, u32, bool)> {
        std::mem::take(&mut self.calls).iter().map(|job| (job.number, job.attempt, job.asking)).collect()
    }

    /// A far side reacts.
    pub fn react(&mut self, number: u64, reaction: Reaction<Vec<u8>>) {
        let attempt = self.attempts.get(&number).copied().unwrap_or_default();
        self.input(Input::EffectResult { number, attempt, reaction });
        self.run();
    }

    /// A far side answers.
    pub fn answer(&mut self, number: u64, reply: &str) {
        self.react(number, Reaction::reply(json(reply)));
    }

    /// A service stops, or goes on.
    pub fn pause(&mut self, service: &str, paused: bool) {
        self.input(Input::Pause { service: service.into(), paused });
    }

    /// The other system says something, from this position on.
    pub fn said(&mut self, from: u64, texts: &[&str]) {
        let records = texts.iter().zip(from..).map(|(text, seq)| said(seq, text)).collect();
        self.deliver(&Partition::only(NEWS), records);
    }

    /// Records of a partition, without stamps.
    pub fn deliver(&mut self, partition: &Partition, records: Vec<Record>) {
        let deliveries = records.into_iter().map(|record| Delivery { record, stamp: None }).collect();
        self.input(Input::Delivered { partition: partition.clone(), deliveries });
    }

    /// A row as JSON, `Null` where there is none.
    pub fn row(&self, service: &str, name: &str, key: &str) -> Value {
        let table = self.model.find(service, name).unwrap().id;
        let row = self.reader.by_key(table, key).unwrap();
        row.map_or(Value::Null, |row| serde_json::from_slice(&row.data).unwrap())
    }

    /// What a note says.
    pub fn note(&self, key: &str) -> Option<String> {
        Some(self.row("desk", "note", key)["text"].as_str()?.to_owned())
    }

    /// What was copied under a key.
    pub fn copies(&self, key: &str) -> Vec<String> {
        strings(&self.row("copies", "copy", key)["texts"])
    }

    /// What the book says under a key.
    pub fn line(&self, key: &str) -> Vec<String> {
        strings(&self.row("book", "lines", key)["texts"])
    }

    /// What came of an errand.
    pub fn heard(&self, errand: &str, key: &str) -> Vec<String> {
        strings(&self.row("errands", errand, key)["heard"])
    }

    /// The events of the log: type and key.
    pub fn log(&self) -> Vec<(String, String)> {
        let all = ports::LogQuery { limit: usize::MAX, ..ports::LogQuery::default() };
        self.reader.log(&all).unwrap().into_iter().map(|record| (record.event_type, record.key)).collect()
    }

    /// Tries again what is parked for a key.
    pub fn redrive(&mut self, subscription: &str, key: &str) {
        self.input(Input::Redrive { subscription: subscription.into(), key: key.into() });
        self.run();
    }

    /// Removes what is parked first for a key, if it stands at that position.
    pub fn discard(&mut self, subscription: &str, key: &str, position: u64) {
        self.input(Input::Discard { subscription: subscription.into(), key: key.into(), position });
        self.run();
    }

    /// What is parked in one queue, by position.
    pub fn parked(&self, subscription: &str) -> Vec<ParkedRow> {
        let mut rows = self.reader.all_parked(false, usize::MAX).unwrap();
        rows.retain(|row| row.subscription == subscription);
        rows.sort_by_key(|row| row.position);
        rows
    }

    /// How far a subscription has come.
    pub fn position(&self, subscription: &str) -> u64 {
        let positions = self.reader.positions().unwrap();
        positions.iter().find(|(name, _)| name == subscription).map_or(0, |(_, position)| *position)
    }

    /// How the core is doing.
    pub fn status(&self) -> Status {
        self.core.status()
    }
}

fn core(model: &Arc<Model>, store: &Fickle, limits: &Limits, by_broker: bool) -> Core {
    let effect_handlers = model.system.services.iter().flat_map(|service| &service.effect_handlers);
    let parts = CoreOptions {
        model: model.clone(),
        store: Box::new(store.clone()),
        zone: TimeZone::UTC,
        limits: limits.clone(),
        ports: effect_handlers.map(|def| (def.port.to_owned(), def.repeat)).collect(),
        by_broker,
    };
    Core::new(parts).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// A reply as a far side writes it.
pub fn json(reply: &str) -> Vec<u8> {
    serde_json::to_vec(reply).unwrap()
}

/// A word that comes later.
pub fn word(after_ms: u64, reply: &str) -> DelayedReply<Vec<u8>> {
    DelayedReply { after: std::time::Duration::from_millis(after_ms), reply: json(reply) }
}

/// A record of the other system.
pub fn said(seq: u64, text: &str) -> Record {
    Record {
        seq,
        id: format!("news-{seq}"),
        source: "news".into(),
        event_type: "Said".into(),
        version: 1,
        key: "speaker".into(),
        time_ms: START_MS,
        data: serde_json::to_vec(&serde_json::json!({ "eventType": "Said", "text": text })).unwrap(),
        cause: Cause::default(),
    }
}

/// An idempotency key, remembered for a minute.
pub fn once(key: &str, fingerprint: &str) -> Idempotency {
    Idempotency { scope: "test".into(), key: key.into(), fingerprint: fingerprint.into(), keep_ms: 60_000 }
}

/// Waits until an errand has heard of something, for so long.
pub fn until_heard<A: Aggregate>(world: &World, heard: fn(&A) -> bool, at_most_ms: i64) -> Wait {
    let settled = move |state: &kernel::context::Opaque| state.downcast_ref::<A>().is_some_and(heard);
    Wait { settled: Arc::new(settled), deadline_ms: world.now_ms + at_most_ms }
}
