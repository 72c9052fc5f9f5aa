//! The delivery of a message to its handset: sent at most once, tried again where that may help, recalled where it can be.
//!
//! ```text
//! QUEUED → SUBMITTED → DELIVERED | FAILED | EXPIRED | CANCELED        READ is a separate fact
//! ```
//! A reply of the carrier that says less than what is known changes nothing.

pub mod handset;
mod recall;
mod record;
mod submission;

#[cfg(test)]
mod tests;

use kernel::aggregate::Aggregate;
use kernel::rejection::Never;
use kernel::{Context, Decision, Outcome, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::events::{Channel, Read, RecallGranted, RecallRefused, SendFailed, SendSucceed};
use crate::letter::Letter;
use crate::settings::RcsSettings;
use handset::{CarrierReply, HandsetCall};
pub use record::{FellBack, Postponed, Queued, RecallAsked, Retried, Submitted};

/// One message on its way to the handset, keyed by its `messageId`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// What is delivered. Of a message that was canceled before it came, only the ids are known.
    pub letter: Letter,
    /// How far it is.
    pub status: Status,
    /// The recipient has read it.
    pub read: bool,
    /// Rich or plain.
    pub channel: Channel,
    /// The attempt number on this channel, from 1.
    pub attempt: u32,
    /// A submission is with the carrier, and its answer has not come.
    pub in_flight: bool,
    /// What became of the sender's cancel.
    pub recall: RecallState,
    /// It is worth nothing after this.
    pub valid_until: Timestamp,
    /// Why it failed, or was not recalled.
    pub reason: Option<String>,
    /// What it costs, won.
    pub price_won: Option<u64>,
}

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Not with the carrier yet.
    Queued,
    /// With the carrier.
    Submitted,
    /// The handset has it.
    Delivered,
    /// It will not reach the handset.
    Failed,
    /// No receipt came in time.
    Expired,
    /// Taken back.
    Canceled,
}

/// What became of the sender's cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecallState {
    /// There was none.
    None,
    /// It waits for the answer to the submission.
    Waiting,
    /// The carrier was asked.
    Asked,
    /// It came in time.
    Granted,
    /// It came too late.
    Refused,
}

/// What a carrier was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Asked {
    /// To bring the message to the handset.
    Submission {
        /// Rich or plain.
        channel: Channel,
        /// The attempt number on this channel, from 1.
        attempt: u32,
    },
    /// To take it back.
    Recall,
}

/// What may be asked of a delivery.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum Command {
    /// Bring this to the handset.
    Deliver(Box<Letter>),
    /// Take it back.
    Recall {
        /// The message's id.
        id: u64,
    },
    /// Hear what the carrier says.
    Hear {
        /// What it was asked.
        asked: Asked,
        /// What it says.
        reply: CarrierReply,
    },
    /// Hear that it is in doubt whether the carrier has it.
    HearNothing,
    /// Hear that the submission was taken back before it went out.
    HearWithdrawn,
    /// Try again.
    Retry,
    /// Its validity is over.
    Expire,
}

kernel::events! {
    /// What happens to a delivery.
    pub enum DeliveryEvent {
        /// It is to be submitted.
        Queued { private },
        /// The carrier has it.
        Submitted { private },
        /// It is tried again later.
        Postponed,
        /// It is tried again now.
        Retried { private },
        /// It goes as a plain message instead.
        FellBack,
        /// The handset has it.
        SendSucceed,
        /// It will not reach the handset.
        SendFailed,
        /// The sender wants it back.
        RecallAsked { private },
        /// It was taken back.
        RecallGranted,
        /// It could not be taken back.
        RecallRefused,
        /// It was read.
        Read,
    }
}

impl Aggregate for Delivery {
    const NAME: &'static str = "device";
    type Command = Command;
    type Event = DeliveryEvent;
    type Effect = HandsetCall;
    type Rejection = Never;
    type Settings = RcsSettings;

    fn decide(now: Option<&Self>, command: &Command, context: &Context<'_, RcsSettings>) -> Result<Decision<Self>, Never> {
        Ok(match (command, now) {
            (Command::Deliver(letter), None) => Self::queue(letter, context),
            // The cancel came before the message: nothing was sent, and nothing will be.
            (Command::Recall { id }, None) => Decision::event(RecallGranted { id: *id, message_id: context.key.to_owned() }),
            (Command::Recall { .. }, Some(delivery)) => delivery.take_back(),
            (Command::Hear { asked, reply }, Some(delivery)) => delivery.hear(reply, delivery.awaits(*asked), context),
            (Command::HearNothing, Some(delivery)) => delivery.accepted(),
            (Command::HearWithdrawn, Some(delivery)) => delivery.withdrawn(),
            (Command::Retry, Some(delivery)) => delivery.retry(),
            (Command::Expire, Some(delivery)) => delivery.expire(),
            // A message that is known is not sent a second time; nothing follows for one that is unknown.
            (Command::Deliver(_), Some(_)) | (_, None) => Decision::nothing(),
        })
    }

    fn evolve(now: Option<Self>, event: &DeliveryEvent) -> Option<Self> {
        record::evolve(now, event)
    }

    fn answered(effect: HandsetCall, outcome: Outcome<CarrierReply>) -> Option<Command> {
        Some(match effect {
            HandsetCall::Submit(submit) => {
                let asked = Asked::Submission { channel: submit.channel, attempt: submit.attempt };
                let hear = |reply| Command::Hear { asked, reply };
                match outcome {
                    Outcome::Reply(reply) => hear(reply),
                    Outcome::Unreachable => hear(CarrierReply::Busy { reason: "the carrier cannot be reached".to_owned() }),
                    Outcome::Unknown => Command::HearNothing,
                    Outcome::Withdrawn => Command::HearWithdrawn,
                }
            }
            HandsetCall::Recall(_) => Command::Hear { asked: Asked::Recall, reply: recall::answer(outcome) },
        })
    }
}

impl Delivery {
    /// Whether the reply to this is the one that the submission in flight waits for.
    fn awaits(&self, asked: Asked) -> bool {
        self.in_flight && asked == Asked::Submission { channel: self.channel, attempt: self.attempt }
    }

    /// What a carrier's reply means here; `current` says whether it answers the submission that is in flight.
    fn hear(&self, reply: &CarrierReply, current: bool, context: &Context<'_, RcsSettings>) -> Decision<Self> {
        match reply {
            CarrierReply::Accepted if current => self.accepted(),
            CarrierReply::Busy { reason } if current => self.busy(reason, context),
            CarrierReply::NoRcs if current => self.without_rcs(),
            CarrierReply::Rejected { reason } if self.under_way() => self.failed(reason),
            CarrierReply::Delivered => self.delivered(context),
            CarrierReply::Read => self.was_read(context),
            CarrierReply::RecallGranted => self.recall_granted(),
            CarrierReply::RecallRefused { reason } => self.recall_refused(reason),
            CarrierReply::Accepted | CarrierReply::Busy { .. } | CarrierReply::NoRcs | CarrierReply::Rejected { .. } => {
                Decision::nothing()
            }
        }
    }

    /// Whether its end is still open.
    fn under_way(&self) -> bool {
        matches!(self.status, Status::Queued | Status::Submitted)
    }
}
