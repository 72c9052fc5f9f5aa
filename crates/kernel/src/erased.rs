//! The same declarations without their types, so that one core runs every system.

use std::any::TypeId;
use std::sync::Arc;

use jiff::Timestamp;

use crate::aggregate::{Aggregate, Decision, TimerChange};
use crate::context::{Context, Opaque};
use crate::effect::{Effect, Outcome};
use crate::event::{CodecError, from_json};
use crate::events::{EventDef, Events};
use crate::rejection::{Rejected, Rejection};
use crate::schema::{Variant, variants};
use crate::settings::SettingsType;

/// A command of a policy without its type.
#[derive(Clone)]
pub struct ErasedCommand {
    /// The target's business key.
    pub key: String,
    /// The typed command.
    pub command: Opaque,
    /// What a rejection means.
    pub on_rejection: OnRejection,
}

/// What follows when a policy's command is rejected.
#[derive(Clone)]
pub enum OnRejection {
    /// A person must look at it.
    DeadLetter,
    /// Nothing.
    Nothing,
    /// This command to the same aggregate.
    Compensate(Opaque),
}

/// A decision, its events already applied.
pub struct ErasedDecision {
    /// The state afterwards.
    pub state: Option<Opaque>,
    /// Whether any event happened, published or private.
    pub changed: bool,
    /// Published events as they are written.
    pub events: Vec<Emitted>,
    /// Effects as they are written.
    pub effects: Vec<EmittedEffect>,
    /// Timer changes, commands still typed.
    pub timers: Vec<TimerChange<Opaque>>,
    /// Take back what has not been started.
    pub withdraw: bool,
}

/// An event as it is written to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// The event's name.
    pub event_type: String,
    /// Its schema version.
    pub version: u16,
    /// Its correlation key, where it is not the aggregate's key.
    pub correlation: Option<String>,
    /// A flat JSON object with `eventType`.
    pub data: Vec<u8>,
}

/// An effect as it is written to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmittedEffect {
    /// The port it goes through.
    pub port: &'static str,
    /// The lane whose rate it shares.
    pub lane: Option<String>,
    /// Its schema version.
    pub version: u16,
    /// The effect as JSON.
    pub payload: Vec<u8>,
}

/// Why an erased decision did not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecisionError {
    /// A rule said no.
    Rejected(Rejected),
    /// A value was not of the type it must be, or could not be written: a fault of the program.
    Fault(String),
}

/// An aggregate type without its type.
pub trait AnyAggregate: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// The Rust type, as [`Context::find`] asks for it.
    fn type_id(&self) -> TypeId;
    /// Schema version of its state.
    fn version(&self) -> u16;
    /// Reads a stored state.
    fn decode_state(&self, version: u16, json: &[u8]) -> Result<Opaque, CodecError>;
    /// Writes a state.
    fn encode_state(&self, state: &Opaque) -> Result<Vec<u8>, CodecError>;
    /// Schema version of its commands.
    fn command_version(&self) -> u16;
    /// Reads a stored command.
    fn decode_command(&self, version: u16, json: &[u8]) -> Result<Opaque, CodecError>;
    /// Writes a command.
    fn encode_command(&self, command: &Opaque) -> Result<Vec<u8>, CodecError>;
    /// Decides and applies.
    fn decide(&self, now: Option<&Opaque>, command: &Opaque, context: &Context<'_>) -> Result<ErasedDecision, DecisionError>;
    /// The command that tells how an effect of this schema version ended.
    fn answered(&self, version: u16, effect: &[u8], outcome: Outcome<Vec<u8>>) -> Result<Option<Opaque>, CodecError>;
    /// Its commands, for the board.
    fn commands(&self) -> Vec<Variant>;
    /// Its events, for the board and the documents.
    fn events(&self) -> Vec<Variant>;
    /// The port of its effects, empty if none.
    fn port(&self) -> &'static str;
    /// The settings that its rules read.
    fn settings(&self) -> SettingsType;
}

/// The bridge from a typed aggregate.
pub(crate) struct Erased<A>(std::marker::PhantomData<fn() -> A>);

