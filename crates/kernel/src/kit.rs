//! Given, when, then: an aggregate's rules as sentences, in memory.

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::aggregate::{Aggregate, Decision, TimerChange};
use crate::context::{Context, Lookup, Opaque, Question};
use crate::effect::{Effect, EffectCall, Handler, Outcome, Reaction};
use crate::events::Events;

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
    ///
    /// # Panics
    /// If the text is no time.
    pub fn at(mut self, now: &str) -> Self {
        self.now = instant(now);
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

    /// The actor.
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

    /// The same from here on as a play: several commands, one after the other.
    pub fn play(self) -> Play<A> {
        Play { given: self, events: Vec::new(), effects: Vec::new(), timers: BTreeMap::new() }
    }

    /// Decides. What was not given reads as absent.
    #[allow(clippy::needless_pass_by_value)] // a test hands its command over and is done with it
    pub fn when(self, command: A::Command) -> Then<A> {
        self.decide(&command)
    }

    fn decide(&self, command: &A::Command) -> Then<A> {
        let context = Context::new(self.now, &self.zone, self.id, &self.key, &self.actor, &self.known);
        let result = A::decide(self.state.as_ref(), command, &context.with_settings(&self.settings));
        let after = match &result {
            Ok(decision) => decision.events.iter().fold(self.state.clone(), A::evolve),
            Err(_) => self.state.clone(),
        };
        Then { result, after }
    }
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("`{text}` is not a time in RFC 3339: {error}"))
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
    /// The decision or the rejection.
    pub result: Result<Decision<A>, A::Rejection>,
    /// The state afterwards.
    pub after: Option<A>,
}

impl<A: Aggregate> Then<A> {
    /// Exactly these events.
    ///
    /// # Panics
    /// If the command was rejected, or other events came.
    pub fn then(self, expected: impl IntoIterator<Item = A::Event>) -> Self {
        let expected: Vec<_> = expected.into_iter().collect();
        match &self.result {
            Ok(decision) => assert_eq!(decision.events, expected),
            Err(rejection) => panic!("rejected: {rejection:?}, expected {expected:?}"),
        }
        self
    }

    /// Nothing happened, and nothing was rejected.
    ///
    /// # Panics
    /// Otherwise.
    pub fn nothing(self) -> Self {
        self.then([])
    }
}

impl<A: Aggregate> Then<A>
where
    A::Effect: PartialEq,
{
    /// Exactly these effects.
    ///
    /// # Panics
    /// If the command was rejected, or other effects came.
    pub fn effects(self, expected: impl IntoIterator<Item = A::Effect>) -> Self {
        assert_eq!(self.decided().effects, expected.into_iter().collect::<Vec<_>>());
        self
    }
}

impl<A: Aggregate> Then<A>
where
    A::Command: PartialEq,
{
    /// The timer of that name is set to that time, RFC 3339, and will give that command.
    ///
    /// # Panics
    /// If the command was rejected, or the timer was not set so.
    #[allow(clippy::needless_pass_by_value)] // as for `when`
    pub fn sets(self, timer: &str, due: &str, command: A::Command) -> Self {
        let expected = TimerChange::Set { name: timer.to_owned(), due: instant(due), command };
        let timers = &self.decided().timers;
        assert!(timers.contains(&expected), "expected {expected:?} among {timers:?}");
        self
    }
}

impl<A: Aggregate> Then<A> {
    /// The timer of that name is cleared.
    ///
    /// # Panics
    /// If the command was rejected, or the timer was not cleared.
    pub fn clears(self, timer: &str) -> Self {
        let timers = &self.decided().timers;
        let cleared = timers.iter().any(|change| matches!(change, TimerChange::Clear { name } if name == timer));
        assert!(cleared, "expected that `{timer}` is cleared among {timers:?}");
        self
    }

    /// No timer is set or cleared.
    ///
    /// # Panics
    /// If the command was rejected, or one was.
    pub fn no_timers(self) -> Self {
        let timers = &self.decided().timers;
        assert!(timers.is_empty(), "expected no timers: {timers:?}");
        self
    }

    /// What was asked for and not started is taken back.
    ///
    /// # Panics
    /// If the command was rejected, or it is not.
    pub fn withdraws(self) -> Self {
        assert!(self.decided().withdraw, "expected that effects are withdrawn");
        self
    }

    fn decided(&self) -> &Decision<A> {
        match &self.result {
            Ok(decision) => decision,
            Err(rejection) => panic!("rejected: {rejection:?}"),
        }
    }

    /// Rejected so.
    ///
    /// # Panics
    /// If it was not, or otherwise.
    pub fn rejected(self, expected: &A::Rejection) {
        match &self.result {
            Ok(decision) => panic!("expected {expected:?}, decided {:?}", decision.events),
            Err(rejection) => assert_eq!(rejection, expected),
        }
    }

