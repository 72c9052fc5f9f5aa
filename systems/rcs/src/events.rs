//! The events of this system, as they stand on the wire: one flat object each, in the order of the story.
//!
//! `SendSuccess`, `Canceled`, `ValidateSucceed`, `ValidateFailed`, `SendSucceed` and `SendFailed` are a contract with
//! programs that exist; the others are ours and ignored by those. Every event carries the message's own `id`.
//! An event that changes only what its own service remembers is not published; its declaration says `private`.

use kernel::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::letter::{Finding, Letter};

/// A message was accepted from its sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SendSuccess {
    /// The message.
    #[serde(flatten)]
    pub letter: Letter,
}

/// The sender took the message back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Canceled {
    /// The message's id.
    pub id: u64,
    /// The sender's id.
    pub message_id: String,
}

/// The sender's cancel came too late: the message is what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CancelFailed {
    /// The message's id.
    pub id: u64,
    /// The sender's id.
    pub message_id: String,
    /// Why.
    pub reason: String,
}

/// The message's side knows that it was read, and will take no cancel any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadNoted {
    /// The message's id.
    pub id: u64,
    /// The sender's id.
    pub message_id: String,
}

/// A reserved message is in order as things stand; it is checked again at its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prechecked {
    /// The message.
    #[serde(flatten)]
    pub letter: Letter,
    /// The outcome in words.
    pub policy_info: String,
    /// The outcome in structure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// When it will be checked again, and sent.
    pub send_at: Timestamp,
    /// An operator has let it pass although it looks like an advertisement.
    #[serde(default)]
    pub released: bool,
}

/// A message waits: for the end of the night, or for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The message.
    #[serde(flatten)]
    pub letter: Letter,
    /// The outcome in words.
    pub policy_info: String,
    /// The outcome in structure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Until when; absent where it waits for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// An operator has let it pass although it looks like an advertisement.
    #[serde(default)]
    pub released: bool,
}

/// The message may be sent now: the go for any device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValidateSucceed {
    /// The message.
    #[serde(flatten)]
    pub letter: Letter,
    /// The outcome in words.
    #[serde(default)]
    pub policy_info: String,
    /// Remarks that do not stop it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// The message may not be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValidateFailed {
    /// The message.
    #[serde(flatten)]
    pub letter: Letter,
    /// The outcome in words.
    #[serde(default)]
    pub policy_info: String,
    /// All that is wrong with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// The validator will say nothing more about this message, because it was canceled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValidationStopped {
    /// The message's id.
    pub id: u64,
    /// The sender's id.
    pub message_id: String,
}

/// The handset has the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SendSucceed {
    /// The message.
    #[serde(flatten)]
    pub letter: Letter,
    /// `send succeed`.
    #[serde(default)]
    pub result: String,
    /// How it got there.
    #[serde(default)]
    pub channel: Channel,
    /// What it costs, won; absent where an external service delivered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_won: Option<u64>,
}

/// The message will not reach the handset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SendFailed {
    /// The message.
    #[serde(flatten)]
    pub letter: Letter,
    /// `send failed`.
    #[serde(default)]
    pub result: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// No receipt came within its validity; a receipt that still comes is believed.
    #[serde(default)]
    pub expired: bool,
}

/// The message was taken back before anyone saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecallGranted {
    /// The message's id.
    pub id: u64,
    /// The sender's id.
    pub message_id: String,
}

/// The message could not be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecallRefused {
    /// The message's id.
    pub id: u64,
    /// The sender's id.
    pub message_id: String,
    /// Why.
    pub reason: String,
}

/// The recipient has read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Read {
    /// The message's id.
    pub id: u64,
    /// The sender's id.
    pub message_id: String,
}

/// How a message reaches the handset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Channel {
    /// As a rich message.
    #[default]
    Rcs,
    /// As a plain short message instead.
    Sms,
    /// As a plain long message instead.
    Lms,
}
