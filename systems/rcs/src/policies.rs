//! Whenever this happens, then that: what the services do about each other's events, one function per sentence.

use kernel::To;

use crate::delivery::{self, Delivery};
use crate::events::{Canceled, Read, RecallRefused, SendSuccess, ValidateSucceed};
use crate::message::{self, Message};
use crate::validation::{self, Validation};

/// Whenever a message is accepted, it is validated.
pub fn validate(accepted: &SendSuccess) -> To<Validation> {
    To::key(&accepted.letter.message_id).command(validation::Command::Check(Box::new(accepted.letter.clone())))
}

/// Whenever a message is canceled, validation says nothing more about it.
pub fn stop_validating(canceled: &Canceled) -> To<Validation> {
    To::key(&canceled.message_id).command(validation::Command::Stop { id: canceled.id })
}

/// Whenever a message is found in order, it is delivered.
pub fn deliver(validated: &ValidateSucceed) -> To<Delivery> {
    To::key(&validated.letter.message_id).command(delivery::Command::Deliver(Box::new(validated.letter.clone())))
}

/// Whenever a message is canceled, it is taken back from the handset.
pub fn take_back(canceled: &Canceled) -> To<Delivery> {
    To::key(&canceled.message_id).command(delivery::Command::Recall { id: canceled.id })
}

/// Whenever a recall is refused, the message returns to what it was.
pub fn return_to_what_it_was(refused: &RecallRefused) -> To<Message> {
    let reason = refused.reason.clone();
    To::key(&refused.message_id).command(message::Command::HearRecallRefused { reason })
}

/// Whenever a message is read, it cannot be canceled any more.
pub fn note_reading(read: &Read) -> To<Message> {
    To::key(&read.message_id).command(message::Command::HearRead)
}
