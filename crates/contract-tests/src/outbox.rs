//! Outboxes: what several processes have committed leaves in one order, once, by one relay at a time.

use ports::{Commit, LogQuery, Outbox, Record, StoreError};

use crate::OutboxFixture;
use crate::broker::rich;
use crate::crowd::{Crowd, Hand};
use crate::desk::{parcel, record};

/// Commits events of these keys; their numbers are in their ids.
fn say(hand: &mut Hand, first: u64, keys: &[&str]) {
    let log = (first..).zip(keys).map(|(number, key)| record(number, "Taken", key)).collect();
    hand.commit(Commit { log, ..Commit::default() });
}

/// A relay that has the lease.
fn relay<F: OutboxFixture>(crowd: &Crowd<F>) -> Box<dyn Outbox> {
    let mut outbox = crowd.fixture.outbox();
    assert!(lease(&mut *outbox).is_some(), "nobody else has the lease");
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

fn gone(hand: &mut Hand) -> u64 {
    hand.store().prune(i64::MAX, u64::MAX, 0, 1000).expect("it prunes")
}

/// Relays of one outbox agree on it, and nobody else has it.
pub fn an_outbox_has_a_name_of_its_own<F: OutboxFixture>() {
    let [one, other] = [Crowd::<F>::new(), Crowd::<F>::new()];
    assert_eq!(one.fixture.outbox().name(), one.fixture.outbox().name());
    assert_ne!(one.fixture.outbox().name(), other.fixture.outbox().name());
    assert!(!one.fixture.outbox().name().is_empty());
}

/// There is nothing to publish, and nothing is sent.
pub fn an_empty_outbox_begins_before_one<F: OutboxFixture>() {
    let crowd = Crowd::<F>::new();
    let mut outbox = crowd.fixture.outbox();
    assert_eq!(lease(&mut *outbox), Some(0));
    assert_eq!(waiting(&mut *outbox, 0), []);
}

/// Whoever has committed them, and in what order for each key.
pub fn numbers_follow_the_commits_without_gaps<F: OutboxFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    say(&mut one, 1, &["a", "b"]);
    say(&mut other, 3, &["a"]);
    let mut outbox = relay(&crowd);
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
pub fn a_conflict_leaves_no_gap<F: OutboxFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    say(&mut one, 1, &["a"]);
    let (rows, log) = (vec![parcel(crowd.parcels, "a", 1, 5)], vec![record(2, "Taken", "a")]);
    other.conflict(Commit { rows, log, ..Commit::default() });
    say(&mut other, 3, &["a"]);
    assert_eq!(waiting(&mut *relay(&crowd), 0), ids(&[(1, "1"), (2, "3")]));
}

/// At most so many, and the first first.
pub fn what_is_unsent_is_read_on_behind_a_number<F: OutboxFixture>() {
    let crowd = Crowd::<F>::new();
    say(&mut crowd.join(), 1, &["a", "b", "c", "d", "e"]);
    let mut outbox = relay(&crowd);
    let numbers = |found: Vec<(u64, Record)>| found.into_iter().map(|(number, _)| number).collect::<Vec<_>>();
    assert_eq!(numbers(unsent(&mut *outbox, 0, 2)), [1, 2]);
    assert_eq!(numbers(unsent(&mut *outbox, 2, 2)), [3, 4]);
    assert_eq!(numbers(unsent(&mut *outbox, 4, 2)), [5]);
    assert_eq!(numbers(unsent(&mut *outbox, 5, 2)), [0; 0]);
}

/// In every part but the position, which is the store's.
pub fn a_record_leaves_as_it_was_committed<F: OutboxFixture>() {
    let crowd = Crowd::<F>::new();
    crowd.join().commit(Commit { log: vec![rich()], ..Commit::default() });
    let (number, found) = unsent(&mut *relay(&crowd), 0, 10).remove(0);
    assert_eq!((number, Record { seq: 0, ..found }), (1, rich()));
}

/// The others wait, and do nothing meanwhile.
pub fn one_relay_has_the_lease<F: OutboxFixture>() {
    let crowd = Crowd::<F>::new();
    say(&mut crowd.join(), 1, &["a"]);
    let mut one = relay(&crowd);
    let mut other = crowd.fixture.outbox();
    fenced(&mut *other);
    assert_eq!((lease(&mut *other), lease(&mut *one), lease(&mut *other)), (None, Some(0), None));
    fenced(&mut *other);
    assert_eq!(waiting(&mut *one, 0).len(), 1);
}

/// As long as it asks for it in time.
pub fn a_lease_that_is_prolonged_stays<F: OutboxFixture>() {
    let crowd = Crowd::<F>::new();
    say(&mut crowd.join(), 1, &["a"]);
    let (mut one, mut other) = (relay(&crowd), crowd.fixture.outbox());
    for _ in 0..3 {
        crowd.fixture.pass(crowd.fixture.lease() / 2);
        assert_eq!((lease(&mut *one), lease(&mut *other)), (Some(0), None));
    }
    one.sent(1).expect("it has the lease");
}

