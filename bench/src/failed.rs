//! How a measurement fails: with one sentence.

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The operating system said no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Anything else, in words.
    #[error("{0}")]
    Said(String),
}

/// Anything that can be said, as a failure.
pub fn failed(why: impl std::fmt::Display) -> Failed {
    Failed::Said(why.to_string())
}
