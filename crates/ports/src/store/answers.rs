//! The answers that idempotency keys got.

/// The answer that an idempotency key got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerRow {
    /// Service and method: keys of different scopes do not meet.
    pub scope: String,
    /// The client's key.
    pub key: String,
    /// Of the request that it came with.
    pub fingerprint: String,
    /// Until when it is remembered, milliseconds since 1970.
    pub expires_ms: i64,
    /// The answer, as the core wrote it.
    pub answer: Vec<u8>,
}
