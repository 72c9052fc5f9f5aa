//! Effects that have not ended.

use kernel::event::Cause;

use crate::model::TableId;

/// An effect that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectRow {
    /// The effect's number; rises in the order of the decisions.
    pub number: u64,
    /// Deterministic id: the aggregate, its key and the effect's number.
    pub id: String,
    /// The aggregate's table.
    pub table: TableId,
    /// The aggregate's key.
    pub key: String,
    /// The port that carries it out.
    pub port: String,
    /// The lane that limits its rate.
    pub lane: Option<String>,
    /// Schema version of the payload.
    pub version: u16,
    /// The effect as JSON.
    pub payload: Vec<u8>,
    /// The cause of the decision.
    pub cause: Cause,
    /// Withdrawn: it is not started any more.
    pub withdrawn: bool,
}
