//! A message as it comes out of the client's queue.

use ports::Delivery;
use rdkafka::message::{BorrowedMessage, Message};

use crate::client;
use crate::wire::{self, NotAnEvent};

/// A message, read.
pub struct Arrival {
    /// Its offset, from 0.
    pub offset: u64,
    /// It has no key, so that its order is that of its partition only.
    pub keyless: bool,
    /// The event that it is.
    pub event: Result<Delivery, NotAnEvent>,
}

impl Arrival {
    /// Reads a message.
    pub fn read(message: &BorrowedMessage<'_>) -> Self {
        let event = wire::read(&client::arrived(message));
        Self { offset: client::unsigned(message.offset()), keyless: message.key().is_none(), event }
    }
}
