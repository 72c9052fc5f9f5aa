//! How a suite gets what it checks: an implementation writes one of these, and one line for its suite.

use std::sync::Arc;
use std::time::Duration;

use ports::{Broker, Commit, CommitError, Model, Outbox, Partition, Publisher, Reader, Record, Store};

/// How the suite gets a store.
pub trait StoreHarness {
    /// An empty store of its own for the tables of a model.
    fn fresh(model: &Arc<Model>) -> Self;
    /// The writing side.
    fn store(&mut self) -> &mut dyn Store;
    /// The reading side.
    fn reader(&self) -> Arc<dyn Reader>;
    /// What a crash and a start afterwards leave of it.
    fn reopen(&mut self);
}

/// How the suite gets a store that several processes share.
pub trait SharedStoreHarness {
    /// An empty database of its own for the tables of a model. Checks run side by side.
    fn fresh(model: &Arc<Model>) -> Self;
    /// Another process's connection. It becomes an instance when the check lets it recover. Dropping it is a crash: its
    /// lease and its effects stay behind.
    fn connect(&self) -> Box<dyn Store>;
    /// The reading side.
    fn reader(&self) -> Arc<dyn Reader>;
    /// How long a lease lasts that is not renewed. In real time, a second is long enough: no check needs more
    /// than a small part of it between two steps that must happen within one lease.
    fn lease(&self) -> Duration;
    /// Lets so much time pass for the leases: it moves the clock that they go by, or sleeps.
    fn pass(&self, time: Duration);
}

/// How the suite gets the relay's side of a shared store, whose leases last as long as those of instances.
pub trait OutboxHarness: SharedStoreHarness {
    /// The outbox for another relay.
    fn outbox(&self) -> Box<dyn Outbox>;
    /// Commits so slowly that `meanwhile` happens between the writing of the events and the end of the transaction, as it
    /// does where the statements of several processes run side by side (another connection can hold back a row that the
    /// commit needs last). A store whose commits come strictly one after the other has no such moment; for it everything
    /// of `meanwhile` comes before.
    fn commit_slowly(&self, store: &mut dyn Store, commit: &Commit, meanwhile: &mut dyn FnMut()) -> Result<(), CommitError> {
        meanwhile();
        store.commit(commit)
    }
}

/// How the suite gets a broker.
pub trait BrokerHarness {
    /// A broker without records.
    fn fresh() -> Self;
    /// The reading side.
    fn broker(&self) -> &dyn Broker;
    /// Puts a record at the end of its key's partition, without a stamp, the way the implementation has it; its `seq` is the
    /// topic's to give.
    fn publish(&self, topic: &str, record: Record);
    /// The broker's name for a topic of the check: where a broker outlives the check, one that no other check uses.
    fn topic(&self, name: &str) -> String {
        name.to_owned()
    }
    /// The broker's name for a consumer group of the check, likewise.
    fn group(&self, name: &str) -> String {
        name.to_owned()
    }
    /// The partitions that a topic has, or will have with its first record.
    fn partitions(&self, topic: &str) -> Vec<Partition> {
        vec![Partition::only(topic)]
    }
}

/// How the suite gets the writing side of topics, beside the reading side that shows what has arrived.
pub trait PublisherHarness: BrokerHarness {
    /// The writing side, for another relay.
    fn publisher(&self) -> Box<dyn Publisher>;
}
