//! Taking a message back: granted as long as the carrier does not have it, asked of the carrier afterwards, refused once it was read.

use kernel::{Decision, Outcome};

use super::handset::{CarrierReply, HandsetCall, Recall};
use super::{Delivery, RecallAsked, RecallState, Status};
use crate::events::{RecallGranted, RecallRefused};

impl Delivery {
    /// The sender wants it back.
    pub(super) fn take_back(&self) -> Decision<Self> {
        match (self.recall, self.status) {
            (RecallState::None, Status::Queued) if self.in_flight => Decision::event(self.asked(true)).withdraw(),
            (RecallState::None, Status::Queued) => self.granted(),
            (RecallState::None, Status::Delivered) if self.read => Decision::event(self.rejected("already read")),
            (RecallState::None, Status::Submitted | Status::Delivered) => {
                Decision::event(self.asked(false)).effect(self.recall_call())
            }
            (RecallState::None, Status::Failed | Status::Expired) => Decision::event(self.rejected("it was not delivered")),
            (_, _) => Decision::nothing(),
        }
    }

    /// The carrier does not have it, and will not get it.
    pub(super) fn granted(&self) -> Decision<Self> {
        let (id, message_id) = self.letter.ids();
        self.clear_timers(Decision::event(RecallGranted { id, message_id }))
    }

    /// The submission was taken back before it went out.
    pub(super) fn withdrawn(&self) -> Decision<Self> {
        match self.recall {
            RecallState::Waiting => self.granted(),
            _ => Decision::nothing(),
        }
    }

    /// The carrier took it back.
    pub(super) fn recall_granted(&self) -> Decision<Self> {
        match self.recall {
            RecallState::Asked => self.granted(),
            _ => Decision::nothing(),
        }
    }

    /// The carrier did not give it back; what the receipts say then holds.
    pub(super) fn recall_refused(&self, reason: &str) -> Decision<Self> {
        match self.recall {
            RecallState::Asked => Decision::event(self.rejected(reason)),
            _ => Decision::nothing(),
        }
    }

    /// A cancel that waited for the submission's answer is now a question to the carrier.
    pub(super) fn then_ask_for_recall(&self, decision: Decision<Self>) -> Decision<Self> {
        match self.recall {
            RecallState::Waiting => decision.and(self.asked(false)).effect(self.recall_call()),
            _ => decision,
        }
    }

    /// A cancel that is open has come too late.
    pub(super) fn then_refuse_recall(&self, decision: Decision<Self>, reason: &str) -> Decision<Self> {
        match self.recall {
            RecallState::Waiting | RecallState::Asked => decision.and(self.rejected(reason)),
            _ => decision,
        }
    }

    fn asked(&self, waiting: bool) -> RecallAsked {
        let (id, message_id) = self.letter.ids();
        RecallAsked { id, message_id, waiting }
    }

    fn rejected(&self, reason: &str) -> RecallRefused {
        let (id, message_id) = self.letter.ids();
        RecallRefused { id, message_id, reason: reason.to_owned() }
    }

    fn recall_call(&self) -> HandsetCall {
        let (_, message_id) = self.letter.ids();
        HandsetCall::Recall(Recall { message_id, to: self.letter.user_contact.clone(), carrier: self.letter.carrier() })
    }
}

/// How a recall ended, in a carrier's words. Where it is in doubt, the message counts as not taken back: the sender must not
/// believe that the recipient does not have it.
pub(super) fn answer(outcome: Outcome<CarrierReply>) -> CarrierReply {
    match outcome {
        Outcome::Reply(reply) => reply,
        Outcome::Unreachable => CarrierReply::RecallRefused { reason: "the carrier cannot be reached".to_owned() },
        Outcome::Unknown | Outcome::Withdrawn => CarrierReply::RecallRefused { reason: "the carrier did not answer".to_owned() },
    }
}
