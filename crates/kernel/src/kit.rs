//! Given, when, then: an aggregate's rules as sentences, in memory.

use std::any::TypeId;
use std::fmt::Debug;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::aggregate::{Aggregate, Decision};
use crate::context::{At, Known, Missing, Opaque, Question};

/// What has happened so far.
pub struct Given<A: Aggregate> {
    state: Option<A>,
    now: Timestamp,
    id: u64,
    key: String,
    actor: String,
    zone: TimeZone,
    known: Known,
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
        known: Known::default(),
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
        self.known.put_row(TypeId::of::<B>(), key, Some(Arc::new(row)));
        self
    }

    /// What a directory says.
    pub fn answering<Q: Question>(mut self, question: &Q, answer: Option<Q::Answer>) -> Self {
        let identity = serde_json::to_string(question).unwrap_or_default();
        self.known.put_answer(Q::PORT, identity, answer.map(|answer| Arc::new(answer) as Opaque));
        self
    }

    /// Settings other than the defaults.
    pub fn settings<S: Send + Sync + 'static>(mut self, settings: S) -> Self {
        self.known.set_settings(Arc::new(settings));
        self
    }

    /// Decides. What was not given reads as absent.
    pub fn when(mut self, command: A::Command) -> Then<A> {
        loop {
            let at = At::new(self.now, &self.zone, self.id, &self.key, &self.actor, &self.known);
            let result = A::decide(self.state.as_ref(), &command, &at);
            let missing = self.known.take_missing();
            if missing.is_empty() {
                let after = match &result {
                    Ok(decision) => decision.events.iter().fold(self.state.clone(), A::evolve),
                    Err(_) => self.state.clone(),
                };
                return Then { result, after };
            }
            for item in missing {
                match item {
                    Missing::Row(aggregate, key) => self.known.put_row(aggregate, &key, None),
                    Missing::Answer(port, question) => self.known.put_answer(port, question, None),
                }
            }
        }
    }
}

/// What came of it.
pub struct Then<A: Aggregate> {
    /// The decision or the refusal.
    pub result: Result<Decision<A>, A::Refusal>,
    /// The state afterwards.
    pub after: Option<A>,
}

impl<A: Aggregate> Then<A>
where
    A::Event: PartialEq,
{
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
    pub fn refused(self, expected: &A::Refusal) {
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
        A::Refusal: Debug,
    {
        match self.result {
            Ok(decision) => decision,
            Err(refusal) => panic!("refused: {refusal:?}"),
        }
    }
}
