//! The answers of idempotency keys.

/// The answer stored for an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerRow {
    /// Service and method: equal keys of different scopes are distinct.
    pub scope: String,
    /// The client's key.
    pub key: String,
    /// Fingerprint of the request that came with the key.
    pub fingerprint: String,
    /// When it expires, milliseconds since 1970.
    pub expires_ms: i64,
    /// The answer, encoded by the core.
    pub answer: Vec<u8>,
}
