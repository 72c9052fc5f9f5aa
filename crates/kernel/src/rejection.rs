//! A rule said no: how a rejection is named, and what a caller may learn from it.

use std::borrow::Cow;
use std::fmt::Debug;

use serde::{Deserialize, Serialize};

/// A typed rejection of an aggregate. The enum is the aggregate's own; what leaves the service is [`Rejected`].
pub trait Rejection: Debug + Clone + PartialEq + Send + Sync + 'static {
    /// The rejection in the form that every adapter understands.
    fn rejected(&self) -> Rejected;
}

/// An aggregate that never rejects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Never {}

impl Rejection for Never {
    fn rejected(&self) -> Rejected {
        match *self {}
    }
}

/// Why a command was rejected, in words and in a stable code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Stable slug, e.g. `message-id-taken`; clients may depend on it.
    pub code: Cow<'static, str>,
    /// What sort of no it is; an adapter maps it to its own status.
    pub kind: Kind,
    /// One sentence for a person.
    pub detail: String,
    /// The fields at fault, if the fault is in fields.
    #[serde(default)]
    pub errors: Vec<FieldError>,
}

/// The sorts of rejection; HTTP statuses are given for orientation, the mapping itself is the adapter's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The request cannot be understood (400).
    Malformed,
    /// It needs payment first (402).
    Unpaid,
    /// This actor may not (403).
    Forbidden,
    /// There is nothing of that name (404).
    Absent,
    /// It does not fit the present state (409).
    Conflict,
    /// A business rule rejects it (422).
    Rule,
}

/// One fault of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field as the client wrote it, dotted where nested.
    pub field: String,
    /// Stable code, e.g. `missing`.
    pub code: Cow<'static, str>,
    /// One sentence for a person.
    pub detail: String,
}

impl Rejected {
    /// A rejection without field errors.
    pub fn new(kind: Kind, code: &'static str, detail: impl Into<String>) -> Self {
        Self { code: Cow::Borrowed(code), kind, detail: detail.into(), errors: Vec::new() }
    }

    /// A rule of the business said no.
    pub fn rule(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(Kind::Rule, code, detail)
    }

    /// The state has moved, or does not allow it.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, code, detail)
    }

    /// There is nothing of that name.
    pub fn absent(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(Kind::Absent, code, detail)
    }

    /// One field is malformed.
    pub fn field(field: &str, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let errors = vec![FieldError { field: field.to_owned(), code: Cow::Borrowed(code), detail: detail.clone() }];
        Self { code: Cow::Borrowed("malformed"), kind: Kind::Malformed, detail, errors }
    }
}
