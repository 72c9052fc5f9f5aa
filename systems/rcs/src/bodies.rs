//! What resources show of a state: the bodies of answers.

use kernel::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::delivery::{self, Delivery, RecallState};
use crate::events::Channel;
use crate::letter::{Finding, Letter};
use crate::message::{self, Message};
use crate::validation::brand::{Brand, Standing};
use crate::validation::chatbot::Chatbot;
use crate::validation::consent::{self, Consent};
use crate::validation::opt_out::{self, OptOut};
use crate::validation::{Validation, Verdict};

/// A message, as its sender sees it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageBody {
    /// What was handed in.
    #[serde(flatten)]
    letter: Letter,
    /// Whether it stands.
    status: message::Status,
    /// It was read.
    read: bool,
    /// Why a cancel came too late.
    #[serde(skip_serializing_if = "Option::is_none")]
    too_late: Option<String>,
}

/// A validation.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValidationBody {
    /// The message; `id` is the validation's own.
    #[serde(flatten)]
    letter: Letter,
    /// How it stands.
    status: Verdict,
    /// The outcome in words.
    policy_info: String,
    /// The outcome in structure.
    findings: Vec<Finding>,
    /// When it is looked at again.
    #[serde(skip_serializing_if = "Option::is_none")]
    again_at: Option<Timestamp>,
}

/// A delivery.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryBody {
    /// The message; `id` is the delivery's own.
    #[serde(flatten)]
    letter: Letter,
    /// `send succeed`, `send failed` or `CANCEL`; absent while it is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'static str>,
    /// How far it is.
    status: delivery::Status,
    /// It was read.
    read: bool,
    /// Rich or plain.
    channel: Channel,
    /// The attempt number on this channel, from 1.
    attempt: u32,
    /// What became of a cancel.
    recall: RecallState,
    /// Why it failed, or was not recalled.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What it costs, won.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_won: Option<u64>,
}

/// A brand.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrandBody {
    /// Its id in the resource.
    id: u64,
    /// Its own id.
    brand_id: String,
    /// Its name.
    name: String,
    /// Whether it may be used.
    status: Standing,
}

/// A chatbot.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatbotBody {
    /// Its id in the resource.
    id: u64,
    /// Its number.
    chatbot_id: String,
    /// The brand it belongs to.
    brand_id: String,
    /// Its name.
    name: String,
    /// Whether it may be used.
    status: Standing,
}

/// A consent.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsentBody {
    /// Its id in the resource.
    id: u64,
    /// The recipient.
    user_contact: String,
    /// Advertising is welcome.
    ad: bool,
    /// At night too.
    night: bool,
    /// Every change, oldest first.
    history: Vec<consent::Change>,
}

/// An opt-out.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OptOutBody {
    /// Its id in the resource.
    id: u64,
    /// The recipient.
    user_contact: String,
    /// No advertising, please.
    active: bool,
    /// Every change, oldest first.
    history: Vec<opt_out::Change>,
}

/// Shows a message.
pub fn message(it: &Message, id: u64) -> MessageBody {
    MessageBody { letter: own(&it.letter, id), status: it.status, read: it.read, too_late: it.too_late.clone() }
}

/// Shows a validation.
pub fn validation(it: &Validation, id: u64) -> ValidationBody {
    ValidationBody {
        letter: own(&it.letter, id),
        status: it.outcome,
        policy_info: it.policy_info.clone(),
        findings: it.findings.clone(),
        again_at: it.again_at,
    }
}

/// Shows a delivery.
pub fn delivery(it: &Delivery, id: u64) -> DeliveryBody {
    DeliveryBody {
        letter: own(&it.letter, id),
        result: it.result(),
        status: it.status,
        read: it.read,
        channel: it.channel,
        attempt: it.attempt,
        recall: it.recall,
        reason: it.reason.clone(),
        price_won: it.price_won,
    }
}

/// Shows a brand.
pub fn brand(it: &Brand, id: u64) -> BrandBody {
    BrandBody { id, brand_id: it.brand_id.clone(), name: it.name.clone(), status: it.status }
}

/// Shows a chatbot.
pub fn chatbot(it: &Chatbot, id: u64) -> ChatbotBody {
    let Chatbot { chatbot_id, brand_id, name, status } = it.clone();
    ChatbotBody { id, chatbot_id, brand_id, name, status }
}

/// Shows a consent.
pub fn consent(it: &Consent, id: u64) -> ConsentBody {
    let (ad, night) = (it.ad(), it.night());
    ConsentBody { id, user_contact: it.user_contact.clone(), ad, night, history: it.history.clone() }
}

/// Shows an opt-out.
pub fn opt_out(it: &OptOut, id: u64) -> OptOutBody {
    OptOutBody { id, user_contact: it.user_contact.clone(), active: it.active(), history: it.history.clone() }
}

/// Each resource has ids of its own: the letter is shown under that of the row it stands in.
fn own(letter: &Letter, id: u64) -> Letter {
    Letter { id, ..letter.clone() }
}
