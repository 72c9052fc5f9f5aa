//! Effects that have not ended.

use kernel::event::Cause;

use crate::model::TableId;

/// An effect that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectRow {
    /// Increasing in the order of the decisions.
    pub number: u64,
    /// Deterministic: the aggregate, its version and the place in its decision.
    pub id: String,
    /// The aggregate's table.
    pub table: TableId,
    /// The aggregate's key.
    pub key: String,
    /// The port it goes through.
    pub port: String,
    /// The lane whose rate it shares.
    pub lane: Option<String>,
    /// Schema version of the payload.
    pub version: u16,
    /// The effect as JSON.
    pub payload: Vec<u8>,
    /// What asked for it.
    pub cause: Cause,
    /// It is not to be started any more.
    pub withdrawn: bool,
}
