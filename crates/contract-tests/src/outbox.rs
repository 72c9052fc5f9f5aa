//! Outboxes: what several processes have committed leaves in one order, once, by one relay at a time.

use macro_rules_attribute::apply;
use ports::{Commit, LogQuery, Outbox, Record, StoreError};

use crate::OutboxHarness;
use crate::broker::rich;
use crate::rows::{parcel, record};
use crate::shared_store::{Session, SharedStore};

/// Commits events of these keys; their numbers are in their ids.
fn say(session: &mut Session, first: u64, keys: &[&str]) {
    let log = (first..).zip(keys).map(|(number, key)| record(number, "Taken", key)).collect();
    session.commit(Commit { log, ..Commit::default() });
}

/// A relay that has the lease.
fn relay<H: OutboxHarness>(shared: &SharedStore<H>) -> Box<dyn Outbox> {
    let mut outbox = shared.harness.outbox();
    assert!(lease(&mut *outbox).is_some(), "the lease is free");
    outbox
}

fn lease(outbox: &mut dyn Outbox) -> Option<u64> {
    outbox.lease().expect("the store answers")
}

fn unsent(outbox: &mut dyn Outbox, after: u64, limit: usize) -> Vec<(u64, Record)> {
    outbox.unsent(after, limit).expect("it has the lease")
}

/// Numbers and ids of what is to be published.
fn waiting(outbox: &mut dyn Outbox, after: u64) -> Vec<(u64, String)> {
    unsent(outbox, after, 1000).into_iter().map(|(number, record)| (number, record.id)).collect()
}

fn ids(of: &[(u64, &str)]) -> Vec<(u64, String)> {
    of.iter().map(|(number, id)| (*number, format!("event-{id}"))).collect()
}

fn fenced(outbox: &mut dyn Outbox) {
    let (read, marked) = (outbox.unsent(0, 10), outbox.sent(1000));
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "without the lease nothing is read: {read:?}");
    assert!(matches!(marked, Err(StoreError::Unavailable(_))), "without the lease nothing is marked: {marked:?}");
}

fn gone(session: &mut Session) -> u64 {
    session.store().prune(i64::MAX, u64::MAX, 0, 1000).expect("it prunes")
}

/// Numbers, leases and pruning of an outbox.
#[apply(checks!)]
impl<H: OutboxHarness> OutboxChecks<H> {
    /// The same for all relays of one outbox, and unique.
    pub fn an_outbox_has_a_name_of_its_own() {
        let [one, other] = [SharedStore::<H>::new(), SharedStore::<H>::new()];
        assert_eq!(one.harness.outbox().name(), one.harness.outbox().name());
        assert_ne!(one.harness.outbox().name(), other.harness.outbox().name());
        assert!(!one.harness.outbox().name().is_empty());
    }

    /// There is nothing to publish, and nothing is sent.
    pub fn an_empty_outbox_begins_before_one() {
        let shared = SharedStore::<H>::new();
        let mut outbox = shared.harness.outbox();
        assert_eq!(lease(&mut *outbox), Some(0));
        assert_eq!(waiting(&mut *outbox, 0), []);
    }

