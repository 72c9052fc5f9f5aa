//! A service that only watches: it notes each event it sees, in order, and breaks down at times.
//!
//! What it has noted must be the log, event for event: once each, in the order of each key. It stands beside the system
//! under test and touches no line of it.

use std::cell::RefCell;

use kernel::aggregate::Aggregate;
use kernel::context::Context;
use kernel::event::CodecError;
use kernel::policy::Whenever;
use kernel::rejection::Never;
use kernel::{CommandFor, Decision, Domain, Event, EventMetadata, NoEffect, Row, Service, view};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sim::Chance;

thread_local! {
    /// When handlers break down; the world's chance, so that a seed says it all.
    static CHANCE: RefCell<Option<(Chance, u32)>> = const { RefCell::new(None) };
}

/// From now on handlers on this thread break down with that chance, per thousand.
pub fn break_down(chance: &Chance, per_mille: u32) {
    CHANCE.with(|cell| *cell.borrow_mut() = Some((chance.clone(), per_mille)));
}

fn perhaps_break_down() {
    let breaks =
        CHANCE.with(|cell| cell.borrow().as_ref().is_some_and(|(chance, rate)| chance.strikes("a handler breaks down", *rate)));
    assert!(!breaks, "a handler breaks down");
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
        /// Nothing of it matters but that it happened.
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
    perhaps_break_down();
    row.ids.push(seen.id.clone());
}

/// What a policy heard of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Ids of events, in the order in which they came.
    pub ids: Vec<String>,
}

/// What may be asked of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Hear {
    id: String,
}

kernel::events! {
    /// What happens to it.
    pub enum HeardEvent {
        /// One more.
        WasHeard { private },
    }
}

/// One more event was heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WasHeard {
    id: String,
}

impl Aggregate for Heard {
    const NAME: &'static str = "heard";
    type Command = Hear;
    type Event = HeardEvent;
    type Effect = NoEffect;
    type Rejection = Never;

    fn decide(_: Option<&Self>, command: &Hear, _: &Context<'_>) -> Result<Decision<Self>, Never> {
        perhaps_break_down();
        Ok(Decision::event(WasHeard { id: command.id.clone() }))
    }

    fn evolve(now: Option<Self>, event: &HeardEvent) -> Option<Self> {
        let HeardEvent::WasHeard(heard) = event;
        let mut state = now.unwrap_or_default();
        state.ids.push(heard.id.clone());
        Some(state)
    }
}

fn hear<E: Event>(_: &E, seen: &EventMetadata) -> CommandFor<Heard> {
    CommandFor::new(seen.key.clone(), Hear { id: seen.id.clone() })
}
