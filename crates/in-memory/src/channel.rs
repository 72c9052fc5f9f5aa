//! A channel in memory: a pure effect handler that remembers the ids it was called with.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use kernel::service::EffectHandlerDef;
use kernel::{EffectCall, Reaction, RetrySafety};

use super::lock;
use ports::Channel;

/// A channel to an effect handler. Clones share their memory.
#[derive(Clone)]
pub struct MemoryChannel {
    def: EffectHandlerDef,
    done: Arc<Mutex<BTreeMap<String, Reaction<Vec<u8>>>>>,
}

impl MemoryChannel {
    /// Calls this effect handler, and remembers its reactions.
    pub fn new(def: EffectHandlerDef) -> Self {
        Self { def, done: Arc::default() }
    }

    /// How many distinct ids it has carried out.
    pub fn carried_out(&self) -> usize {
        lock(&self.done).len()
    }

    fn react(&self, effect: &[u8], call: &EffectCall<'_>) -> Reaction<Vec<u8>> {
        let mut done = lock(&self.done);
        match done.get(call.id) {
            Some(reaction) if call.asking || self.def.repeat == RetrySafety::Idempotent => return reaction.clone(),
            None if call.asking => return Reaction::UnknownId,
            _ => {}
        }
        let reaction = self.def.call(effect, call).unwrap_or(Reaction::Unreachable);
        if !matches!(reaction, Reaction::Unreachable) {
            done.insert(call.id.to_owned(), reaction.clone());
        }
        reaction
    }
}

impl Channel for MemoryChannel {
    fn repeat(&self) -> RetrySafety {
        self.def.repeat
    }

    fn call<'a>(
        &'a self,
        effect: &'a [u8],
        call: EffectCall<'a>,
    ) -> Pin<Box<dyn Future<Output = Reaction<Vec<u8>>> + Send + 'a>> {
        Box::pin(std::future::ready(self.react(effect, &call)))
    }
}
