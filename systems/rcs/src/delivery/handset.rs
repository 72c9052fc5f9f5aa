//! The handset: what is asked of the carrier, and the embedded simulator whose behaviour the number decides.
//!
//! The simulator is a pure function and remembers nothing. Asked what became of an id it has no memory to look into, so it
//! answers what it would have done: the same letter gets the same answer, and nothing is ever sent twice.

use std::time::Duration;

use kernel::{Effect, EffectCall, Reaction, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use telecom::{Carrier, MessageType};

use crate::events::Channel;
use crate::letter::Button;
use crate::settings::{RcsSettings, SimulatorDelays};

/// What is asked of a carrier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HandsetCall {
    /// Bring this to the handset.
    Submit(Box<Submit>),
    /// Take it back.
    Recall(Recall),
}

/// A message as the carrier gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Submit {
    /// The sender's id.
    pub message_id: String,
    /// The recipient.
    pub to: String,
    /// The chatbot.
    pub from: String,
    /// Whose network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Carrier>,
    /// Rich or plain.
    pub channel: Channel,
    /// Its kind.
    pub message_type: MessageType,
    /// The title of a long message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The text.
    pub text: String,
    /// Buttons under the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<Button>,
    /// The attempt number, from 1; repetitions of one call do not count.
    pub attempt: u32,
    /// It is worth nothing after this.
    pub valid_until: Timestamp,
}

/// A message that is to be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recall {
    /// The sender's id.
    pub message_id: String,
    /// The recipient.
    pub to: String,
    /// Whose network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Carrier>,
}

/// What a carrier says, at once or later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CarrierReply {
    /// It has the message; a receipt will follow.
    Accepted,
    /// The handset has the message.
    Delivered,
    /// The recipient has read it.
    Read,
    /// Not now; what was asked was not done, and may be asked again.
    Busy {
        /// Why.
        reason: String,
    },
    /// Never.
    Rejected {
        /// Why.
        reason: String,
    },
    /// This handset takes no rich messages.
    NoRcs,
    /// The message was taken back.
    RecallGranted,
    /// The message was not taken back.
    RecallRefused {
        /// Why.
        reason: String,
    },
}

impl Effect for HandsetCall {
    const PORT: &'static str = "handset";
    type Reply = CarrierReply;

    fn lane(&self) -> Option<String> {
        let carrier = match self {
            Self::Submit(submit) => submit.carrier,
            Self::Recall(recall) => recall.carrier,
        };
        carrier.map(|carrier| carrier.as_str().to_owned())
    }
}

/// The embedded handsets: the recipient's number decides what happens.
pub fn simulator(asked: &HandsetCall, call: &EffectCall<'_>, settings: &RcsSettings) -> Reaction<CarrierReply> {
    match asked {
        HandsetCall::Submit(submit) => submitted(submit, call, &settings.simulator),
        HandsetCall::Recall(recall) => recalled(recall),
    }
}

fn submitted(submit: &Submit, call: &EffectCall<'_>, delays: &SimulatorDelays) -> Reaction<CarrierReply> {
    let rich = submit.channel == Channel::Rcs;
    match submit.to.as_str() {
        "01000000001" => Reaction::reply(CarrierReply::Rejected { reason: "no such subscriber".to_owned() }),
        "01000000002" if rich => Reaction::reply(CarrierReply::NoRcs),
        "01000000003" => receipt_after(delays.off_ms),
        "01000000004" if submit.attempt <= 3 => {
            Reaction::reply(CarrierReply::Busy { reason: "the carrier throttles".to_owned() })
        }
        "01000000005" => {
            let after = Duration::from_millis(delays.receipt_ms);
            Reaction::reply(CarrierReply::Accepted).then(after, CarrierReply::Delivered).then(after, CarrierReply::Delivered)
        }
        "01000000006" => receipt_after(delays.late_ms),
        "01000000007" => Reaction::reply(CarrierReply::Accepted),
        "01000000008" => Reaction::reply(CarrierReply::Busy { reason: "temporary error".to_owned() }),
        "01000000010" => {
            let receipt = Duration::from_millis(delays.receipt_ms);
            let read = Duration::from_millis(delays.receipt_ms.saturating_add(delays.read_ms));
            Reaction::reply(CarrierReply::Accepted).then(receipt, CarrierReply::Delivered).then(read, CarrierReply::Read)
        }
        "01000000011" if !call.asking => Reaction::TimedOut,
        "01000000011" => {
            Reaction::reply(CarrierReply::Accepted).then(Duration::from_millis(delays.receipt_ms), CarrierReply::Delivered)
        }
        _ => receipt_after(delays.receipt_ms),
    }
}

/// A handset that is on answers in the same breath: acceptance and receipt are one reply then.
fn receipt_after(delay_ms: u64) -> Reaction<CarrierReply> {
    match delay_ms {
        0 => Reaction::reply(CarrierReply::Delivered),
        _ => Reaction::reply(CarrierReply::Accepted).then(Duration::from_millis(delay_ms), CarrierReply::Delivered),
    }
}

fn recalled(recall: &Recall) -> Reaction<CarrierReply> {
    match recall.to.as_str() {
        "01000000009" => Reaction::reply(CarrierReply::RecallRefused { reason: "the carrier does not give it back".to_owned() }),
        "01000000010" => Reaction::reply(CarrierReply::RecallRefused { reason: "already read".to_owned() }),
        _ => Reaction::reply(CarrierReply::RecallGranted),
    }
}
