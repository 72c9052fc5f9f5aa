//! Errors of a store.

/// A read or a change failed; nothing has changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Unavailable: disk full, locked, connection lost. A retry may help.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Fenced: the lease of this instance has expired, and another one has adopted its effects.
    #[error("this instance is fenced: its lease has expired")]
    Fenced,
    /// The stored data is inconsistent; a retry does not help.
    #[error("the store is corrupt: {0}")]
    Corrupt(String),
}

/// A commit failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// Not applied: the store is unavailable.
    #[error("the store is unavailable for commits: {0}")]
    Unavailable(String),
    /// Not applied: a version conflict. The batch is decided again on the current state.
    #[error("version conflict: {0}")]
    Conflict(String),
    /// Not applied: the lease of this instance has expired.
    #[error("this instance is fenced: its lease has expired")]
    Fenced,
    /// Not applied because of its content; another batch may pass.
    #[error("the store rejected the commit: {0}")]
    Refused(String),
    /// In doubt: it may have been applied. [`Store::last_commit`](super::Store::last_commit) tells.
    #[error("the outcome of the commit is unknown: {0}")]
    Unknown(String),
}
