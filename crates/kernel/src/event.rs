//! Events: facts that an aggregate published, and what is known about one when it is handled.

use std::fmt::Debug;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The payload of one event type.
///
/// For an aggregate's own events [`events!`](crate::events!) implements it. By hand it is implemented for an event that another
/// system publishes, with the fields that are read of it and nothing else.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "an aggregate's own events are declared with `kernel::events!`; for an event that another system publishes, write \
            `impl Event for {Self} {{ const TYPE: &'static str = \"NameOnTheWire\"; }}`"
)]
pub trait Event: Serialize + DeserializeOwned + JsonSchema + Clone + Debug + Send + Sync + 'static {
    /// The event type as it stands in `eventType` and `ce_type`.
    const TYPE: &'static str;
    /// Schema version that is written. Readers take one back and one forward.
    const VERSION: u16 = 1;

    /// Reads a payload of any released version. To upcast an older one:
    /// `match version { 1 => from_json::<V1>(json).map(Into::into), _ => from_json(json) }`.
    fn read(version: u16, json: &[u8]) -> Result<Self, CodecError> {
        let _ = version;
        from_json(json)
    }
}

/// A stored document that this version of the code cannot read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("unreadable: {0}")]
pub struct CodecError(pub String);

/// Reads one document; unknown fields are ignored.
pub fn from_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, CodecError> {
    serde_json::from_slice(json).map_err(|error| CodecError(unquoted(&error)))
}

/// An error without the text that it was found in, which may be personal data and reaches logs.
fn unquoted(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None if text.starts_with("missing field") => text,
        None => format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column()),
    }
}

/// What is known about an event beside its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventMetadata {
    /// CloudEvents `id`, unique per source.
    pub id: String,
    /// The service that published it.
    pub source: String,
    /// The event's name.
    pub event_type: String,
    /// The correlation key.
    pub key: String,
    /// When it was decided.
    pub time: Timestamp,
}

/// The actor, the request and the event that caused something: it travels with every command, and every event has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The actor; in demo mode what `X-Pabal-User` said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub actor: String,
    /// `X-Request-Id` of the request at the root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request: String,
    /// The id of the event that led to this, empty at the root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub causation: String,
    /// W3C `traceparent`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trace: String,
}