impl<A> Erased<A> {
    pub(crate) fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<A: Aggregate> AnyAggregate for Erased<A> {
    fn name(&self) -> &'static str {
        A::NAME
    }
    fn type_id(&self) -> TypeId {
        TypeId::of::<A>()
    }
    fn version(&self) -> u16 {
        A::VERSION
    }
    fn decode_state(&self, version: u16, json: &[u8]) -> Result<Opaque, CodecError> {
        Ok(Arc::new(A::read(version, json)?))
    }
    fn encode_state(&self, state: &Opaque) -> Result<Vec<u8>, CodecError> {
        encode::<A>(state)
    }
    fn command_version(&self) -> u16 {
        A::COMMAND_VERSION
    }
    fn decode_command(&self, version: u16, json: &[u8]) -> Result<Opaque, CodecError> {
        Ok(Arc::new(A::read_command(version, json)?))
    }
    fn encode_command(&self, command: &Opaque) -> Result<Vec<u8>, CodecError> {
        encode::<A::Command>(command)
    }
    fn decide(&self, now: Option<&Opaque>, command: &Opaque, context: &Context<'_>) -> Result<ErasedDecision, DecisionError> {
        let fault = || DecisionError::Fault(format!("a value for {} is of another type", A::NAME));
        let now = now.map(|state| state.downcast_ref::<A>().ok_or_else(fault)).transpose()?;
        let command = command.downcast_ref::<A::Command>().ok_or_else(fault)?;
        let unset;
        let settings = match context.configured::<A::Settings>() {
            Some(settings) => settings,
            None if self.settings().is_none() => {
                unset = A::Settings::default();
                &unset
            }
            None => return Err(DecisionError::Fault(format!("{} reads settings that its system does not declare", A::NAME))),
        };
        let decided = A::decide(now, command, &context.with_settings(settings));
        let decision = decided.map_err(|rejection| DecisionError::Rejected(rejection.rejected()))?;
        erase(now, decision).map_err(|error| DecisionError::Fault(error.0))
    }
    fn answered(&self, version: u16, effect: &[u8], outcome: Outcome<Vec<u8>>) -> Result<Option<Opaque>, CodecError> {
        let outcome = match outcome {
            Outcome::Reply(reply) => Outcome::Reply(from_json(&reply)?),
            Outcome::Unreachable => Outcome::Unreachable,
            Outcome::Unknown => Outcome::Unknown,
            Outcome::Withdrawn => Outcome::Withdrawn,
        };
        Ok(A::answered(A::Effect::read(version, effect)?, outcome).map(|command| Arc::new(command) as Opaque))
    }
    fn commands(&self) -> Vec<Variant> {
        variants::<A::Command>()
    }
    fn events(&self) -> Vec<Variant> {
        let private = |name: &str| A::Event::DECLARED.iter().any(|def| def.private && def.event_type == name);
        variants::<A::Event>().into_iter().map(|event| Variant { private: private(&event.name), ..event }).collect()
    }
    fn port(&self) -> &'static str {
        A::Effect::PORT
    }
    fn settings(&self) -> SettingsType {
        SettingsType::new::<A::Settings>()
    }
}

fn encode<T: serde::Serialize + 'static>(value: &Opaque) -> Result<Vec<u8>, CodecError> {
    let typed = value.downcast_ref::<T>().ok_or_else(|| CodecError("of another type".into()))?;
    to_json(typed)
}

/// Writes one document.
pub fn to_json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    serde_json::to_vec(value).map_err(|error| CodecError(error.to_string()))
}

fn erase<A: Aggregate>(now: Option<&A>, decision: Decision<A>) -> Result<ErasedDecision, CodecError> {
    let changed = !decision.events.is_empty();
    let published = decision.events.iter().filter(|event| !event.declared().private);
    let events = published.map(emit::<A>).collect::<Result<Vec<_>, _>>()?;
    let effects = decision.effects.iter().map(|effect| {
        let (port, version) = (A::Effect::PORT, A::Effect::VERSION);
        Ok(EmittedEffect { port, lane: effect.lane(), version, payload: to_json(effect)? })
    });
    let effects = effects.collect::<Result<Vec<_>, CodecError>>()?;
    let state = decision.events.iter().fold(now.cloned(), A::evolve);
    let timers = decision.timers.into_iter().map(erase_timer::<A>).collect();
    Ok(ErasedDecision {
        state: state.map(|state| Arc::new(state) as Opaque),
        changed,
        events,
        effects,
        timers,
        withdraw: decision.withdraw,
    })
}

fn erase_timer<A: Aggregate>(change: TimerChange<A::Command>) -> TimerChange<Opaque> {
    match change {
        TimerChange::Set { name, due, command } => TimerChange::Set { name, due: ceil_to_ms(due), command: Arc::new(command) },
        TimerChange::Clear { name } => TimerChange::Clear { name },
    }
}

/// Stores keep milliseconds; rounding down would let a timer fire early.
fn ceil_to_ms(due: Timestamp) -> Timestamp {
    let ms = due.as_millisecond();
    let floor = Timestamp::from_millisecond(ms).unwrap_or(due);
    if floor < due { Timestamp::from_millisecond(ms + 1).unwrap_or(due) } else { floor }
}

fn emit<A: Aggregate>(event: &A::Event) -> Result<Emitted, CodecError> {
    let EventDef { event_type, version, .. } = *event.declared();
    Ok(Emitted { event_type: event_type.to_owned(), version, correlation: A::correlation(event), data: to_json(event)? })
}
