//! Aggregates: the unit of one transaction. They decide, and only their own events change them.

use std::fmt::Debug;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::{Context, State};
use crate::effect::{Effect, Outcome};
use crate::event::{CodecError, from_json};
use crate::events::Events;
use crate::rejection::Rejection;
use crate::settings::Settings;

/// A consistency boundary, keyed by its business key.
///
/// `decide` and `evolve` are pure and synchronous: time, ids and other rows arrive in [`Context`] or in the command.
/// `decide` may be run more than once for one command (see [`Context::find`]); only the last run counts.
pub trait Aggregate: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name in tables, metrics and on the board, e.g. `message`.
    const NAME: &'static str;
    /// Schema version of the state as written.
    const VERSION: u16 = 1;
    /// Schema version of the commands as timers keep them.
    const COMMAND_VERSION: u16 = 1;
    /// Requests to change it.
    type Command: Serialize + DeserializeOwned + JsonSchema + Clone + Debug + Send + Sync + 'static;
    /// An enum of its events, declared with [`events!`](crate::events!).
    type Event: Events;
    /// What it has done outside; [`crate::NoEffect`] for most.
    type Effect: Effect;
    /// Its rules' ways of saying no.
    type Rejection: Rejection;
    /// The system's settings, where its rules read them; [`crate::NoSettings`] for most.
    type Settings: Settings;

    /// What follows from a command. `now` is `None` as long as nothing of that key exists.
    fn decide(
        now: Option<&Self>,
        command: &Self::Command,
        context: &Context<'_, Self::Settings>,
    ) -> Result<Decision<Self>, Self::Rejection>;

    /// The state after an event. `None` removes the row.
    fn evolve(now: Option<Self>, event: &Self::Event) -> Option<Self>;

    /// The command that tells the aggregate how its effect ended.
    fn answered(effect: Self::Effect, outcome: Outcome<<Self::Effect as Effect>::Reply>) -> Option<Self::Command> {
        let _ = (effect, outcome);
        None
    }

    /// The correlation key of an event, where it is not the aggregate's own key.
    fn correlation(event: &Self::Event) -> Option<String> {
        let _ = event;
        None
    }

    /// Reads a state of any released version.
    fn read(version: u16, json: &[u8]) -> Result<Self, CodecError> {
        let _ = version;
        from_json(json)
    }

    /// Reads a timer's command of any released version.
    fn read_command(version: u16, json: &[u8]) -> Result<Self::Command, CodecError> {
        let _ = version;
        from_json(json)
    }
}

impl<A: Aggregate> State for A {}

/// What an aggregate decided: facts, work for outside, and timers. Nothing of it exists before the commit.
#[derive(Debug, Clone)]
pub struct Decision<A: Aggregate> {
    /// Facts, in order.
    pub events: Vec<A::Event>,
    /// Work for the port, in order.
    pub effects: Vec<A::Effect>,
    /// Timers set and cleared, in order.
    pub timers: Vec<TimerChange<A::Command>>,
    /// Take back what this aggregate has asked for and has not been started.
    pub withdraw: bool,
}

/// One change of a durable timer. A timer is named; setting it again moves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimerChange<C> {
    /// At `due`, never before, the command is given to the aggregate, once.
    Set {
        /// Unique within the aggregate.
        name: String,
        /// The instant.
        due: Timestamp,
        /// What is then asked of the aggregate.
        command: C,
    },
    /// The timer is no more; clearing one that is not set is nothing.
    Clear {
        /// Its name.
        name: String,
    },
}

impl<A: Aggregate> Decision<A> {
    /// Nothing changes; the command is answered with the state as it is.
    pub fn nothing() -> Self {
        Self { events: Vec::new(), effects: Vec::new(), timers: Vec::new(), withdraw: false }
    }

    /// One event.
    pub fn event(event: impl Into<A::Event>) -> Self {
        Self::nothing().and(event)
    }

    /// Another event.
    pub fn and(mut self, event: impl Into<A::Event>) -> Self {
        self.events.push(event.into());
        self
    }

    /// Work for the port, once this is committed.
    pub fn effect(mut self, effect: A::Effect) -> Self {
        self.effects.push(effect);
        self
    }

    /// Sets the timer of that name.
    pub fn timer(mut self, name: &str, due: Timestamp, command: A::Command) -> Self {
        self.timers.push(TimerChange::Set { name: name.to_owned(), due, command });
        self
    }

    /// Clears the timer of that name.
    pub fn clear(mut self, name: &str) -> Self {
        self.timers.push(TimerChange::Clear { name: name.to_owned() });
        self
    }

    /// Takes back effects of this aggregate that have not been started; each is answered by [`Outcome::Withdrawn`].
    pub fn withdraw(mut self) -> Self {
        self.withdraw = true;
        self
    }
}
