//! A store that several processes share: a commit that was decided on outdated rows is a conflict.

use macro_rules_attribute::apply;
use ports::model::{Counter, TableId};
use ports::{AnswerRow, Commit, CommitError, CounterDelta, OffsetUpdate, ParkedRow, ParkedWrite, TimerRow, TimerWrite};

use crate::SharedStoreHarness;
use crate::rows::{change, moved, own, parcel, parked, record, timer};
use crate::shared_store::{Session, SharedStore};

/// An instant that no clock has come to.
const NEVER_MS: i64 = i64::MAX / 2;

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

/// Concurrent commits.
#[apply(checks!)]
impl<H: SharedStoreHarness> SharedChecks<H> {
    /// So that no core caches rows that another process may change.
    pub fn it_says_that_it_is_shared() {
        let shared = SharedStore::<H>::new();
        let mut session = shared.join();
        assert!(!session.store().exclusive());
        let lease = session.store().lease_ms().map(i64::unsigned_abs).map(std::time::Duration::from_millis);
        assert_eq!(lease, Some(shared.harness.lease()), "and how long its leases last");
    }

    /// Decided again upon what is there now, it is in order.
    pub fn a_row_changed_by_another_instance_is_a_conflict() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        one.commit(change(shared.parcels, "a", 1, 0));
        assert_eq!(other.version(shared.parcels, "a"), 1, "what one commits the other sees");
        one.commit(change(shared.parcels, "a", 1, 1));
        other.conflict(change(shared.parcels, "a", 1, 1));
        assert_eq!((shared.version("a"), other.version(shared.parcels, "a")), (2, 2));
        other.commit(change(shared.parcels, "a", 1, 2));
        assert_eq!(one.version(shared.parcels, "a"), 3);
    }

    /// Both found none.
    pub fn a_row_made_by_another_instance_is_a_conflict() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        one.commit(change(shared.parcels, "a", 1, 0));
        other.conflict(change(shared.parcels, "a", 2, 0));
        let row = shared.reader().by_key(shared.parcels, "a").expect("a row is read").expect("the row is there");
        assert_eq!((row.id, row.version), (Some(1), 1));
    }

    /// Both to change it, and to remove it once more.
    pub fn a_row_removed_by_another_instance_is_a_conflict() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        one.commit(change(shared.parcels, "a", 1, 0));
        let mut removal = change(shared.parcels, "a", 1, 1);
        removal.rows[0].data = None;
        one.commit(removal.clone());
        other.conflict(change(shared.parcels, "a", 1, 1));
        other.conflict(removal);
        assert_eq!(shared.version("a"), 0);
    }

    /// Neither the rows before the conflicting one nor those after it; and its number is still to be used.
    pub fn a_conflict_changes_nothing_at_all() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        one.commit(change(shared.parcels, "b", 1, 0));
        let counter = Counter { name: "state".into(), value: "new".into() };
        let mut commit = change(shared.parcels, "a", 2, 0);
        commit.rows.push(parcel(shared.parcels, "b", 1, 7));
        commit.rows.push(parcel(shared.parcels, "c", 3, 0));
        commit.counters = vec![CounterDelta { table: shared.lines, counter, delta: 5 }];
        commit.log = vec![record(1, "Taken", "a")];
        commit.positions = vec![moved("f", None, 3)];
        commit.timers = vec![TimerWrite::Set(timer(shared.parcels, "a", "reminder", 5))];
        commit.effects = vec![other.effect(1, shared.parcels, "a")];
        commit.parked = vec![ParkedWrite::Put(parked("f", "a", 1))];
        commit.answers = answered("k", "one", NEVER_MS).answers;
        other.conflict(commit.clone());
        let reader = shared.reader();
        assert_eq!(["a", "b", "c"].map(|key| shared.version(key)), [0, 1, 0]);
        assert_eq!(reader.counters(shared.lines, "state").expect("counters are read"), []);
        assert_eq!(reader.positions().expect("positions are read"), []);
        assert_eq!(reader.all_parked(false, 10).expect("parked are read"), []);
        let store = other.store();
        assert_eq!(store.log_after(0, 10).expect("the log is read"), []);
        assert_eq!(store.next_timer().expect("timers are read"), None);
        assert_eq!(store.effects_after(0, 10).expect("effects are read"), []);
        assert_eq!(store.answer("scope", "k").expect("answers are read"), None);
        assert_eq!(store.last_commit().expect("it knows its commits"), 0);
        commit.rows[1] = parcel(shared.parcels, "b", 1, 1);
        other.commit(commit);
        assert_eq!(["a", "b", "c"].map(|key| shared.version(key)), [1, 2, 1]);
    }

    /// Each adds what it has counted; that is no conflict.
    pub fn counters_add_up() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        let add = |delta| {
            let counter = Counter { name: "state".into(), value: "new".into() };
            Commit { counters: vec![CounterDelta { table: shared.lines, counter, delta }], ..Commit::default() }
        };
        one.commit(add(5));
        other.commit(add(4));
        one.commit(add(-2));
        assert_eq!(shared.reader().counters(shared.lines, "state").expect("counters are read"), [("new".to_owned(), 7)]);
    }

    /// Also where one of them has never been, or believes that it has.
    pub fn a_position_moved_by_another_instance_is_a_conflict() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        other.conflict(to(moved("f", Some(0), 3)));
        one.commit(to(moved("f", None, 3)));
        other.conflict(to(moved("f", None, 3)));
        other.commit(to(moved("f", Some(3), 5)));
        one.conflict(to(moved("f", Some(3), 4)));
        one.conflict(to(moved("f", Some(3), 5)));
        let consumer_offset = one.store().consumer_offset("f", &own()).expect("positions are read").expect("there is an offset");
        assert_eq!(consumer_offset.position, 5);
        one.commit(to(moved("g", None, 1)));
        one.commit(to(moved("f", Some(5), 9)));
    }

    /// Both have read the same record.
    pub fn an_event_parked_by_another_instance_is_a_conflict() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
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

    /// The number of attempts is the row's version.
    pub fn a_parked_event_tried_by_another_instance_is_a_conflict() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
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
    pub fn a_parked_event_released_by_another_instance_is_a_conflict() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        one.commit(park(parked("f", "a", 1)));
        one.commit(park(parked("f", "a", 2)));
        one.commit(release("a", 1));
        other.conflict(release("a", 1));
        other.conflict(park(ParkedRow { attempts: 2, ..parked("f", "a", 1) }));
        other.commit(release("a", 2));
        assert_eq!(one.store().parked_heads("f", 0).expect("parked are read"), []);
    }

    /// It must be due when it was due.
    pub fn a_timer_fired_or_moved_by_another_instance_is_a_conflict() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        let table = shared.parcels;
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

    /// Clearing names no due time, so that it cannot be outdated.
    pub fn a_timer_moved_by_another_instance_may_be_cleared() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        one.commit(set(timer(shared.parcels, "a", "reminder", 1000)));
        other.commit(clear(shared.parcels, None));
        one.commit(clear(shared.parcels, None));
        assert_eq!(one.store().next_timer().expect("timers are read"), None);
    }

    /// The second finds the first answer, and gives that.
    pub fn a_key_answered_by_another_instance_is_a_conflict() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        one.commit(answered("k", "one", NEVER_MS));
        other.conflict(answered("k", "other", NEVER_MS));
        let there = other.store().answer("scope", "k").expect("answers are read").expect("the key is answered");
        assert_eq!(there.answer, b"one");
        other.commit(answered("l", "other", NEVER_MS));
    }

    /// As if the key were new.
    pub fn a_key_whose_answer_has_expired_is_answered_anew() {
        let shared = SharedStore::<H>::new();
        let [mut one, mut other] = [shared.join(), shared.join()];
        one.commit(answered("k", "one", 1));
        other.commit(answered("k", "other", NEVER_MS));
        let there = one.store().answer("scope", "k").expect("answers are read").expect("the key is answered");
        assert_eq!(there.answer, b"other");
    }

    /// Each change is based on the one before: none is lost.
    pub fn of_concurrent_commits_one_succeeds() {
        const SESSIONS: u64 = 4;
        const CHANGES: u64 = 25;
        let shared = SharedStore::<H>::new();
        let table = shared.parcels;
        let sessions: Vec<Session> = (0..SESSIONS).map(|_| shared.join()).collect();
        std::thread::scope(|scope| {
            for mut session in sessions {
                scope.spawn(move || {
                    let mut done = 0;
                    while done < CHANGES {
                        let rows = ["a", "b"].map(|key| (key, session.version(table, key)));
                        let rows = (1..).zip(rows).map(|(id, (key, from))| parcel(table, key, id, from)).collect();
                        match session.attempt(Commit { rows, ..Commit::default() }) {
                            Ok(()) => done += 1,
                            Err(CommitError::Conflict(_)) => std::thread::yield_now(),
                            Err(error) => panic!("neither applied nor a conflict: {error}"),
                        }
                    }
                });
            }
        });
        assert_eq!((shared.version("a"), shared.version("b")), (SESSIONS * CHANGES, SESSIONS * CHANGES));
    }
}
