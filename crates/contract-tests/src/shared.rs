//! A store that several processes share: nobody commits upon what has changed.

use ports::model::{Counter, TableId};
use ports::{AnswerRow, Commit, CommitError, CounterDelta, OffsetUpdate, ParkedRow, ParkedWrite, TimerRow, TimerWrite};

use crate::SharedFixture;
use crate::crowd::{Crowd, Hand};
use crate::desk::{moved, own, parcel, parked, record, timer};

/// An instant that no clock has come to.
const NEVER_MS: i64 = i64::MAX / 2;

/// A commit of one parcel, with the number of its version as its id's place.
fn change(table: TableId, key: &str, id: u64, from: u64) -> Commit {
    Commit { rows: vec![parcel(table, key, id, from)], ..Commit::default() }
}

fn park(row: ParkedRow) -> Commit {
    Commit { parked: vec![ParkedWrite::Put(row)], ..Commit::default() }
}

fn release(key: &str, place: u64) -> Commit {
    let (subscription, key) = ("f".to_owned(), key.to_owned());
    Commit { parked: vec![ParkedWrite::Remove { subscription, key, partition: 0, position: place }], ..Commit::default() }
}

fn set(timer: TimerRow) -> Commit {
    Commit { timers: vec![TimerWrite::Set(timer)], ..Commit::default() }
}

fn clear(table: TableId, fires_ms: Option<i64>) -> Commit {
    let (key, name) = ("a".to_owned(), "reminder".to_owned());
    Commit { timers: vec![TimerWrite::Clear { table, key, name, fires_ms }], ..Commit::default() }
}

fn to(place: OffsetUpdate) -> Commit {
    Commit { positions: vec![place], ..Commit::default() }
}

fn answered(key: &str, answer: &str, expires_ms: i64) -> Commit {
    let (scope, key, fingerprint) = ("scope".to_owned(), key.to_owned(), "f".to_owned());
    let answer = AnswerRow { scope, key, fingerprint, expires_ms, answer: answer.as_bytes().to_vec() };
    Commit { answers: vec![answer], ..Commit::default() }
}

/// So that no core keeps rows in memory that others change.
pub fn it_says_that_it_is_shared<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let mut hand = crowd.join();
    assert!(!hand.store().exclusive());
    let lease = hand.store().lease_ms().map(i64::unsigned_abs).map(std::time::Duration::from_millis);
    assert_eq!(lease, Some(crowd.fixture.lease()), "and for how long it is not taken for dead");
}

/// Decided again upon what is there now, it is in order.
pub fn a_row_that_another_has_changed_is_a_conflict<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    one.commit(change(crowd.parcels, "a", 1, 0));
    assert_eq!(other.version(crowd.parcels, "a"), 1, "what one commits the other sees");
    one.commit(change(crowd.parcels, "a", 1, 1));
    other.conflict(change(crowd.parcels, "a", 1, 1));
    assert_eq!((crowd.version("a"), other.version(crowd.parcels, "a")), (2, 2));
    other.commit(change(crowd.parcels, "a", 1, 2));
    assert_eq!(one.version(crowd.parcels, "a"), 3);
}

/// Both found none.
pub fn a_row_that_another_has_made_is_a_conflict<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    one.commit(change(crowd.parcels, "a", 1, 0));
    other.conflict(change(crowd.parcels, "a", 2, 0));
    let row = crowd.reader().by_key(crowd.parcels, "a").expect("a row is read").expect("the row is there");
    assert_eq!((row.id, row.version), (Some(1), 1));
}

/// Both to change it, and to remove it once more.
pub fn a_row_that_another_has_removed_is_a_conflict<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    one.commit(change(crowd.parcels, "a", 1, 0));
    let mut removal = change(crowd.parcels, "a", 1, 1);
    removal.rows[0].data = None;
    one.commit(removal.clone());
    other.conflict(change(crowd.parcels, "a", 1, 1));
    other.conflict(removal);
    assert_eq!(crowd.version("a"), 0);
}

