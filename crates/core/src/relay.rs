//! The relay: publishes an outbox to its topic, each record once as far as the broker's means go, in order for each key.
//!
//! It owns no thread and no clock; a driver calls [`Relay::turn`]. It may die between any two of its steps: what it has
//! published and not marked, the next one finds in the topic or publishes again under the same number, which readers know.

use std::collections::BTreeSet;

use defects::{Defect, has};
use ports::{BrokerError, Outbox, Publisher, Record, Stamp, StoreError};

/// One relay of one outbox.
pub struct Relay {
    topic: String,
    most: usize,
    /// Where it stands; none without the lease.
    place: Option<Place>,
}

struct Place {
    /// The last number that has arrived.
    sent: u64,
    /// Numbers above that which an earlier relay has published already.
    there: BTreeSet<u64>,
}

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relayed {
    /// Another relay has the lease.
    Standby,
    /// So many records were published; there may be more.
    Sent(usize),
    /// There was nothing to publish.
    Idle,
}

/// A relay could not go on; it begins again with its lease.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl Relay {
    /// For a topic; at most so many records at once.
    pub fn new(topic: &str, most: usize) -> Self {
        Self { topic: topic.to_owned(), most: most.max(1), place: None }
    }

    /// Publishes what there is. After an error it looks for what has arrived before it publishes again.
    pub fn turn(&mut self, outbox: &mut dyn Outbox, publisher: &mut dyn Publisher) -> Result<Relayed, RelayError> {
        let turned = self.go_on(outbox, publisher);
        if !matches!(turned, Ok(Relayed::Sent(_) | Relayed::Idle)) {
            self.place = None;
        }
        turned
    }

    fn go_on(&mut self, outbox: &mut dyn Outbox, publisher: &mut dyn Publisher) -> Result<Relayed, RelayError> {
        let Some(sent) = outbox.lease()? else { return Ok(Relayed::Standby) };
        let name = outbox.name();
        let place = match &mut self.place {
            // Where the mark stands elsewhere, another relay had the lease meanwhile.
            Some(place) if place.sent == sent => place,
            none => none.insert(Place { sent, there: publisher.published(&self.topic, &name, sent)? }),
        };
        let unsent = outbox.unsent(place.sent, self.most)?;
        let Some(last) = unsent.last().map(|(number, _)| *number) else { return Ok(Relayed::Idle) };
        let missing = unsent.into_iter().filter(|(number, _)| !place.there.contains(number));
        let stamped = |(number, record)| (Stamp { outbox: name.clone(), number }, record);
        let records: Vec<(Stamp, Record)> = missing.map(stamped).collect();
        if has(Defect::MarkedBeforePublished) {
            outbox.sent(last)?;
        }
        if !records.is_empty() {
            publisher.publish(&self.topic, &records)?;
        }
        outbox.sent(last)?;
        place.sent = last;
        place.there = place.there.split_off(&(last + 1));
        Ok(Relayed::Sent(records.len()))
    }
}
