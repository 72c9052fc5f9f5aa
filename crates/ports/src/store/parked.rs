//! Parked work: events, timers and effect answers that could not be handled, with their causes.

use kernel::Outcome;
use kernel::event::Cause;

use crate::record::Record;

/// A parked event, timer or answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ParkedRow {
    /// The follower that could not handle it.
    pub subscription: String,
    /// The order key; what follows on it waits.
    pub key: String,
    /// The partition that the event came from.
    pub partition: u32,
    /// The event's position in its partition: parked events of a key stand in this order.
    pub position: u64,
    /// How often it was tried; 0 = it only waits behind another.
    pub attempts: u32,
    /// When it is tried again, milliseconds since 1970.
    pub next_try_ms: i64,
    /// It is not tried again by itself.
    pub dead: bool,
    /// Why.
    pub cause: String,
    /// When it was parked, milliseconds since 1970.
    pub since_ms: i64,
    /// What could not be handled, copied.
    pub work: ParkedWork,
}

/// What is parked. Tables are named as the store names them: their numbers hold only as long as the process runs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
#[allow(clippy::large_enum_variant)] // parking is rare; a box for each would cost more than it saves
pub enum ParkedWork {
    /// An event.
    Event(Record),
    /// A timer that was due.
    Timer(ParkedTimer),
    /// The outcome of an effect.
    Answer(ParkedAnswer),
}

/// A timer that was due and could not be handled.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParkedTimer {
    /// The aggregate's table, as the store names it.
    pub table: String,
    /// The aggregate's key.
    pub key: String,
    /// The timer's name.
    pub name: String,
    /// When it was due, milliseconds since 1970.
    pub due_ms: i64,
    /// Schema version of the command.
    pub version: u16,
    /// The command as JSON.
    #[serde(with = "crate::record::json_text")]
    pub command: Vec<u8>,
    /// What set it.
    pub cause: Cause,
}

/// The outcome of an effect that its aggregate could not be told.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParkedAnswer {
    /// The aggregate's table, as the store names it.
    pub table: String,
    /// The aggregate's key.
    pub key: String,
    /// The effect's number.
    pub number: u64,
    /// The effect's deterministic id.
    pub id: String,
    /// The port it went through.
    pub port: String,
    /// Schema version of the effect.
    pub version: u16,
    /// The effect as JSON.
    #[serde(with = "crate::record::json_text")]
    pub payload: Vec<u8>,
    /// How it ended; a reply is JSON.
    pub outcome: Outcome<Vec<u8>>,
    /// What follows the reply by itself: after so many milliseconds, this JSON.
    pub later: Vec<(u64, Vec<u8>)>,
    /// What asked for it.
    pub cause: Cause,
}

/// One change of the parked events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // parking is rare; a box for each would cost more than it saves
pub enum ParkedWrite {
    /// Parked, or changed: in a shared store what is there must have one attempt less, and without any nothing is there.
    Put(ParkedRow),
    /// Handled or discarded: in a shared store it must be there.
    Remove {
        /// The follower.
        subscription: String,
        /// The order key.
        key: String,
        /// The partition.
        partition: u32,
        /// Its position.
        position: u64,
    },
}
