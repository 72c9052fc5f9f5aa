//! The relay: what is committed is published in its order, whatever dies in between.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use common::world::{START_MS, said};
use in_memory::{MemoryOutbox, MemoryPublisher, MemoryTopics, SharedMemory, SharedStore};
use pabal_core::{Relay, RelayError, Relayed};
use ports::{Broker, BrokerError, Commit, Model, Outbox, Publisher, Record, Stamp, Store, StoreError};

const TOPIC: &str = "news-events";
const LEASE_MS: i64 = 1_000;

/// A database, and the topic that it is relayed to.
struct Ground {
    shared: SharedMemory,
    store: SharedStore,
    topics: MemoryTopics,
    commits: u64,
    now_ms: i64,
}

/// What goes wrong in one relay.
#[derive(Default)]
struct Hooks {
    /// So many records of the next call arrive, and then the broker is gone.
    arrive: Option<usize>,
    /// It finds nothing of what is there.
    blind: bool,
    /// It dies before it marks.
    dies: bool,
    /// The last number that it looked behind, and how often it looked.
    looked: Vec<u64>,
}

/// One relay with its ends.
struct Process {
    relay: Relay,
    outbox: Hooked<MemoryOutbox>,
    publisher: Hooked<MemoryPublisher>,
    hooks: Arc<Mutex<Hooks>>,
}

struct Hooked<T>(T, Arc<Mutex<Hooks>>);

impl Publisher for Hooked<MemoryPublisher> {
    fn publish(&mut self, topic: &str, records: &[(Stamp, Record)]) -> Result<(), BrokerError> {
        let Some(arrive) = self.1.lock().unwrap().arrive.take() else { return self.0.publish(topic, records) };
        self.0.publish(topic, &records[..arrive.min(records.len())])?;
        Err(BrokerError("it is gone".into()))
    }
    fn published(&mut self, topic: &str, outbox: &str, after: u64) -> Result<BTreeSet<u64>, BrokerError> {
        let mut hooks = self.1.lock().unwrap();
        hooks.looked.push(after);
        if hooks.blind { Ok(BTreeSet::new()) } else { self.0.published(topic, outbox, after) }
    }
}

impl Outbox for Hooked<MemoryOutbox> {
    fn name(&self) -> String {
        self.0.name()
    }
    fn lease(&mut self) -> Result<Option<u64>, StoreError> {
        self.0.lease()
    }
    fn unsent(&mut self, after: u64, limit: usize) -> Result<Vec<(u64, Record)>, StoreError> {
        self.0.unsent(after, limit)
    }
    fn sent(&mut self, number: u64) -> Result<(), StoreError> {
        let dies = self.1.lock().unwrap().dies;
        if dies { Err(StoreError::Unavailable("it has died".into())) } else { self.0.sent(number) }
    }
}

impl Ground {
    fn new() -> Self {
        let shared = SharedMemory::new(&Model::new(common::system::office()).unwrap(), LEASE_MS);
        shared.set_now(START_MS);
        let mut store = shared.connect();
        store.recover().unwrap();
        Self { store, shared, topics: MemoryTopics::new(3), commits: 0, now_ms: START_MS }
    }

    /// Commits events of these keys.
    fn commit(&mut self, keys: &[&str]) {
        self.commits += 1;
        let log = (1..).zip(keys).map(|(seq, key)| Record { key: (*key).into(), ..said(seq, key) }).collect();
        self.store.commit(&Commit { number: self.commits, log, ..Commit::default() }).unwrap();
    }

    fn relay(&self, most: usize) -> Process {
        let hooks = Arc::default();
        let outbox = Hooked(MemoryOutbox::new(&self.shared, "office-1", LEASE_MS), Arc::clone(&hooks));
        let publisher = Hooked(self.topics.publisher(), Arc::clone(&hooks));
        Process { relay: Relay::new(TOPIC, most), outbox, publisher, hooks }
    }

    fn pass(&mut self, ms: i64) {
        self.now_ms += ms;
        self.shared.set_now(self.now_ms);
    }

