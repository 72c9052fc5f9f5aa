//! A service that only watches: it records each event, in order, and its handlers panic at times.
//!
//! What it has recorded must be the log, event for event: once each, in the order of each key. It changes nothing of the
//! system under test.

use std::cell::RefCell;

use kernel::aggregate::Aggregate;
use kernel::context::Context;
use kernel::event::CodecError;
use kernel::policy::Whenever;
use kernel::rejection::Never;
use kernel::{CommandFor, Decision, Domain, Event, EventMetadata, NoEffect, NoSettings, Row, Service, view};
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

/// What a policy saw of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Ids of events, in the order in which they came.
    pub ids: Vec<String>,
}

/// Its command.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Hear {
    id: String,
}

kernel::events! {
    /// Its event.
    pub enum HeardEvent {
        /// One more.
        WasHeard { private },
    }
}

/// One more event was seen.
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
    type Settings = NoSettings;

    fn decide(_: Option<&Self>, command: &Hear, _: &Context<'_>) -> Result<Decision<Self>, Never> {
        perhaps_panic();
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
