//! Fills a store as Pabal itself would: the shipped core over it, fed with commands, in batches of any size.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use kernel::context::Opaque;
use kernel::event::Cause;
use kernel::service::EffectHandlerDef;
use kernel::{Reaction, Timestamp};
use pabal_core::{Action, CommandRequest, Core, CoreOptions, EffectJob, Input, Limits, QueuedCommand};
use ports::{Model, Store, TableId};

use crate::args::Keys;
use crate::failed::{Failed, failed};
use crate::load::requests;

/// The zone that an installation has by default.
const ZONE: &str = "Asia/Seoul";

/// A core with its clients and its far sides.
pub struct Feeder {
    core: Core,
    model: Arc<Model>,
    messages: TableId,
    effect_handlers: HashMap<String, EffectHandlerDef>,
    keys: Keys,
    asked: u64,
    answered: u64,
}

impl Feeder {
    /// Over a store; up to `batch` messages are sent at once.
    pub fn new(store: Box<dyn Store>, model: &Arc<Model>, keys: Keys, batch: usize) -> Result<Self, Failed> {
        let defs = model.system.services.iter().flat_map(|service| &service.effect_handlers);
        let effect_handlers: HashMap<_, _> = defs.map(|def| (def.port.to_owned(), def.clone())).collect();
        let room = (4 * batch).max(64);
        let limits = Limits {
            batch_items: room,
            batch_events: 16 * room,
            batch_bytes: usize::MAX,
            queue: room,
            rows: 8 * room,
            backlog: room,
            effects: room,
            calls: room,
            ..Limits::default()
        };
        let promises = effect_handlers.iter().map(|(port, def)| (port.clone(), def.repeat)).collect();
        let zone = TimeZone::get(ZONE).map_err(failed)?;
        let parts = CoreOptions { model: model.clone(), store, zone, limits, ports: promises, by_broker: false };
        let messages = model.find("message", "message").ok_or_else(|| failed("there are no messages"))?.id;
        let core = Core::new(parts).map_err(failed)?;
        let mut feeder = Self { core, model: model.clone(), messages, effect_handlers, keys, asked: 0, answered: 0 };
        feeder.turn()?;
        Ok(feeder)
    }

    /// The rows of a first run.
    pub fn seed(&mut self) -> Result<(), Failed> {
        let model = self.model.clone();
        for seed in &model.system.seeds {
            let resources = model.system.services.iter().flat_map(|service| &service.resources);
            let found = resources.filter(|resource| resource.name == seed.resource).find_map(|resource| {
                Some((model.by_type(resource.aggregate)?, resource.create.as_ref()?.make(seed.body.clone())))
            });
            let (table, new) = found.ok_or_else(|| failed(format!("{} cannot be sown", seed.resource)))?;
            let new = new.map_err(|refused| failed(refused.detail))?;
            let key = new.key.ok_or_else(|| failed("a seed has no key"))?;
            self.ask(table, key, new.command)?;
            self.settle()?;
        }
        Ok(())
    }

    /// Stops everything behind the acceptance.
    pub fn hold(&mut self) -> Result<(), Failed> {
        for service in ["validator", "device", "dashboard"] {
            self.core.accept(Input::Pause { service: service.to_owned(), paused: true }, now());
        }
        self.turn()
    }

    /// These messages at once. What the far sides say to those before goes into the same batch, as under load.
    pub fn send(&mut self, numbers: &[u64]) -> Result<(), Failed> {
        for number in numbers {
            let new = requests::draft(self.keys, *number).send().map_err(|refused| failed(refused.detail))?;
            let key = new.key.ok_or_else(|| failed("a message has no key"))?;
            self.ask(self.messages, key, Arc::new(new.command))?;
        }
        while self.answered < self.asked {
            self.turn()?;
        }
        Ok(())
    }

    /// Until nothing is left to do.
    pub fn settle(&mut self) -> Result<(), Failed> {
        while self.go()? {}
        Ok(())
    }

    fn ask(&mut self, table: TableId, key: String, command: Opaque) -> Result<(), Failed> {
        self.asked += 1;
        let number = self.asked;
        // As long as those that the HTTP side makes.
        let cause = Cause {
            actor: "anonymous".to_owned(),
            request: format!("{:08x}-0000-7000-8000-{number:012x}", number >> 16),
            causation: String::new(),
            trace: format!("00-{number:032x}-{number:016x}-01"),
        };
        let order = CommandRequest {
            table,
            key,
            give_id: None,
            command,
            cause,
            must_exist: false,
            expected_version: None,
            idempotency: None,
            wait: None,
        };
        let request = QueuedCommand { ticket: number, request: order };
        match self.core.accept(Input::Command(Box::new(request)), now()) {
            Some(action) => self.act(action),
            None => Ok(()),
        }
    }

    fn turn(&mut self) -> Result<(), Failed> {
        self.go().map(|_| ())
    }

    /// One batch; whether there is more to do.
    fn go(&mut self) -> Result<bool, Failed> {
        let turn = self.core.turn(now());
        let more = turn.more || turn.actions.iter().any(|action| matches!(action, Action::Call(_)));
        for action in turn.actions {
            self.act(action)?;
        }
        Ok(more)
    }

    fn act(&mut self, action: Action) -> Result<(), Failed> {
        match action {
            Action::Reply { result, .. } => {
                self.answered += 1;
                result.map(|_| ()).map_err(failed)
            }
            Action::Call(job) => {
                let (number, attempt, reaction) = (job.number, job.attempt, self.call(&job));
                match self.core.accept(Input::EffectResult { number, attempt, reaction }, now()) {
                    Some(action) => self.act(action),
                    None => Ok(()),
                }
            }
            Action::Committed { .. } => Ok(()),
        }
    }

    fn call(&self, job: &EffectJob) -> Reaction<Vec<u8>> {
        let call = job.call();
        let effect_handler = self.effect_handlers.get(&job.port);
        effect_handler.and_then(|effect_handler| effect_handler.call(&job.payload, &call).ok()).unwrap_or(Reaction::Unreachable)
    }
}

fn now() -> Timestamp {
    let now = Timestamp::now();
    // The log's times have milliseconds.
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use in_memory::MemoryStore;
    use ports::Reader;

    use super::*;

    #[test]
    fn every_message_is_delivered_and_shown() {
        let model = Model::new(rcs::system()).unwrap();
        let store = MemoryStore::new(&model);
        let mut feeder = Feeder::new(Box::new(store.clone()), &model, Keys::Scattered, 16).unwrap();
        feeder.seed().unwrap();
        for batch in 0..4 {
            feeder.send(&(batch * 16..batch * 16 + 16).collect::<Vec<_>>()).unwrap();
        }
        feeder.settle().unwrap();
        let view = model.find("dashboard", "myMessages").unwrap().id;
        let results = store.counters(view, "result").unwrap();
        assert_eq!(results.iter().filter(|(_, rows)| *rows > 0).collect::<Vec<_>>(), [&("send succeed".to_owned(), 64)]);
    }
}
