//! What a store answers when it cannot do what it was asked.

/// The store did not do what it was asked, and nothing has changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It cannot now: disk full, locked, connection lost. Trying again later may help.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// Another instance has taken this one for dead.
    #[error("this instance has lost its lease")]
    Fenced,
    /// What it holds cannot be what was written: trying again will not help.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
}

/// A commit did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// Not applied, and not the batch's fault.
    #[error("the store does not take commits: {0}")]
    Unavailable(String),
    /// Not applied: what it was decided upon has changed since. Deciding again upon what is there now is no failure.
    #[error("the state has moved: {0}")]
    Conflict(String),
    /// Not applied: another instance has taken this one for dead.
    #[error("this instance has lost its lease")]
    Fenced,
    /// Not applied, because of what is in it; another batch may pass.
    #[error("the store refuses this batch: {0}")]
    Refused(String),
    /// It may have been applied: ask [`Store::last_commit`].
    #[error("nobody knows whether the commit was applied: {0}")]
    Unknown(String),
}
