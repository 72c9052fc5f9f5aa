//! A service that only watches: it records each event, in order, sets a timer and asks for an effect for each, and its handlers
//! panic at times, those of timers and of answers too.
//!
//! What it has recorded must be the log, event for event: once each, in the order of each key. It changes nothing of the
//! system under test.

use std::cell::RefCell;

use kernel::aggregate::Aggregate;
use kernel::context::Context;
use kernel::event::CodecError;
use kernel::policy::Whenever;
use kernel::rejection::Never;
use kernel::{
    CommandFor, Decision, Domain, Effect, EffectCall, Event, EventMetadata, NoSettings, Outcome, Reaction, RetrySafety, Row,
    Service, view,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sim::Chance;

thread_local! {
    /// When handlers panic; it is the installation's chance, so that the seed decides.
    static CHANCE: RefCell<Option<(Chance, u32)>> = const { RefCell::new(None) };
}

/// From now on handlers on this thread panic with that chance, per thousand.
pub fn panic_at_times(chance: &Chance, per_mille: u32) {
    CHANCE.with(|cell| *cell.borrow_mut() = Some((chance.clone(), per_mille)));
}

fn perhaps_panic() {
    let breaks = CHANCE.with(|cell| cell.borrow().as_ref().is_some_and(|(chance, rate)| chance.strikes("handler panics", *rate)));
    assert!(!breaks, "handler panics");
}

/// The witness.
pub fn service() -> Service {
    Service::new("witness", 8099, Domain::Supporting, "Watches.")
        .view(
            view::<Seens>("seens", "Each event of a key, as a view saw it.")
                .on(note::<SendSuccess>)
                .on(note::<Canceled>)
                .on(note::<ValidateSucceed>)
                .on(note::<ValidateFailed>)
                .on(note::<SendSucceed>)
                .on(note::<SendFailed>),
        )
        .aggregate::<Heard>()
        .effect_handler(RetrySafety::Queryable, echo)
        .whenever(Whenever::new("hear", "Whenever a message is accepted, it is heard.", hear::<SendSuccess>))
        .whenever(Whenever::new("hear", "Whenever a message is canceled, it is heard.", hear::<Canceled>))
        .whenever(Whenever::new("hear", "Whenever a message is found in order, it is heard.", hear::<ValidateSucceed>))
        .whenever(Whenever::new("hear", "Whenever a message may not be sent, it is heard.", hear::<ValidateFailed>))
        .whenever(Whenever::new("hear", "Whenever a message arrived, it is heard.", hear::<SendSucceed>))
        .whenever(Whenever::new("hear", "Whenever a message did not arrive, it is heard.", hear::<SendFailed>))
}

/// The events that the witness knows.
pub const KNOWN: [&str; 6] = ["SendSuccess", "Canceled", "ValidateSucceed", "ValidateFailed", "SendSucceed", "SendFailed"];

macro_rules! known {
    ($($name:ident),*) => { $(
        /// Only that it happened matters.
        #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
        pub struct $name {}
        impl Event for $name {
            const TYPE: &'static str = stringify!($name);
            fn read(_: u16, _: &[u8]) -> Result<Self, CodecError> {
                Ok(Self {})
            }
        }
    )* };
}
known!(SendSuccess, Canceled, ValidateSucceed, ValidateFailed, SendSucceed, SendFailed);

/// What the view saw of a key.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Seens {
    /// Ids of events, in the order in which they came.
    pub ids: Vec<String>,
}

impl Row for Seens {
    fn id(&self) -> Option<u64> {
        None
    }
}

fn note<E: Event>(row: &mut Seens, _: &E, seen: &EventMetadata) {
    perhaps_panic();
    row.ids.push(seen.id.clone());
}

/// What a policy saw of a key. For each event the aggregate sets a timer and asks for an effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Ids of events, in the order in which they came.
    pub ids: Vec<String>,
    /// Ids of events whose timer has fired.
    pub reminded: Vec<String>,
    /// Ids of events whose effect has ended.
    pub echoed: Vec<String>,
}

/// Its commands. Each panics at times.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum Hear {
    /// An event came.
    Event(String),
    /// Its timer is due.
    Remind(String),
    /// Its effect has ended.
    Echo(String),
}

kernel::events! {
    /// Its events.
    pub enum HeardEvent {
        /// One more.
        Noted { private },
        /// A timer has fired.
        Reminded { private },
        /// An effect has ended.
        Echoed { private },
    }
}

macro_rules! noted {
    ($($(#[$doc:meta])* $name:ident),*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub struct $name {
            id: String,
        }
    )* };
}
noted!(
    /// One more event was seen.
    Noted,
    /// Its timer has fired.
    Reminded,
    /// Its effect has ended.
    Echoed
);

/// Its effect: the id of an event, which comes back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Shout {
    id: String,
}

impl Effect for Shout {
    const PORT: &'static str = "echo";
    type Reply = String;
}

fn echo(shout: &Shout, _: &EffectCall<'_>, _: &NoSettings) -> Reaction<String> {
    Reaction::reply(shout.id.clone())
}

impl Aggregate for Heard {
    const NAME: &'static str = "heard";
    type Command = Hear;
    type Event = HeardEvent;
    type Effect = Shout;
    type Rejection = Never;
    type Settings = NoSettings;

    fn decide(now: Option<&Self>, command: &Hear, context: &Context<'_>) -> Result<Decision<Self>, Never> {
        perhaps_panic();
        Ok(match command.clone() {
            Hear::Event(id) => {
                let due = context.now + std::time::Duration::from_secs(10);
                let heard = Decision::event(Noted { id: id.clone() }).effect(Shout { id: id.clone() });
                heard.timer(&format!("remind-{id}"), due, Hear::Remind(id))
            }
            Hear::Remind(id) if now.is_some_and(|heard| is_twice(&heard.reminded, &id)) => Decision::nothing(),
            Hear::Echo(id) if now.is_some_and(|heard| is_twice(&heard.echoed, &id)) => Decision::nothing(),
            Hear::Remind(id) => Decision::event(Reminded { id }),
            Hear::Echo(id) => Decision::event(Echoed { id }),
        })
    }

    fn evolve(now: Option<Self>, event: &HeardEvent) -> Option<Self> {
        let mut state = now.unwrap_or_default();
        match event {
            HeardEvent::Noted(heard) => state.ids.push(heard.id.clone()),
            HeardEvent::Reminded(reminded) => state.reminded.push(reminded.id.clone()),
            HeardEvent::Echoed(echoed) => state.echoed.push(echoed.id.clone()),
        }
        Some(state)
    }

    fn answered(effect: Shout, _: Outcome<String>) -> Option<Hear> {
        perhaps_panic();
        Some(Hear::Echo(effect.id))
    }
}

/// Twice is enough to be noticed; a timer that fires for ever must not grow the row for ever.
fn is_twice(ids: &[String], id: &str) -> bool {
    ids.iter().filter(|other| *other == id).count() >= 2
}

fn hear<E: Event>(_: &E, seen: &EventMetadata) -> CommandFor<Heard> {
    CommandFor::new(seen.key.clone(), Hear::Event(seen.id.clone()))
}
