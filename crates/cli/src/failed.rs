//! How a command fails: one clear sentence, and an exit code that scripts can tell apart.

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct Failed {
    /// For a person.
    pub sentence: String,
    /// For a script.
    pub code: u8,
}

/// The answer is no (a check failed, nothing was found), or something went wrong while running.
pub const NO: u8 = 1;
/// The command line or the settings are wrong. Also what the argument parser exits with.
pub const USAGE: u8 = 2;
/// Something needed is not there: a port, the data directory, a running instance.
pub const UNAVAILABLE: u8 = 3;

impl Failed {
    /// It went wrong.
    pub fn no(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), code: NO }
    }

    /// The settings are wrong.
    pub fn config(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), code: USAGE }
    }

    /// Something needed is not there.
    pub fn unavailable(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), code: UNAVAILABLE }
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::no(error.to_string())
    }
}
