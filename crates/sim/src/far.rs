//! The far side as a carrier would be: it outlives our crashes, remembers every id, and does nothing twice for one id
//! only because we ask first. Every call that it carried out is on its ledger.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use kernel::service::EffectHandlerDef;
use kernel::{DelayedReply, EffectCall, Reaction};
use pabal_core::EffectJob;
use ports::Model;

use crate::chance::{Chance, Faults};

/// One call as the far side saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FarCallSeen {
    /// The effect's id.
    pub id: String,
    /// The port.
    pub port: String,
    /// The effect as JSON.
    pub payload: String,
    /// How often it was really done; more than once is a violation.
    pub times: u32,
}

/// All far sides of a system.
pub struct FarLedger {
    defs: BTreeMap<String, EffectHandlerDef>,
    done: HashMap<String, usize>,
    seen: Vec<FarCallSeen>,
    chance: Chance,
    faults: Faults,
}

impl FarLedger {
    /// The far sides that come with a system's services.
    pub fn new(model: &Model, chance: Chance, faults: Faults) -> Self {
        let defs = model.system.services.iter().flat_map(|service| service.effect_handlers.iter());
        let defs = defs.map(|def| (def.port.to_owned(), def.clone())).collect();
        Self { defs, done: HashMap::new(), seen: Vec::new(), chance, faults }
    }

    /// What was done, in order.
    pub fn seen(&self) -> &[FarCallSeen] {
        &self.seen
    }

    /// Carries out a call, unless it is lost on the way; the answer may be lost on the way back.
    pub fn call(&mut self, job: &EffectJob) -> Reaction<Vec<u8>> {
        if self.chance.strikes("call lost", self.faults.call_lost) {
            return Reaction::Unreachable;
        }
        if job.asking && !self.done.contains_key(&job.id) {
            self.chance.note("asked, never heard of");
            return Reaction::UnknownId;
        }
        let Some(def) = self.defs.get(&job.port) else { return Reaction::Unreachable };
        let call = EffectCall { id: &job.id, attempt: job.attempt, asking: job.asking };
        let reaction = def.call(&job.payload, &call).unwrap_or(Reaction::Unreachable);
        if job.asking {
            self.chance.note("asked, and answered");
        } else if !matches!(reaction, Reaction::Unreachable) {
            self.record(job);
        }
        if self.chance.strikes("answer lost", self.faults.answer_lost) {
            return Reaction::TimedOut;
        }
        match reaction {
            Reaction::Reply { now, later } if !later.is_empty() => Reaction::Reply { now, later: self.later(later) },
            reaction => reaction,
        }
    }

    /// What it says later, perhaps twice, perhaps much later; in its order.
    fn later(&self, mut later: Vec<DelayedReply<Vec<u8>>>) -> Vec<DelayedReply<Vec<u8>>> {
        if self.chance.strikes("receipt late", self.faults.receipt_late) {
            let late = Duration::from_millis(1 + self.chance.below(60_000));
            for word in &mut later {
                word.after += late;
            }
        }
        let twice = self.chance.strikes("receipt twice", self.faults.receipt_twice);
        if twice { [later.clone(), later].concat() } else { later }
    }

    fn record(&mut self, job: &EffectJob) {
        if let Some(place) = self.done.get(&job.id) {
            self.seen[*place].times += 1;
            return;
        }
        self.done.insert(job.id.clone(), self.seen.len());
        let payload = String::from_utf8_lossy(&job.payload).into_owned();
        self.seen.push(FarCallSeen { id: job.id.clone(), port: job.port.clone(), payload, times: 1 });
    }
}