    /// The decision.
    ///
    /// # Panics
    /// If the command was rejected.
    pub fn decision(self) -> Decision<A> {
        match self.result {
            Ok(decision) => decision,
            Err(rejection) => panic!("rejected: {rejection:?}"),
        }
    }
}

/// An aggregate over several commands: what one of them leaves (state, effects, timers) is there for the next.
pub struct Play<A: Aggregate> {
    given: Given<A>,
    events: Vec<A::Event>,
    effects: Vec<A::Effect>,
    timers: BTreeMap<String, (Timestamp, A::Command)>,
}

impl<A: Aggregate> Play<A> {
    /// Gives a command.
    ///
    /// # Panics
    /// If it is rejected.
    #[allow(clippy::needless_pass_by_value)] // as for `Given::when`
    pub fn command(mut self, command: A::Command) -> Self {
        let Then { result, after } = self.given.decide(&command);
        let decision = match result {
            Ok(decision) => decision,
            Err(rejection) => panic!("{command:?} was rejected: {rejection:?}"),
        };
        self.given.state = after;
        self.events.extend(decision.events);
        self.effects.extend(decision.effects);
        for change in decision.timers {
            match change {
                TimerChange::Set { name, due, command } => drop(self.timers.insert(name, (due, command))),
                TimerChange::Clear { name } => drop(self.timers.remove(&name)),
            }
        }
        self
    }

    /// The oldest open effect ended so, and the aggregate is told. Of an effect that a decision withdraws, the play says here
    /// whether it had been started: [`Outcome::Withdrawn`], or another end.
    ///
    /// # Panics
    /// If no effect is open, or the aggregate rejects the outcome.
    pub fn ends(mut self, outcome: Outcome<<A::Effect as Effect>::Reply>) -> Self {
        let effect = self.oldest();
        self.tell(effect, outcome)
    }

    /// The oldest open effect is handled, its reply is told to the aggregate, and what is replied later is handed back as
    /// commands. A call that times out is asked once.
    ///
    /// # Panics
    /// If no effect is open, or the handler gives no reply.
    pub fn handled(mut self, handler: Handler<A::Effect, A::Settings>) -> (Self, Vec<A::Command>) {
        let effect = self.oldest();
        let call = |asking| {
            let call = EffectCall { id: "effect", attempt: 1, asking, version: A::Effect::VERSION };
            handler(&effect, &call, &self.given.settings)
        };
        let reaction = match call(false) {
            Reaction::TimedOut => call(true),
            reaction => reaction,
        };
        let Reaction::Reply { now, later } = reaction else { panic!("{effect:?} has no reply: {reaction:?}") };
        let later = later.into_iter().filter_map(|later| A::answered(effect.clone(), Outcome::Reply(later.reply))).collect();
        (self.tell(effect, Outcome::Reply(now)), later)
    }

    /// The timer is due: the clock moves to its time, and its command is given.
    ///
    /// # Panics
    /// If no timer of that name is set, or its command is rejected.
    pub fn due(mut self, timer: &str) -> Self {
        let Some((due, command)) = self.timers.remove(timer) else {
            panic!("no timer `{timer}` is set; there is {:?}", self.timers.keys())
        };
        self.given.now = self.given.now.max(due);
        self.command(command)
    }

    /// The clock moves to that time, RFC 3339.
    ///
    /// # Panics
    /// If the text is no time.
    pub fn at(mut self, now: &str) -> Self {
        self.given = self.given.at(now);
        self
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.given.now
    }

    /// The state.
    pub fn state(&self) -> Option<&A> {
        self.given.state.as_ref()
    }

    /// All that has happened, in order.
    pub fn events(&self) -> &[A::Event] {
        &self.events
    }

    /// The names of all that has happened, in order.
    pub fn event_types(&self) -> Vec<&'static str> {
        self.events.iter().map(|event| event.declared().event_type).collect()
    }

    /// Effects that have not ended, the oldest first.
    pub fn effects(&self) -> &[A::Effect] {
        &self.effects
    }

    /// The names of the timers that are set.
    pub fn timers(&self) -> Vec<&str> {
        self.timers.keys().map(String::as_str).collect()
    }

    /// When the timer of that name is due, if it is set.
    pub fn timer(&self, name: &str) -> Option<Timestamp> {
        self.timers.get(name).map(|(due, _)| *due)
    }

    fn oldest(&mut self) -> A::Effect {
        assert!(!self.effects.is_empty(), "no effect is open");
        self.effects.remove(0)
    }

    fn tell(self, effect: A::Effect, outcome: Outcome<<A::Effect as Effect>::Reply>) -> Self {
        match A::answered(effect, outcome) {
            Some(command) => self.command(command),
            None => self,
        }
    }
}
