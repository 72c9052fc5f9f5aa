//! Given, when, then: an aggregate's rules as sentences, in memory.

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::aggregate::{Aggregate, Decision};
use crate::context::{Context, Lookup, Opaque, Question};

/// What has happened so far.
pub struct Given<A: Aggregate> {
    state: Option<A>,
    now: Timestamp,
    id: u64,
    key: String,
    actor: String,
    zone: TimeZone,
    settings: A::Settings,
    known: Facts,
}

/// An aggregate with this past.
pub fn given<A: Aggregate>(past: impl IntoIterator<Item = A::Event>) -> Given<A> {
    let state = past.into_iter().fold(None, |state, event| A::evolve(state, &event));
    Given {
        state,
        now: Timestamp::UNIX_EPOCH,
        id: 1,
        key: "key".to_owned(),
        actor: "anonymous".to_owned(),
        zone: TimeZone::UTC,
        settings: A::Settings::default(),
        known: Facts::default(),
    }
}

impl<A: Aggregate> Given<A> {
    /// The time of the decision, RFC 3339.
    pub fn at(mut self, now: &str) -> Self {
        self.now = now.parse().unwrap_or(self.now);
        self
    }

    /// The zone of the installation.
    pub fn zone(mut self, zone: TimeZone) -> Self {
        self.zone = zone;
        self
    }

    /// The aggregate's key and id.
    pub fn named(mut self, key: &str, id: u64) -> Self {
        key.clone_into(&mut self.key);
        self.id = id;
        self
    }

    /// Who asks.
    pub fn actor(mut self, actor: &str) -> Self {
        actor.clone_into(&mut self.actor);
        self
    }

    /// Another aggregate of the service.
    pub fn with<B: Aggregate>(mut self, key: &str, row: B) -> Self {
        self.known.rows.insert((TypeId::of::<B>(), key.to_owned()), Arc::new(row));
        self
    }

    /// What a directory says.
    pub fn answering<Q: Question>(mut self, question: &Q, answer: Option<Q::Answer>) -> Self {
        let identity = serde_json::to_string(question).unwrap_or_default();
        if let Some(answer) = answer {
            self.known.answers.insert((Q::PORT, identity), Arc::new(answer));
        }
        self
    }

    /// Settings other than the defaults.
    pub fn settings(mut self, settings: A::Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Decides. What was not given reads as absent.
    #[allow(clippy::needless_pass_by_value)] // a test hands its command over and is done with it
    pub fn when(self, command: A::Command) -> Then<A> {
        let at = Context::new(self.now, &self.zone, self.id, &self.key, &self.actor, &self.known);
        let result = A::decide(self.state.as_ref(), &command, &at.with_settings(&self.settings));
        let after = match &result {
            Ok(decision) => decision.events.iter().fold(self.state.clone(), A::evolve),
            Err(_) => self.state.clone(),
        };
        Then { result, after }
    }
}

/// The facts of a test: all of them are at hand.
#[derive(Default)]
struct Facts {
    rows: HashMap<(TypeId, String), Opaque>,
    answers: HashMap<(&'static str, String), Opaque>,
}

impl Lookup for Facts {
    fn row(&self, aggregate: TypeId, key: &str) -> Option<Opaque> {
        self.rows.get(&(aggregate, key.to_owned())).cloned()
    }
    fn answer(&self, port: &'static str, question: String) -> Option<Opaque> {
        self.answers.get(&(port, question)).cloned()
    }
    fn settings(&self) -> Option<&Opaque> {
        None
    }
}

/// What came of it.
pub struct Then<A: Aggregate> {
    /// The decision or the refusal.
    pub result: Result<Decision<A>, A::Rejection>,
    /// The state afterwards.
    pub after: Option<A>,
}

impl<A: Aggregate> Then<A> {
    /// Exactly these events.
    ///
    /// # Panics
    /// If it was refused, or other events came.
    pub fn then(self, expected: impl IntoIterator<Item = A::Event>) -> Self {
        let expected: Vec<_> = expected.into_iter().collect();
        match &self.result {
            Ok(decision) => assert_eq!(decision.events, expected),
            Err(refusal) => panic!("refused: {refusal:?}, expected {expected:?}"),
        }
        self
    }

    /// Nothing happened, and nothing was refused.
    ///
    /// # Panics
    /// Otherwise.
    pub fn nothing(self) -> Self {
        self.then([])
    }
}

impl<A: Aggregate> Then<A> {
    /// Refused so.
    ///
    /// # Panics
    /// If it was not, or otherwise.
    pub fn rejected(self, expected: &A::Rejection) {
        match &self.result {
            Ok(decision) => panic!("expected {expected:?}, decided {:?}", decision.events),
            Err(refusal) => assert_eq!(refusal, expected),
        }
    }

    /// The decision.
    ///
    /// # Panics
    /// If it was refused.
    pub fn decision(self) -> Decision<A>
    where
        A::Rejection: Debug,
    {
        match self.result {
            Ok(decision) => decision,
            Err(refusal) => panic!("refused: {refusal:?}"),
        }
    }
}