/// Whatever stands beside it, before it or behind it; and its number is still to be given.
pub fn a_conflict_changes_nothing_at_all<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    one.commit(change(crowd.parcels, "b", 1, 0));
    let counter = Counter { name: "state".into(), value: "new".into() };
    let mut commit = change(crowd.parcels, "a", 2, 0);
    commit.rows.push(parcel(crowd.parcels, "b", 1, 7));
    commit.rows.push(parcel(crowd.parcels, "c", 3, 0));
    commit.counters = vec![CounterDelta { table: crowd.lines, counter, delta: 5 }];
    commit.log = vec![record(1, "Taken", "a")];
    commit.positions = vec![moved("f", None, 3)];
    commit.timers = vec![TimerWrite::Set(timer(crowd.parcels, "a", "reminder", 5))];
    commit.effects = vec![other.effect(1, crowd.parcels, "a")];
    commit.parked = vec![ParkedWrite::Put(parked("f", "a", 1))];
    commit.answers = answered("k", "one", NEVER_MS).answers;
    other.conflict(commit.clone());
    let reader = crowd.reader();
    assert_eq!(["a", "b", "c"].map(|key| crowd.version(key)), [0, 1, 0]);
    assert_eq!(reader.counters(crowd.lines, "state").expect("counters are read"), []);
    assert_eq!(reader.positions().expect("positions are read"), []);
    assert_eq!(reader.all_parked(false, 10).expect("parked are read"), []);
    let store = other.store();
    assert_eq!(store.log_after(0, 10).expect("the log is read"), []);
    assert_eq!(store.next_timer().expect("timers are read"), None);
    assert_eq!(store.effects_after(0, 10).expect("effects are read"), []);
    assert_eq!(store.answer("scope", "k").expect("answers are read"), None);
    assert_eq!(store.last_commit().expect("it knows its commits"), 0);
    commit.rows[1] = parcel(crowd.parcels, "b", 1, 1);
    other.commit(commit);
    assert_eq!(["a", "b", "c"].map(|key| crowd.version(key)), [1, 2, 1]);
}

/// Each adds what it has counted; that is no conflict.
pub fn counters_add_up<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    let add = |delta| {
        let counter = Counter { name: "state".into(), value: "new".into() };
        Commit { counters: vec![CounterDelta { table: crowd.lines, counter, delta }], ..Commit::default() }
    };
    one.commit(add(5));
    other.commit(add(4));
    one.commit(add(-2));
    assert_eq!(crowd.reader().counters(crowd.lines, "state").expect("counters are read"), [("new".to_owned(), 7)]);
}

/// Also where one of them has never been, or believes that it has.
pub fn a_position_that_another_has_moved_is_a_conflict<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    other.conflict(to(moved("f", Some(0), 3)));
    one.commit(to(moved("f", None, 3)));
    other.conflict(to(moved("f", None, 3)));
    other.commit(to(moved("f", Some(3), 5)));
    one.conflict(to(moved("f", Some(3), 4)));
    one.conflict(to(moved("f", Some(3), 5)));
    let consumer_offset = one.store().consumer_offset("f", &own()).expect("positions are read").expect("it stands there");
    assert_eq!(consumer_offset.position, 5);
    one.commit(to(moved("g", None, 1)));
    one.commit(to(moved("f", Some(5), 9)));
}

/// Both have read the same record.
pub fn an_event_that_another_has_parked_is_a_conflict<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    let waits = |place| ParkedRow { attempts: 0, ..parked("f", "a", place) };
    one.commit(park(parked("f", "a", 1)));
    one.commit(park(waits(2)));
    other.conflict(park(parked("f", "a", 1)));
    other.conflict(park(waits(1)));
    other.conflict(park(waits(2)));
    other.commit(park(waits(3)));
    let beside = ParkedRow { partition: 1, ..parked("f", "a", 1) };
    other.commit(park(beside));
    assert_eq!(one.store().parked("f", 0, "a", 10).expect("parked are read").len(), 3);
}

