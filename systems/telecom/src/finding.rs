//! One thing wrong with a message. Every check of this crate collects these instead of
//! stopping at the first, so that a sender can mend everything at once.

use schemars::JsonSchema;
use serde::Serialize;

/// One thing wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// Stable slug in kebab-case, for programs; never reworded.
    pub code: &'static str,
    /// The field it is about, by its name in the message resource: `description`, `title`,
    /// `buttons` or `buttons[0].label`.
    pub field: String,
    /// One English sentence for people; may be reworded.
    pub detail: String,
}

impl Finding {
    /// A finding from its three parts.
    pub fn new(code: &'static str, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { code, field: field.into(), detail: detail.into() }
    }
}
