//! One turn after the other: faults, what is due outside of the cores, and what the cores do about it.

use kernel::Reaction;
use pabal_core::{Action, Core, Input};

use super::{Planned, World};
use crate::clients::ClientRequest;
use crate::sabotage::{Sabotage, sabotaged};
use crate::setup::core_options;

impl World {
    /// One turn of each core, after what is due outside of them. Tells when the next one is wanted.
    pub(super) fn step(&mut self) -> Option<i64> {
        self.inject_faults();
        self.start();
        while let Some(planned) = self.schedule.take_due(self.now_ms) {
            self.dispatch(planned);
        }
        let engines = 0..self.engines.len();
        let wakes: Vec<i64> = engines.clone().filter_map(|number| self.turn(number)).collect();
        let news = engines.into_iter().any(|number| self.has_deliveries(number));
        wakes.into_iter().chain(news.then_some(self.now_ms)).min()
    }

    fn turn(&mut self, number: usize) -> Option<i64> {
        self.deliver(number);
        let now = self.now();
        let Some(turn) = self.engines[number].turn(now) else { return Some(self.now_ms + 100) };
        if self.engines[number].faulty.take_crash() {
            self.crash();
            return Some(self.now_ms + 1);
        }
        for action in turn.actions {
            self.act(number, action);
        }
        if turn.more { Some(self.now_ms) } else { turn.wake_ms.map(|at| at.max(self.now_ms + 1)) }
    }

    fn inject_faults(&mut self) {
        if self.chance.strikes("clock jump", self.faults.clock_jump) {
            self.now_ms += i64::try_from(self.chance.below(3_600_000)).unwrap_or(0);
        }
        if self.paused.is_none() && self.chance.strikes("service paused", self.faults.service_paused) {
            let services: Vec<&str> =
                self.engines.iter().flat_map(|engine| &engine.model.system.services).map(|service| service.name).collect();
            let index = usize::try_from(self.chance.below(services.len() as u64)).unwrap_or(0);
            let service = services[index].to_owned();
            self.pause(&service, true);
            self.paused = Some(service.clone());
            let long_ms = self.chance.below(20_000);
            self.plan(long_ms, Planned::Resume(service));
        }
    }

    /// Starts what is down.
    pub(super) fn start(&mut self) {
        let topics: Vec<_> = self.engines.iter().map(|engine| (engine.topic(), engine.records())).collect();
        let now = self.now();
        for number in 0..self.engines.len() {
            let engine = &mut self.engines[number];
            if engine.core.is_some() {
                continue;
            }
            let store = sabotaged(&engine.faulty, self.sabotage);
            let mut options = core_options(&engine.model, store, &self.zone, &self.chance);
            if let Some(safety) = self.sabotage.and_then(Sabotage::retry_safety) {
                options.ports.values_mut().for_each(|promised| *promised = safety);
            }
            engine.core = Core::new(options).ok();
            engine.assign(&topics, now);
            self.starts += 1;
            self.log(format!("start {}", self.starts));
        }
    }

    /// Everything in memory is gone: open requests are retried by their clients, replies on their way are lost.
    fn crash(&mut self) {
        self.log("crash");
        self.engines.iter_mut().for_each(|engine| engine.core = None);
        self.paused = None;
        self.schedule.retain(|planned| !matches!(planned, Planned::Reply { .. }));
        for (after_ms, request) in self.clients.retry_open(|_| true) {
            self.plan(after_ms, Planned::Request(request));
        }
    }

    /// Records of the other systems' topics that a core wants.
    fn deliver(&mut self, number: usize) {
        let now = self.now();
        for (partition, after, limit) in self.engines[number].wants() {
            let deliveries = self.fetch(&partition, after, limit);
            if let Some(core) = self.engines[number].core.as_mut().filter(|_| !deliveries.is_empty()) {
                core.accept(Input::Delivered { partition, deliveries }, now);
            }
        }
    }

    fn has_deliveries(&self, number: usize) -> bool {
        let wants = self.engines[number].wants();
        wants.into_iter().any(|(partition, after, limit)| !self.fetch(&partition, after, limit.min(1)).is_empty())
    }

    fn fetch(&self, partition: &ports::Partition, after: u64, limit: usize) -> Vec<ports::Delivery> {
        let publisher = self.engines.iter().find(|engine| engine.topic() == partition.topic);
        publisher.map(|engine| engine.fetch(after, limit)).unwrap_or_default()
    }

    fn dispatch(&mut self, planned: Planned) {
        let now = self.now();
        match planned {
            Planned::Request(request) => self.request(request),
            Planned::Reply { engine, number, attempt, reaction } => {
                if let Some(core) = self.engines[engine].core.as_mut() {
                    core.accept(Input::EffectResult { number, attempt, reaction }, now);
                }
            }
            Planned::Resume(service) => {
                self.paused = None;
                self.pause(&service, false);
            }
        }
    }

    fn request(&mut self, request: ClientRequest) {
        let now = self.now();
        let find = |model: &ports::Model| model.find(request.to.0, request.to.1).map(|table| table.id);
        let found = self.engines.iter().enumerate().find_map(|(number, engine)| Some((number, find(&engine.model)?)));
        let Some((number, table)) = found else { panic!("{:?} is not declared", request.to) };
        let Some(core) = self.engines[number].core.as_mut() else {
            let (after_ms, request) = self.clients.retry(request);
            return self.plan(after_ms, Planned::Request(request));
        };
        let queued = self.clients.request(request, table);
        let line = format!("send {} as {}", queued.request.cause.request, queued.ticket);
        let rejected = core.accept(Input::Command(Box::new(queued)), now);
        self.log(line);
        if let Some(action) = rejected {
            self.act(number, action);
        }
    }

    fn act(&mut self, engine: usize, action: Action) {
        match action {
            Action::Reply { ticket, result } => {
                let said = if result.is_ok() { "ok" } else { "no" };
                self.log(format!("answer {} {said}", self.clients.name_of(ticket)));
                if let Some((after_ms, request)) = self.clients.answered(ticket, result) {
                    self.plan(after_ms, Planned::Request(request));
                }
            }
            Action::Call(job) => {
                let reaction = self.effects.call(&job);
                self.log(format!("call {} {} {}", job.id, job.asking, describe(&reaction)));
                for (after_ms, reaction) in self.effects.deliveries(reaction) {
                    self.plan(after_ms, Planned::Reply { engine, number: job.number, attempt: job.attempt, reaction });
                }
            }
            Action::Committed { last_seq } => self.log(format!("committed {last_seq}")),
        }
    }
}

fn describe(reaction: &Reaction<Vec<u8>>) -> String {
    match reaction {
        Reaction::Reply { now, later } => format!("{} +{}", String::from_utf8_lossy(now), later.len()),
        Reaction::UnknownId => "unknown id".to_owned(),
        Reaction::TimedOut => "timed out".to_owned(),
        Reaction::Unreachable => "unreachable".to_owned(),
    }
}
