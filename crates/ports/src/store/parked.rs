//! Parked work: events, timers and effect answers that could not be handled, with their causes.

use kernel::Outcome;
use kernel::event::Cause;

use crate::record::Record;

/// A parked event, timer or answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ParkedRow {
    /// The subscription that could not handle it.
    pub subscription: String,
    /// The ordering key: later work of the same key waits behind it.
    pub key: String,
    /// The partition that the event came from.
    pub partition: u32,
    /// The event's position in its partition; parked work of a key is ordered by it.
    pub position: u64,
    /// Attempts so far; 0 = it only waits behind another.
    pub attempts: u32,
    /// When it is retried, milliseconds since 1970.
    pub next_try_ms: i64,
    /// A dead letter: it is not retried automatically.
    pub dead: bool,
    /// The error of the last attempt.
    pub cause: String,
    /// When it was parked, milliseconds since 1970.
    pub since_ms: i64,
    /// A copy of what could not be handled.
    pub work: ParkedWork,
}

/// What is parked. Tables have the names of the store: their numbers are valid only within a process.
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
    /// The cause of the timer.
    pub cause: Cause,
}

/// An effect's outcome that its aggregate could not handle.
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
    /// The port that carried it out.
    pub port: String,
    /// Schema version of the effect.
    pub version: u16,
    /// The effect as JSON.
    #[serde(with = "crate::record::json_text")]
    pub payload: Vec<u8>,
    /// The outcome; a reply is JSON.
    pub outcome: Outcome<Vec<u8>>,
    /// Delayed replies that follow: after so many milliseconds, this JSON.
    pub later: Vec<(u64, Vec<u8>)>,
    /// The cause of the effect.
    pub cause: Cause,
}

/// A change of parked work.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // parking is rare; a box for each would cost more than it saves
pub enum ParkedWrite {
    /// Added or changed: in a shared store the stored row must have one attempt less, or be absent if there is at most one.
    Put(ParkedRow),
    /// Handled or discarded: in a shared store it must exist.
    Remove {
        /// The subscription.
        subscription: String,
        /// The ordering key.
        key: String,
        /// The partition.
        partition: u32,
        /// Its position.
        position: u64,
    },
}
