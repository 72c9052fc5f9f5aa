//! What a delivery remembers: its own events, and the state that follows from them.

use kernel::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Delivery, DeliveryEvent, RecallState, Status};
use crate::events::Channel;
use crate::letter::Letter;

/// A message is to be submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Queued {
    /// The message.
    #[serde(flatten)]
    pub letter: Letter,
    /// It is worth nothing after this.
    pub valid_until: Timestamp,
}

/// The carrier has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Submitted {
    /// The message's id.
    pub id: u64,
    /// The sender's id.
    pub message_id: String,
}

/// It could not be submitted, and is tried again later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Postponed {
    /// The message's id.
    pub id: u64,
    /// The sender's id.
    pub message_id: String,
    /// Why.
    pub reason: String,
    /// When it is tried again.
    pub until: Timestamp,
}

/// It is tried again now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retried {
    /// The message's id.
    pub id: u64,
    /// The sender's id.
    pub message_id: String,
    /// The attempt number on this channel, from 1.
    pub attempt: u32,
}

/// It goes as a plain message instead, because the handset takes no rich ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FellBack {
    /// The message's id.
    pub id: u64,
    /// The sender's id.
    pub message_id: String,
    /// As what.
    pub channel: Channel,
}

/// The sender wants it back, and that is not decided yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecallAsked {
    /// The message's id.
    pub id: u64,
    /// The sender's id.
    pub message_id: String,
    /// True while the answer to the submission is awaited first, false once the carrier is asked.
    pub waiting: bool,
}

/// The state after an event.
pub(super) fn evolve(now: Option<Delivery>, event: &DeliveryEvent) -> Option<Delivery> {
    Some(match event {
        DeliveryEvent::Queued(it) => Delivery { in_flight: true, ..fresh(it.letter.clone(), it.valid_until) },
        DeliveryEvent::RecallGranted(it) => {
            let bare = || fresh(bare_letter(it.id, &it.message_id), Timestamp::UNIX_EPOCH);
            let known = now.unwrap_or_else(bare);
            Delivery { status: Status::Canceled, recall: RecallState::Granted, in_flight: false, ..known }
        }
        DeliveryEvent::Submitted(_) => Delivery { status: Status::Submitted, in_flight: false, ..now? },
        DeliveryEvent::Postponed(_) => Delivery { in_flight: false, ..now? },
        DeliveryEvent::Retried(it) => Delivery { attempt: it.attempt, in_flight: true, ..now? },
        DeliveryEvent::FellBack(it) => Delivery { channel: it.channel, attempt: 1, in_flight: true, ..now? },
        DeliveryEvent::SendSucceed(it) => {
            Delivery { status: Status::Delivered, in_flight: false, price_won: it.price_won, reason: None, ..now? }
        }
        DeliveryEvent::SendFailed(it) => Delivery {
            status: if it.expired { Status::Expired } else { Status::Failed },
            in_flight: false,
            reason: Some(it.reason.clone()),
            ..now?
        },
        DeliveryEvent::RecallAsked(it) => {
            Delivery { recall: if it.waiting { RecallState::Waiting } else { RecallState::Asked }, ..now? }
        }
        DeliveryEvent::RecallRefused(it) => {
            let now = now?;
            let reason = now.reason.clone().or_else(|| Some(it.reason.clone()));
            Delivery { recall: RecallState::Refused, reason, ..now }
        }
        DeliveryEvent::Read(_) => Delivery { read: true, ..now? },
    })
}

fn bare_letter(id: u64, message_id: &str) -> Letter {
    Letter { id, message_id: message_id.to_owned(), ..Letter::default() }
}

fn fresh(letter: Letter, valid_until: Timestamp) -> Delivery {
    Delivery {
        letter,
        status: Status::Queued,
        read: false,
        channel: Channel::Rcs,
        attempt: 1,
        in_flight: false,
        recall: RecallState::None,
        valid_until,
        reason: None,
        price_won: None,
    }
}

impl Delivery {
    /// The result in the words of the specification, `None` while it is under way. A cancel shows at once, and goes again
    /// where it came too late.
    pub fn result(&self) -> Option<&'static str> {
        match (self.recall, self.status) {
            (RecallState::Waiting | RecallState::Asked | RecallState::Granted, _) | (_, Status::Canceled) => Some("CANCEL"),
            (_, Status::Delivered) => Some("send succeed"),
            (_, Status::Failed | Status::Expired) => Some("send failed"),
            (_, Status::Queued | Status::Submitted) => None,
        }
    }
}