/// It goes on where the last mark stands; the one before can neither read nor mark any more.
pub fn who_takes_a_lease_over_fences_the_one_before<F: OutboxFixture>() {
    let crowd = Crowd::<F>::new();
    say(&mut crowd.join(), 1, &["a", "b", "c"]);
    let (mut one, mut other) = (relay(&crowd), crowd.fixture.outbox());
    one.sent(2).expect("it has the lease");
    crowd.leases_run_out();
    assert_eq!(lease(&mut *other), Some(2));
    fenced(&mut *one);
    assert_eq!(lease(&mut *one), None);
    assert_eq!(waiting(&mut *other, 2), ids(&[(3, "3")]));
    other.sent(3).expect("it has the lease");
    crowd.leases_run_out();
    assert_eq!(lease(&mut *one), Some(3), "and back");
}

/// Numbers and mark are in the database, not in the relay.
pub fn numbers_and_the_mark_survive_the_relay<F: OutboxFixture>() {
    let crowd = Crowd::<F>::new();
    let mut hand = crowd.join();
    say(&mut hand, 1, &["a", "b", "a"]);
    let mut outbox = relay(&crowd);
    let before = waiting(&mut *outbox, 0);
    outbox.sent(1).expect("it has the lease");
    drop(outbox);
    crowd.leases_run_out();
    hand.begin(); // its own lease has run out as well
    say(&mut hand, 4, &["b"]);
    let mut next = crowd.fixture.outbox();
    assert_eq!(lease(&mut *next), Some(1));
    let after = waiting(&mut *next, 1);
    assert_eq!((&after[..2], after.len()), (&before[1..], 3));
    assert_eq!(after[2], (4, "event-4".to_owned()));
}

/// Whether it has a number yet or not.
pub fn pruning_keeps_what_is_not_sent<F: OutboxFixture>() {
    let crowd = Crowd::<F>::new();
    let mut hand = crowd.join();
    say(&mut hand, 1, &["a", "b", "c"]);
    assert_eq!(gone(&mut hand), 0, "nobody has numbered it yet");
    let mut outbox = relay(&crowd);
    assert_eq!(waiting(&mut *outbox, 0).len(), 3);
    assert_eq!(gone(&mut hand), 0, "nothing of it is sent");
    outbox.sent(2).expect("it has the lease");
    say(&mut hand, 4, &["d"]);
    assert_eq!(gone(&mut hand), 2);
    assert_eq!(waiting(&mut *outbox, 2), ids(&[(3, "3"), (4, "4")]));
    let left = crowd.reader().log(&LogQuery { limit: 10, ..LogQuery::default() }).expect("the log is read");
    assert_eq!(left.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(), ["event-3", "event-4"]);
}

/// Numbers are not given again when the records that had them are gone.
pub fn numbers_go_on_behind_what_was_pruned<F: OutboxFixture>() {
    let crowd = Crowd::<F>::new();
    let mut hand = crowd.join();
    say(&mut hand, 1, &["a", "b"]);
    let mut outbox = relay(&crowd);
    assert_eq!(waiting(&mut *outbox, 0).len(), 2);
    outbox.sent(2).expect("it has the lease");
    assert_eq!(gone(&mut hand), 2);
    drop(outbox);
    crowd.leases_run_out();
    hand.begin();
    say(&mut hand, 3, &["c"]);
    let mut next = crowd.fixture.outbox();
    assert_eq!(lease(&mut *next), Some(2));
    assert_eq!(waiting(&mut *next, 2), ids(&[(3, "3")]));
}

/// Younger than asked for, they stay though they are sent.
pub fn pruning_keeps_what_is_young<F: OutboxFixture>() {
    let crowd = Crowd::<F>::new();
    let mut hand = crowd.join();
    say(&mut hand, 1, &["a", "b", "c"]);
    let mut outbox = relay(&crowd);
    assert_eq!(waiting(&mut *outbox, 0).len(), 3);
    outbox.sent(3).expect("it has the lease");
    assert_eq!(hand.store().prune(3000, u64::MAX, 0, 1000).expect("it prunes"), 2);
}

/// A transaction that began earlier and ends later than another: the relay has come past where it would have stood.
pub fn a_commit_that_comes_late_is_not_skipped<F: OutboxFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut slow, mut quick] = [crowd.join(), crowd.join()];
    say(&mut quick, 1, &["a"]);
    let mut outbox = relay(&crowd);
    let (rows, log) = (vec![parcel(crowd.parcels, "s", 1, 0)], vec![record(2, "Taken", "s"), record(3, "Taken", "s")]);
    let commit = Commit { number: slow.next(), rows, log, ..Commit::default() };
    let mut meanwhile = || {
        say(&mut quick, 4, &["b"]);
        assert_eq!(waiting(&mut *outbox, 0), ids(&[(1, "1"), (2, "4")]), "what is not committed has no number");
        outbox.sent(2).expect("it has the lease");
    };
    crowd.fixture.commit_slowly(slow.store(), &commit, &mut meanwhile).expect("the commit is in order");
    slow.committed();
    say(&mut slow, 5, &["s"]);
    assert_eq!(waiting(&mut *outbox, 2), ids(&[(3, "2"), (4, "3"), (5, "5")]));
}