    /// The numbers of a key's records in the topic, in the order of its partition.
    fn of(&self, key: &str) -> Vec<u64> {
        let deliveries = self.topics.fetch(&self.topics.partition_of(TOPIC, key), 0, 1_000).unwrap();
        let mine = deliveries.into_iter().filter(|delivery| delivery.record.key == key);
        mine.map(|delivery| delivery.stamp.filter(|stamp| stamp.outbox == "office-1").unwrap().number).collect()
    }

    /// All numbers that the topic has, repetitions too.
    fn all(&self) -> Vec<u64> {
        let keys: BTreeSet<&str> = ["a", "b", "c", "d"].into();
        let mut all: Vec<u64> = keys.into_iter().flat_map(|key| self.of(key)).collect();
        all.sort_unstable();
        all
    }

    /// The last number that is marked.
    fn mark(&mut self) -> u64 {
        self.pass(2 * LEASE_MS);
        let mark = MemoryOutbox::new(&self.shared, "office-1", 0).lease().unwrap().unwrap();
        self.pass(1);
        mark
    }
}

impl Process {
    fn turn(&mut self) -> Result<Relayed, RelayError> {
        self.relay.turn(&mut self.outbox, &mut self.publisher)
    }

    fn hooks(&self) -> std::sync::MutexGuard<'_, Hooks> {
        self.hooks.lock().unwrap()
    }

    /// Relays all that there is, and says in how many steps.
    fn run(&mut self) -> Vec<usize> {
        let mut steps = Vec::new();
        loop {
            match self.turn().unwrap() {
                Relayed::Sent(records) => steps.push(records),
                Relayed::Idle => return steps,
                Relayed::Standby => panic!("it has not got the lease"),
            }
        }
    }
}

