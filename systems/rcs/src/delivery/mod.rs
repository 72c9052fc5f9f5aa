//! The delivery of a message to its handset: sent at most once, tried again where that may help, recalled where it can be.
//!
//! ```text
//! QUEUED → SUBMITTED → DELIVERED | FAILED | EXPIRED | CANCELED        READ is a separate fact
//! ```
//! A word of the carrier that says less than what is known changes nothing.

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
use handset::{HandsetCall, Word};
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
    /// The how-manieth submission on this channel, from 1.
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
        /// Which submission it speaks of.
        channel: Channel,
        /// Which submission it speaks of; 0 for a recall.
        attempt: u32,
        /// What it says.
        word: Word,
    },
    /// Hear that nobody knows whether the carrier has it.
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

    fn decide(now: Option<&Self>, command: &Command, at: &Context<'_>) -> Result<Decision<Self>, Never> {
        Ok(match (command, now) {
            (Command::Deliver(letter), None) => Self::queue(letter, at),
            // The cancel came before the message: nothing was sent, and nothing will be.
            (Command::Recall { id }, None) => Decision::event(RecallGranted { id: *id, message_id: at.key.to_owned() }),
            (Command::Recall { .. }, Some(delivery)) => delivery.take_back(),
            (Command::Hear { channel, attempt, word }, Some(delivery)) => {
                let current = delivery.in_flight && *attempt == delivery.attempt && *channel == delivery.channel;
                delivery.hear(word, current, at)
            }
            (Command::HearNothing, Some(delivery)) => delivery.accepted(),
            (Command::HearWithdrawn, Some(delivery)) => delivery.withdrawn(),
            (Command::Retry, Some(delivery)) => delivery.retry(at),
            (Command::Expire, Some(delivery)) => delivery.expire(),
            // A message that is known is not sent a second time; of one that is unknown nobody speaks.
            (Command::Deliver(_), Some(_)) | (_, None) => Decision::nothing(),
        })
    }

    fn evolve(now: Option<Self>, event: &DeliveryEvent) -> Option<Self> {
        record::evolve(now, event)
    }

    fn answered(effect: HandsetCall, outcome: Outcome<Word>) -> Option<Command> {
        Some(match effect {
            HandsetCall::Submit(submit) => {
                let hear = |word| Command::Hear { channel: submit.channel, attempt: submit.attempt, word };
                match outcome {
                    Outcome::Reply(word) => hear(word),
                    Outcome::Unreachable => hear(Word::Busy { reason: "the carrier cannot be reached".to_owned() }),
                    Outcome::Unknown => Command::HearNothing,
                    Outcome::Withdrawn => Command::HearWithdrawn,
                }
            }
            HandsetCall::Recall(_) => Command::Hear { channel: Channel::Rcs, attempt: 0, word: recall::answer(outcome) },
        })
    }
}

impl Delivery {
    /// What a carrier's word means here; `current` says whether it answers the submission that is in flight.
    fn hear(&self, word: &Word, current: bool, at: &Context<'_>) -> Decision<Self> {
        match word {
            Word::Accepted if current => self.accepted(),
            Word::Busy { reason } if current => self.busy(reason, at),
            Word::NoRcs if current => self.without_rcs(at),
            Word::Rejected { reason } if self.under_way() => self.failed(reason),
            Word::Delivered => self.delivered(at),
            Word::Read => self.was_read(at),
            Word::RecallGranted => self.recall_granted(),
            Word::RecallRefused { reason } => self.recall_refused(reason),
            Word::Accepted | Word::Busy { .. } | Word::NoRcs | Word::Rejected { .. } => Decision::nothing(),
        }
    }

    /// Whether its end is still open.
    fn under_way(&self) -> bool {
        matches!(self.status, Status::Queued | Status::Submitted)
    }
}
