//! Whenever this happens, then that: what the services do about each other's events, one function per sentence.

use kernel::CommandFor;

use crate::delivery::{self, Delivery};
use crate::events::{Canceled, Read, RecallRefused, SendSuccess, ValidateSucceed};
use crate::message::{self, Message};
use crate::validation::{self, Validation};

kernel::policies! {
    /// Whenever a message is accepted, it is validated.
    pub fn validate(accepted: &SendSuccess) -> CommandFor<Validation> {
        CommandFor::new(&accepted.letter.message_id, validation::Command::Check(Box::new(accepted.letter.clone())))
    }

    /// Whenever a message is canceled, validation says nothing more about it.
    pub fn stop_validating(canceled: &Canceled) -> CommandFor<Validation> {
        CommandFor::new(&canceled.message_id, validation::Command::Stop { id: canceled.id })
    }

    /// Whenever a message is found in order, it is delivered.
    pub fn deliver(validated: &ValidateSucceed) -> CommandFor<Delivery> {
        CommandFor::new(&validated.letter.message_id, delivery::Command::Deliver(Box::new(validated.letter.clone())))
    }

    /// Whenever a message is canceled, it is taken back from the handset.
    pub fn take_back(canceled: &Canceled) -> CommandFor<Delivery> {
        CommandFor::new(&canceled.message_id, delivery::Command::Recall { id: canceled.id })
    }

    /// Whenever a recall is refused, the message returns to what it was.
    pub fn return_to_what_it_was(rejected: &RecallRefused) -> CommandFor<Message> {
        let reason = rejected.reason.clone();
        CommandFor::new(&rejected.message_id, message::Command::HearRecallRefused { reason })
    }

    /// Whenever a message is read, it cannot be canceled any more.
    pub fn note_reading(read: &Read) -> CommandFor<Message> {
        CommandFor::new(&read.message_id, message::Command::HearRead)
    }
}
