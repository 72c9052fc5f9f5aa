//! What a decision may know beside its command and its state: the time, its id, other rows of the same service, answers.

use std::any::{Any, TypeId};
use std::fmt::Debug;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::settings::{NoSettings, Settings};

/// A question to something outside that changes nothing there, answered before the decision (a directory, a price list).
pub trait Question: Serialize + JsonSchema + Debug + Send + Sync + 'static {
    /// The name of the port, e.g. `carrier-directory`.
    const PORT: &'static str;
    /// What comes back.
    type Answer: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static;
}

/// The state of an aggregate, as other aggregates of its service find it. Every [`crate::Aggregate`] is one.
#[diagnostic::on_unimplemented(message = "`{Self}` is not an aggregate", label = "not an aggregate")]
pub trait State: Send + Sync + 'static {}

/// The circumstances of one decision; `S` are the system's settings, where the aggregate reads them.
pub struct Context<'a, S = NoSettings> {
    /// The instant of the decision.
    pub now: Timestamp,
    /// The zone in which bare dates and hours of the day are meant (default `Asia/Seoul`).
    pub zone: &'a TimeZone,
    /// The aggregate's integer id: its own, or the one it gets if it comes to be now.
    pub id: u64,
    /// The aggregate's business key.
    pub key: &'a str,
    /// The actor.
    pub actor: &'a str,
    /// The system's settings.
    pub settings: &'a S,
    knows: &'a dyn Lookup,
}

impl<'a> Context<'a> {
    /// Circumstances over what is known.
    pub fn new(now: Timestamp, zone: &'a TimeZone, id: u64, key: &'a str, actor: &'a str, knows: &'a dyn Lookup) -> Self {
        Self { now, zone, id, key, actor, settings: &NoSettings {}, knows }
    }

    /// The settings that are in force, if they are of this type.
    pub(crate) fn configured<S: Settings>(&self) -> Option<&'a S> {
        self.knows.settings().and_then(|settings| settings.downcast_ref())
    }
}

impl<S> Context<'_, S> {
    /// The same with these settings.
    pub(crate) fn with_settings<'b, T>(&'b self, settings: &'b T) -> Context<'b, T> {
        let Self { now, zone, id, key, actor, settings: _, knows } = *self;
        Context { now, zone, id, key, actor, settings, knows }
    }

    /// Another aggregate of the same service, as it stands in this transaction.
    ///
    /// What is not loaded yet reads as absent and is noted; the runtime then loads it and decides again, so that
    /// business code may simply ask. A decision that asked for something unknown is never used.
    pub fn find<A: State>(&self, key: &str) -> Option<Arc<A>> {
        self.knows.row(TypeId::of::<A>(), key).and_then(|row| row.downcast().ok())
    }

    /// The answer to a question, `None` if there is none to be had.
    pub fn ask<Q: Question>(&self, question: &Q) -> Option<Q::Answer> {
        let identity = serde_json::to_string(question).ok()?;
        let answer = self.knows.answer(Q::PORT, identity)?;
        answer.downcast_ref::<Q::Answer>().cloned()
    }
}

/// A value of a type that only the business knows.
pub type Opaque = Arc<dyn Any + Send + Sync>;

/// Where a decision's knowledge comes from. Both look-ups note what they do not have at hand.
pub trait Lookup {
    /// A row of the aggregate with that Rust type.
    fn row(&self, aggregate: TypeId, key: &str) -> Option<Opaque>;
    /// The answer of a port to a question given as JSON.
    fn answer(&self, port: &'static str, question: String) -> Option<Opaque>;
    /// The system's settings.
    fn settings(&self) -> Option<&Opaque>;
}

/// Something a decision asked for that was not at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// A row of the aggregate with that type.
    Row(TypeId, String),
    /// An answer: the port and the question as JSON.
    Answer(&'static str, String),
}
