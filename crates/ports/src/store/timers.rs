//! Durable timers.

use kernel::event::Cause;

use crate::model::TableId;

/// A durable timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimerRow {
    /// The aggregate's table.
    pub table: TableId,
    /// The aggregate's key.
    pub key: String,
    /// The timer's name, unique within the aggregate.
    pub name: String,
    /// When it is due, milliseconds since 1970.
    pub due_ms: i64,
    /// Schema version of the command.
    pub version: u16,
    /// The command as JSON.
    pub command: Vec<u8>,
    /// The cause of the decision.
    pub cause: Cause,
}

/// One change of a timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimerWrite {
    /// Sets or replaces a timer.
    Set(TimerRow),
    /// Deletes a timer.
    Clear {
        /// The aggregate's table.
        table: TableId,
        /// The aggregate's key.
        key: String,
        /// The timer's name.
        name: String,
        /// The timer fires in this commit and was due then: in a shared store it must still be.
        fires_ms: Option<i64>,
    },
}