#[test]
fn everything_arrives_once_and_in_order_for_each_key() {
    let mut ground = Ground::new();
    ground.commit(&["a", "b", "a"]);
    ground.commit(&["c", "b", "d"]);
    let mut relay = ground.relay(4);
    assert_eq!(relay.run(), [4, 2], "no more at once than it was told");
    ground.commit(&["a"]);
    assert_eq!(relay.run(), [1]);
    assert_eq!((ground.of("a"), ground.of("b")), (vec![1, 3, 7], vec![2, 5]));
    assert_eq!(ground.all(), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(relay.hooks().looked, [0], "it looks for what is there when it begins, and not again");
    assert_eq!(ground.mark(), 7);
}

#[test]
fn what_is_published_is_marked_so_that_the_next_relay_begins_behind_it() {
    let mut ground = Ground::new();
    ground.commit(&["a", "b", "a"]);
    ground.relay(10).run();
    ground.pass(2 * LEASE_MS);
    ground.commit(&["a"]);
    let mut next = ground.relay(10);
    assert_eq!(next.run(), [1]);
    assert_eq!(next.hooks().looked, [3]);
    assert_eq!(ground.all(), [1, 2, 3, 4]);
}

#[test]
fn a_relay_that_dies_between_publishing_and_marking_is_followed_by_one_that_finds_what_is_there() {
    let mut ground = Ground::new();
    ground.commit(&["a", "b", "a", "c"]);
    let mut first = ground.relay(2);
    first.turn().unwrap();
    first.hooks().dies = true;
    assert!(matches!(first.turn(), Err(RelayError::Store(_))));
    drop(first);
    assert_eq!(ground.all(), [1, 2, 3, 4], "they have arrived, and only half of them is marked");
    ground.commit(&["a"]);
    ground.pass(2 * LEASE_MS);
    let mut next = ground.relay(10);
    assert_eq!(next.run(), [1], "only what is not there");
    assert_eq!(next.hooks().looked, [2]);
    assert_eq!((ground.all(), ground.mark()), (vec![1, 2, 3, 4, 5], 5));
}

#[test]
fn where_everything_is_there_already_only_the_mark_is_missing() {
    let mut ground = Ground::new();
    ground.commit(&["a", "b"]);
    let mut first = ground.relay(10);
    first.hooks().dies = true;
    assert!(first.turn().is_err());
    ground.pass(2 * LEASE_MS);
    assert_eq!(ground.relay(10).run(), [0]);
    assert_eq!((ground.all(), ground.mark()), (vec![1, 2], 2));
}

#[test]
fn what_cannot_be_found_is_published_again_under_the_same_numbers() {
    let mut ground = Ground::new();
    ground.commit(&["a", "b", "a"]);
    let mut first = ground.relay(10);
    first.hooks().dies = true;
    assert!(first.turn().is_err());
    ground.pass(2 * LEASE_MS);
    let mut next = ground.relay(10);
    next.hooks().blind = true;
    assert_eq!(next.run(), [3]);
    assert_eq!((ground.of("a"), ground.of("b")), (vec![1, 3, 1, 3], vec![2, 2]));
}

#[test]
fn nothing_is_marked_where_the_broker_did_not_acknowledge() {
    let mut ground = Ground::new();
    ground.commit(&["a", "a", "a"]);
    let mut relay = ground.relay(10);
    relay.hooks().arrive = Some(0);
    assert!(matches!(relay.turn(), Err(RelayError::Broker(_))));
    assert_eq!((ground.all(), ground.mark()), (vec![], 0));
}

#[test]
fn after_a_broker_that_took_only_some_the_same_relay_publishes_the_rest() {
    let mut ground = Ground::new();
    ground.commit(&["a", "b", "a", "c"]);
    let mut relay = ground.relay(10);
    relay.hooks().arrive = Some(2);
    assert!(relay.turn().is_err());
    assert_eq!(relay.run(), [2], "it looks for what has arrived before it goes on");
    assert_eq!((ground.of("a"), ground.all()), (vec![1, 3], vec![1, 2, 3, 4]));
    assert_eq!(relay.hooks().looked, [0, 0]);
    assert_eq!(ground.mark(), 4);
}

#[test]
fn a_relay_without_the_lease_stands_by() {
    let mut ground = Ground::new();
    ground.commit(&["a"]);
    let [mut first, mut second] = [ground.relay(10), ground.relay(10)];
    assert_eq!(first.run(), [1]);
    ground.commit(&["a"]);
    assert_eq!((second.turn().unwrap(), ground.all()), (Relayed::Standby, vec![1]));
    ground.pass(LEASE_MS / 2);
    assert_eq!(first.run(), [1], "each turn prolongs the lease");
    ground.pass(LEASE_MS - 1);
    assert_eq!(second.turn().unwrap(), Relayed::Standby);
    ground.commit(&["a"]);
    ground.pass(2 * LEASE_MS);
    assert_eq!(second.run(), [1], "until it is not heard of");
    assert_eq!((first.turn().unwrap(), ground.all()), (Relayed::Standby, vec![1, 2, 3]));
}

#[test]
fn a_relay_whose_lease_ran_out_while_it_published_marks_nothing() {
    let mut ground = Ground::new();
    ground.commit(&["a", "b"]);
    let [mut first, mut second] = [ground.relay(10), ground.relay(10)];
    assert!(first.outbox.lease().unwrap().is_some());
    ground.pass(2 * LEASE_MS);
    assert_eq!(second.outbox.lease().unwrap(), Some(0));
    assert!(matches!(first.outbox.sent(2), Err(StoreError::Unavailable(_))));
    assert_eq!(ground.mark(), 0);
    ground.pass(2 * LEASE_MS);
    assert_eq!(second.run(), [2]);
    assert_eq!(ground.mark(), 2);
}

#[test]
fn a_relay_that_gets_its_lease_back_begins_where_the_other_has_ended() {
    let mut ground = Ground::new();
    ground.commit(&["a"]);
    let [mut first, mut second] = [ground.relay(10), ground.relay(10)];
    assert_eq!(first.run(), [1]);
    ground.pass(2 * LEASE_MS);
    ground.commit(&["a", "b"]);
    assert_eq!(second.run(), [2]);
    ground.pass(2 * LEASE_MS);
    ground.commit(&["b"]);
    assert_eq!(first.run(), [1], "the first never heard that it had lost it");
    assert_eq!(ground.all(), [1, 2, 3, 4]);
}

#[test]
fn an_outbox_without_records_is_idle() {
    let ground = Ground::new();
    let mut relay = ground.relay(10);
    assert_eq!(relay.run(), [0; 0]);
    assert_eq!(ground.all(), [0; 0]);
}