/// The attempts are counted: who has not seen the last one comes too late.
pub fn a_parked_event_that_another_has_tried_is_a_conflict<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    let tried = |attempts| ParkedRow { attempts, ..parked("f", "a", 1) };
    one.commit(park(tried(0)));
    other.commit(park(tried(1)));
    one.conflict(park(tried(1)));
    one.commit(park(tried(2)));
    other.conflict(park(tried(2)));
    other.conflict(park(tried(4)));
    other.commit(park(tried(3)));
    assert_eq!(one.store().parked_heads("f", 0).expect("parked are read"), [tried(3)]);
}

/// It was handled once, and is neither handled nor tried again.
pub fn a_parked_event_that_another_has_released_is_a_conflict<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    one.commit(park(parked("f", "a", 1)));
    one.commit(park(parked("f", "a", 2)));
    one.commit(release("a", 1));
    other.conflict(release("a", 1));
    other.conflict(park(ParkedRow { attempts: 2, ..parked("f", "a", 1) }));
    other.commit(release("a", 2));
    assert_eq!(one.store().parked_heads("f", 0).expect("parked are read"), []);
}

/// It must be due when it was due.
pub fn a_timer_that_another_has_fired_or_moved_is_a_conflict<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    let table = crowd.parcels;
    one.commit(set(timer(table, "a", "reminder", 1000)));
    one.commit(clear(table, Some(1000)));
    other.conflict(clear(table, Some(1000)));
    one.commit(set(timer(table, "a", "reminder", 1000)));
    one.commit(set(timer(table, "a", "reminder", 2000)));
    other.conflict(clear(table, Some(1000)));
    let again = TimerWrite::Set(timer(table, "a", "reminder", 3000));
    let mut fired = clear(table, Some(2000));
    fired.timers.push(again);
    other.commit(fired);
    assert_eq!(one.store().next_timer().expect("timers are read"), Some(3000), "a timer may set itself again");
}

/// Nobody waits for it, so that nobody can come too late.
pub fn a_timer_is_cleared_whoever_has_moved_it<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    one.commit(set(timer(crowd.parcels, "a", "reminder", 1000)));
    other.commit(clear(crowd.parcels, None));
    one.commit(clear(crowd.parcels, None));
    assert_eq!(one.store().next_timer().expect("timers are read"), None);
}

/// Whoever answers second finds the first answer, and gives that.
pub fn a_key_that_another_has_answered_is_a_conflict<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    one.commit(answered("k", "one", NEVER_MS));
    other.conflict(answered("k", "other", NEVER_MS));
    let there = other.store().answer("scope", "k").expect("answers are read").expect("the key is answered");
    assert_eq!(there.answer, b"one");
    other.commit(answered("l", "other", NEVER_MS));
}

/// As if nobody had ever asked.
pub fn a_key_whose_answer_has_expired_is_answered_anew<F: SharedFixture>() {
    let crowd = Crowd::<F>::new();
    let [mut one, mut other] = [crowd.join(), crowd.join()];
    one.commit(answered("k", "one", 1));
    other.commit(answered("k", "other", NEVER_MS));
    let there = one.store().answer("scope", "k").expect("answers are read").expect("the key is answered");
    assert_eq!(there.answer, b"other");
}

/// Each change is made upon the one before: none is lost, however many come at once.
pub fn of_those_who_come_at_once_one_succeeds<F: SharedFixture>() {
    const HANDS: u64 = 4;
    const CHANGES: u64 = 25;
    let crowd = Crowd::<F>::new();
    let table = crowd.parcels;
    let hands: Vec<Hand> = (0..HANDS).map(|_| crowd.join()).collect();
    std::thread::scope(|scope| {
        for mut hand in hands {
            scope.spawn(move || {
                let mut done = 0;
                while done < CHANGES {
                    let rows = ["a", "b"].map(|key| (key, hand.version(table, key)));
                    let rows = (1..).zip(rows).map(|(id, (key, from))| parcel(table, key, id, from)).collect();
                    match hand.attempt(Commit { rows, ..Commit::default() }) {
                        Ok(()) => done += 1,
                        Err(CommitError::Conflict(_)) => std::thread::yield_now(),
                        Err(error) => panic!("neither applied nor a conflict: {error}"),
                    }
                }
            });
        }
    });
    assert_eq!((crowd.version("a"), crowd.version("b")), (HANDS * CHANGES, HANDS * CHANGES));
}
