//! What a decision may know beside its command and its state: the time, its id, other rows of the same service, answers.

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aggregate::Aggregate;

/// A question to something outside that changes nothing there, answered before the decision (a directory, a price list).
pub trait Question: Serialize + JsonSchema + Debug + Send + Sync + 'static {
    /// The name of the port, e.g. `carrier-directory`.
    const PORT: &'static str;
    /// What comes back.
    type Answer: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static;
}

/// The circumstances of one decision.
pub struct At<'a> {
    /// The instant of the decision.
    pub now: Timestamp,
    /// The zone in which bare dates and hours of the day are meant (default `Asia/Seoul`).
    pub zone: &'a TimeZone,
    /// The aggregate's integer id: its own, or the one it gets if it comes to be now.
    pub id: u64,
    /// The aggregate's business key.
    pub key: &'a str,
    /// Who asks.
    pub actor: &'a str,
    known: &'a Known,
}

impl<'a> At<'a> {
    /// Circumstances over what is known.
    pub fn new(now: Timestamp, zone: &'a TimeZone, id: u64, key: &'a str, actor: &'a str, known: &'a Known) -> Self {
        Self { now, zone, id, key, actor, known }
    }

    /// Another aggregate of the same service, as it stands in this transaction.
    ///
    /// What is not loaded yet reads as absent and is noted; the runtime then loads it and decides again, so that
    /// business code may simply ask. A decision that asked for something unknown is never used.
    pub fn find<A: Aggregate>(&self, key: &str) -> Option<Arc<A>> {
        self.known.find(key)
    }

    /// The answer to a question, `None` if there is none to be had.
    pub fn ask<Q: Question>(&self, question: &Q) -> Option<Q::Answer> {
        self.known.ask(question)
    }

    /// The system's settings.
    pub fn settings<S: Default + Clone + Send + Sync + 'static>(&self) -> Cow<'_, S> {
        match self.known.settings.as_deref().and_then(|any| (any as &dyn Any).downcast_ref::<S>()) {
            Some(settings) => Cow::Borrowed(settings),
            None => Cow::Owned(S::default()),
        }
    }
}

/// A value of a type that only the business knows.
pub type Opaque = Arc<dyn Any + Send + Sync>;

/// Rows and answers at hand, and the note of what was asked for in vain.
#[derive(Default)]
pub struct Known {
    rows: HashMap<TypeId, HashMap<String, Option<Opaque>>>,
    answers: HashMap<(&'static str, String), Option<Opaque>>,
    settings: Option<Opaque>,
    missing: RefCell<Vec<Missing>>,
}

/// Something a decision asked for and that is not at hand yet.
#[derive(Clone)]
pub enum Missing {
    /// A row of the aggregate with that type.
    Row(TypeId, String),
    /// An answer: the port, the question as JSON (its identity), and the question itself.
    Answer(&'static str, String),
}

impl Known {
    /// With settings.
    pub fn with_settings(settings: Option<Opaque>) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Puts settings in force.
    pub fn set_settings(&mut self, settings: Opaque) {
        self.settings = Some(settings);
    }

    /// Puts a row at hand; `None` says that it is known to be absent.
    pub fn put_row(&mut self, aggregate: TypeId, key: &str, row: Option<Opaque>) {
        self.rows.entry(aggregate).or_default().insert(key.to_owned(), row);
    }

    /// Forgets all rows; answers and settings stay.
    pub fn clear_rows(&mut self) {
        self.rows.clear();
    }

    /// Whether this row is at hand, present or absent.
    pub fn has_row(&self, aggregate: TypeId, key: &str) -> bool {
        self.rows.get(&aggregate).is_some_and(|rows| rows.contains_key(key))
    }

    /// Puts an answer at hand.
    pub fn put_answer(&mut self, port: &'static str, question: String, answer: Option<Opaque>) {
        self.answers.insert((port, question), answer);
    }

    /// Forgets all answers: they are good for one batch, what lasts longer is the port's cache.
    pub fn clear_answers(&mut self) {
        self.answers.clear();
    }

    /// What was asked for in vain since the last call.
    pub fn take_missing(&self) -> Vec<Missing> {
        std::mem::take(&mut self.missing.borrow_mut())
    }

    fn find<A: Aggregate>(&self, key: &str) -> Option<Arc<A>> {
        match self.rows.get(&TypeId::of::<A>()).and_then(|rows| rows.get(key)) {
            Some(row) => row.clone().and_then(|any| any.downcast::<A>().ok()),
            None => {
                self.missing.borrow_mut().push(Missing::Row(TypeId::of::<A>(), key.to_owned()));
                None
            }
        }
    }

    fn ask<Q: Question>(&self, question: &Q) -> Option<Q::Answer> {
        let identity = serde_json::to_string(question).ok()?;
        match self.answers.get(&(Q::PORT, identity.clone())) {
            Some(answer) => answer.as_ref().and_then(|any| any.downcast_ref::<Q::Answer>().cloned()),
            None => {
                self.missing.borrow_mut().push(Missing::Answer(Q::PORT, identity));
                None
            }
        }
    }
}
