//! What reaches outside, as data: an effect is committed with the events, run after the commit, and answered by a command.

use std::fmt::Debug;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::event::{CodecError, from_json};

/// The effects of one aggregate. They go through one port, whose adapter is chosen where the binary is wired.
pub trait Effect: Serialize + DeserializeOwned + JsonSchema + Clone + Debug + Send + Sync + 'static {
    /// The name of the port, e.g. `handset`.
    const PORT: &'static str;
    /// Schema version of the effects as written. An effect may wait for days, and is then read by a newer program.
    const VERSION: u16 = 1;
    /// What the external system answers.
    type Reply: Serialize + DeserializeOwned + JsonSchema + Clone + Debug + Send + Sync + 'static;

    /// Effects of one lane share a rate (`ports.<port>.lanes.<lane>`); none means no limit.
    fn lane(&self) -> Option<String> {
        None
    }

    /// Reads an effect of any released version.
    fn read(version: u16, json: &[u8]) -> Result<Self, CodecError> {
        let _ = version;
        from_json(json)
    }
}

/// For aggregates that reach nothing outside.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum NoEffect {}

impl Effect for NoEffect {
    const PORT: &'static str = "";
    type Reply = ();
}

/// How an effect ended, as the aggregate is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome<R> {
    /// The external system answered.
    Reply(R),
    /// It was certainly not done: the external system could not be reached within the port's own retries.
    Unreachable,
    /// It may have been done, and cannot be asked about: in doubt, left to receipts and validity.
    Unknown,
    /// It was taken back before it was run.
    Withdrawn,
}

/// What may be done about an outcome that is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetrySafety {
    /// The external system knows the effect's id: calling again does nothing twice.
    Idempotent,
    /// The external system can be asked by the effect's id what became of it.
    Queryable,
    /// Neither: it is called at most once.
    Never,
}

/// One call of an external system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectCall<'a> {
    /// The effect's deterministic id; the same on every repetition.
    pub id: &'a str,
    /// Counts from 1.
    pub attempt: u32,
    /// True where only the question is allowed what became of the id.
    pub asking: bool,
    /// Schema version of the effect as it was written, for [`Effect::read`].
    pub version: u16,
}

/// The function that carries out effects of type `E`, with the system's settings `S`.
pub type Handler<E, S> = fn(&E, &EffectCall<'_>, &S) -> Reaction<<E as Effect>::Reply>;

/// What came of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reaction<R> {
    /// The external system answered, and may reply again later (a receipt).
    Reply {
        /// The answer.
        now: R,
        /// What it will say by itself, each after its delay.
        later: Vec<DelayedReply<R>>,
    },
    /// It was asked and has never heard of the id: it is safe to call.
    UnknownId,
    /// No answer in time: it may or may not have been done.
    TimedOut,
    /// It was certainly not done.
    Unreachable,
}

/// A later reply of the external system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelayedReply<R> {
    /// Counted from the answer.
    pub after: Duration,
    /// What it says.
    pub reply: R,
}

impl<R> Reaction<R> {
    /// An answer with nothing to follow.
    pub fn reply(now: R) -> Self {
        Self::Reply { now, later: Vec::new() }
    }

    /// Adds a later reply.
    pub fn then(self, after: Duration, reply: R) -> Self {
        match self {
            Self::Reply { now, mut later } => {
                later.push(DelayedReply { after, reply });
                Self::Reply { now, later }
            }
            other => other,
        }
    }
}
