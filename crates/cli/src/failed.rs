//! How a command fails: a sentence for a person, an exit code for a script.

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct Failed {
    /// For a person.
    pub sentence: String,
    /// For a script.
    pub code: u8,
}

/// The answer is no (a check failed, nothing was found), or the command failed.
pub const NO: u8 = 1;
/// The command line or the settings are invalid. The argument parser exits with the same.
pub const USAGE: u8 = 2;
/// Something needed is unavailable: a port, the data directory, a running instance.
pub const UNAVAILABLE: u8 = 3;

impl Failed {
    /// The command failed.
    pub fn no(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), code: NO }
    }

    /// The settings are invalid.
    pub fn config(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), code: USAGE }
    }

    /// Something needed is unavailable.
    pub fn unavailable(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), code: UNAVAILABLE }
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::no(error.to_string())
    }
}