    /// Over all processes; those of a key in the order of their commits.
    pub fn numbers_follow_the_commits_without_gaps() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        say(&mut one, 1, &["a", "b"]);
        say(&mut other, 3, &["a"]);
        let mut outbox = relay(&shared);
        let first = waiting(&mut *outbox, 0);
        say(&mut one, 4, &["b", "a", "b"]);
        other.commit(Commit::default());
        say(&mut other, 7, &["a"]);
        say(&mut one, 8, &["c"]);
        let all = unsent(&mut *outbox, 0, 100);
        assert_eq!(all.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8]);
        let of = |key: &str| -> Vec<&str> {
            all.iter().filter(|(_, record)| record.key == key).map(|(_, record)| record.id.as_str()).collect()
        };
        assert_eq!(of("a"), ["event-1", "event-3", "event-5", "event-7"]);
        assert_eq!((of("b"), of("c")), (vec!["event-2", "event-4", "event-6"], vec!["event-8"]));
        assert_eq!(waiting(&mut *outbox, 0)[..3], first, "a number that was given stays");
    }

    /// What was never committed has no number.
    pub fn a_conflict_leaves_no_gap() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        say(&mut one, 1, &["a"]);
        let (rows, log) = (vec![parcel(shared.parcels, "a", 1, 5)], vec![record(2, "Taken", "a")]);
        other.conflict(Commit { rows, log, ..Commit::default() });
        say(&mut other, 3, &["a"]);
        assert_eq!(waiting(&mut *relay(&shared), 0), ids(&[(1, "1"), (2, "3")]));
    }

    /// At most so many, and the first first.
    pub fn unsent_records_are_read_on_behind_a_number() {
        let shared = SharedStore::<H>::new();
        say(&mut shared.join(), 1, &["a", "b", "c", "d", "e"]);
        let mut outbox = relay(&shared);
        let numbers = |found: Vec<(u64, Record)>| found.into_iter().map(|(number, _)| number).collect::<Vec<_>>();
        assert_eq!(numbers(unsent(&mut *outbox, 0, 2)), [1, 2]);
        assert_eq!(numbers(unsent(&mut *outbox, 2, 2)), [3, 4]);
        assert_eq!(numbers(unsent(&mut *outbox, 4, 2)), [5]);
        assert_eq!(numbers(unsent(&mut *outbox, 5, 2)), [0; 0]);
    }

    /// In every part but the position, which is the store's.
    pub fn a_record_leaves_as_it_was_committed() {
        let shared = SharedStore::<H>::new();
        shared.join().commit(Commit { log: vec![rich()], ..Commit::default() });
        let (number, found) = unsent(&mut *relay(&shared), 0, 10).remove(0);
        assert_eq!((number, Record { seq: 0, ..found }), (1, rich()));
    }

    /// The other relays can neither read nor mark.
    pub fn one_relay_has_the_lease() {
        let shared = SharedStore::<H>::new();
        say(&mut shared.join(), 1, &["a"]);
        let mut one = relay(&shared);
        let mut other = shared.harness.outbox();
        fenced(&mut *other);
        assert_eq!((lease(&mut *other), lease(&mut *one), lease(&mut *other)), (None, Some(0), None));
        fenced(&mut *other);
        assert_eq!(waiting(&mut *one, 0).len(), 1);
    }

    /// As long as it asks for it in time.
    pub fn a_renewed_lease_stays() {
        let shared = SharedStore::<H>::new();
        say(&mut shared.join(), 1, &["a"]);
        let (mut one, mut other) = (relay(&shared), shared.harness.outbox());
        for _ in 0..3 {
            shared.harness.pass(shared.harness.lease() / 2);
            assert_eq!((lease(&mut *one), lease(&mut *other)), (Some(0), None));
        }
        one.sent(1).expect("it has the lease");
    }

    /// It goes on from the last mark; the previous holder can neither read nor mark any more.
    pub fn a_relay_that_takes_a_lease_over_fences_the_previous_holder() {
        let shared = SharedStore::<H>::new();
        say(&mut shared.join(), 1, &["a", "b", "c"]);
        let (mut one, mut other) = (relay(&shared), shared.harness.outbox());
        one.sent(2).expect("it has the lease");
        shared.leases_run_out();
        assert_eq!(lease(&mut *other), Some(2));
        fenced(&mut *one);
        assert_eq!(lease(&mut *one), None);
        assert_eq!(waiting(&mut *other, 2), ids(&[(3, "3")]));
        other.sent(3).expect("it has the lease");
        shared.leases_run_out();
        assert_eq!(lease(&mut *one), Some(3), "and back");
    }

    /// Numbers and mark are in the database, not in the relay.
    pub fn numbers_and_the_mark_survive_the_relay() {
        let shared = SharedStore::<H>::new();
        let mut session = shared.join();
        say(&mut session, 1, &["a", "b", "a"]);
        let mut outbox = relay(&shared);
        let before = waiting(&mut *outbox, 0);
        outbox.sent(1).expect("it has the lease");
        drop(outbox);
        shared.leases_run_out();
        session.begin(); // its own lease has run out as well
        say(&mut session, 4, &["b"]);
        let mut next = shared.harness.outbox();
        assert_eq!(lease(&mut *next), Some(1));
        let after = waiting(&mut *next, 1);
        assert_eq!((&after[..2], after.len()), (&before[1..], 3));
        assert_eq!(after[2], (4, "event-4".to_owned()));
    }

    /// Whether it has a number yet or not.
    pub fn pruning_keeps_what_is_not_sent() {
        let shared = SharedStore::<H>::new();
        let mut session = shared.join();
        say(&mut session, 1, &["a", "b", "c"]);
        assert_eq!(gone(&mut session), 0, "it has no number yet");
        let mut outbox = relay(&shared);
        assert_eq!(waiting(&mut *outbox, 0).len(), 3);
        assert_eq!(gone(&mut session), 0, "nothing of it is sent");
        outbox.sent(2).expect("it has the lease");
        say(&mut session, 4, &["d"]);
        assert_eq!(gone(&mut session), 2);
        assert_eq!(waiting(&mut *outbox, 2), ids(&[(3, "3"), (4, "4")]));
        let left = shared.reader().log(&LogQuery { limit: 10, ..LogQuery::default() }).expect("the log is read");
        assert_eq!(left.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(), ["event-3", "event-4"]);
    }

    /// Numbers are not given again when the records that had them are gone.
    pub fn numbers_go_on_behind_what_was_pruned() {
        let shared = SharedStore::<H>::new();
        let mut session = shared.join();
        say(&mut session, 1, &["a", "b"]);
        let mut outbox = relay(&shared);
        assert_eq!(waiting(&mut *outbox, 0).len(), 2);
        outbox.sent(2).expect("it has the lease");
        assert_eq!(gone(&mut session), 2);
        drop(outbox);
        shared.leases_run_out();
        session.begin();
        say(&mut session, 3, &["c"]);
        let mut next = shared.harness.outbox();
        assert_eq!(lease(&mut *next), Some(2));
        assert_eq!(waiting(&mut *next, 2), ids(&[(3, "3")]));
    }

    /// Younger than asked for, they stay though they are sent.
    pub fn pruning_keeps_what_is_young() {
        let shared = SharedStore::<H>::new();
        let mut session = shared.join();
        say(&mut session, 1, &["a", "b", "c"]);
        let mut outbox = relay(&shared);
        assert_eq!(waiting(&mut *outbox, 0).len(), 3);
        outbox.sent(3).expect("it has the lease");
        assert_eq!(session.store().prune(3000, u64::MAX, 0, 1000).expect("it prunes"), 2);
    }

    /// A transaction that began earlier and ends later than another: its events get numbers behind those that the relay has read.
    pub fn a_commit_that_comes_late_is_not_skipped() {
        let shared = SharedStore::<H>::new();
        let [mut slow, mut quick] = [shared.join(), shared.join()];
        say(&mut quick, 1, &["a"]);
        let mut outbox = relay(&shared);
        let (rows, log) = (vec![parcel(shared.parcels, "s", 1, 0)], vec![record(2, "Taken", "s"), record(3, "Taken", "s")]);
        let commit = Commit { number: slow.next(), rows, log, ..Commit::default() };
        let mut meanwhile = || {
            say(&mut quick, 4, &["b"]);
            assert_eq!(waiting(&mut *outbox, 0), ids(&[(1, "1"), (2, "4")]), "what is not committed has no number");
            outbox.sent(2).expect("it has the lease");
        };
        shared.harness.commit_slowly(slow.store(), &commit, &mut meanwhile).expect("the commit is in order");
        slow.committed();
        say(&mut slow, 5, &["s"]);
        assert_eq!(waiting(&mut *outbox, 2), ids(&[(3, "2"), (4, "3"), (5, "5")]));
    }
}
