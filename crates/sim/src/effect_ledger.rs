//! The effect handlers' external system: it outlives crashes of the installation, remembers every effect id, and carries out
//! a repeated call once more. Every call is on its ledger, so that a check can see repetitions.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use kernel::service::EffectHandlerDef;
use kernel::{DelayedReply, Reaction};
use pabal_core::EffectJob;
use ports::Model;

use crate::chance::Chance;
use crate::faults::Faults;

/// One effect as the external system saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedCall {
    /// The effect's id.
    pub id: String,
    /// The port.
    pub port: String,
    /// The effect as JSON.
    pub payload: String,
    /// How often it was carried out; more than once is a violation.
    pub times: u32,
}

/// The effect handlers of all services.
pub struct EffectLedger {
    defs: BTreeMap<String, EffectHandlerDef>,
    done: HashMap<String, usize>,
    seen: Vec<RecordedCall>,
    chance: Chance,
    faults: Faults,
}

impl EffectLedger {
    /// The effect handlers that come with the services of these systems.
    pub fn new<'a>(models: impl IntoIterator<Item = &'a Model>, chance: Chance, faults: Faults) -> Self {
        let services = models.into_iter().flat_map(|model| &model.system.services);
        let defs = services.flat_map(|service| service.effect_handlers.iter());
        let defs = defs.map(|def| (def.port.to_owned(), def.clone())).collect();
        Self { defs, done: HashMap::new(), seen: Vec::new(), chance, faults }
    }

    /// What was carried out, in order.
    pub fn seen(&self) -> &[RecordedCall] {
        &self.seen
    }

    /// Carries out a call, unless it is lost; the reply may be lost as well.
    pub fn call(&mut self, job: &EffectJob) -> Reaction<Vec<u8>> {
        if self.chance.strikes("call lost", self.faults.call_lost) {
            return Reaction::Unreachable;
        }
        if job.asking && !self.done.contains_key(&job.id) {
            self.chance.note("queried, unknown id");
            return Reaction::UnknownId;
        }
        let Some(def) = self.defs.get(&job.port) else { return Reaction::Unreachable };
        let call = job.call();
        let reaction = def.call(&job.payload, &call).unwrap_or(Reaction::Unreachable);
        if job.asking {
            self.chance.note("queried, answered");
        } else if !matches!(reaction, Reaction::Unreachable) {
            self.record(job);
        }
        if self.chance.strikes("reply lost", self.faults.reply_lost) {
            return Reaction::TimedOut;
        }
        match reaction {
            Reaction::Reply { now, later } if !later.is_empty() => Reaction::Reply { now, later: self.delayed(later) },
            reaction => reaction,
        }
    }

    /// The delayed replies in their order, perhaps twice, perhaps late.
    fn delayed(&self, mut later: Vec<DelayedReply<Vec<u8>>>) -> Vec<DelayedReply<Vec<u8>>> {
        if self.chance.strikes("delayed reply late", self.faults.delayed_reply_late) {
            let late = Duration::from_millis(1 + self.chance.below(60_000));
            for reply in &mut later {
                reply.after += late;
            }
        }
        let twice = self.chance.strikes("delayed reply twice", self.faults.delayed_reply_twice);
        if twice { [later.clone(), later].concat() } else { later }
    }

    /// When a reply reaches the core, in milliseconds; perhaps a second time.
    pub fn deliveries(&self, reaction: Reaction<Vec<u8>>) -> Vec<(u64, Reaction<Vec<u8>>)> {
        let mut deliveries = Vec::with_capacity(2);
        if self.chance.strikes("reply twice", self.faults.reply_twice) {
            deliveries.push((self.chance.below(2_000), reaction.clone()));
        }
        deliveries.push((self.chance.below(50), reaction));
        deliveries
    }

    fn record(&mut self, job: &EffectJob) {
        if let Some(index) = self.done.get(&job.id) {
            self.seen[*index].times += 1;
            return;
        }
        self.done.insert(job.id.clone(), self.seen.len());
        let payload = String::from_utf8_lossy(&job.payload).into_owned();
        self.seen.push(RecordedCall { id: job.id.clone(), port: job.port.clone(), payload, times: 1 });
    }
}
