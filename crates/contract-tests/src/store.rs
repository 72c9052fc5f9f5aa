//! Commits: all or nothing, one after the other, and still there after a crash.

use macro_rules_attribute::apply;
use ports::model::Counter;
use ports::{AnswerRow, Commit, CounterDelta, LogQuery, ParkedWrite, Recovered, RowRef, TimerWrite};

use crate::StoreHarness;
use crate::rows::{change, moved, parcel, parked, record, timer};
use crate::sample::Line;
use crate::session::StoreSession;

/// A commit in which there is something of everything; its events and effects follow `seq` others.
fn full<H: StoreHarness>(session: &StoreSession<H>, key: &str, id: u64, seq: u64) -> Commit {
    let of_key = |place: u64| record(seq + place, "Taken", key);
    let mut commit = session.put(session.lines, &[Line::new(key, id).of("somebody").at(5)]);
    commit.rows.insert(0, parcel(session.parcels, key, id, 0));
    commit.log = vec![of_key(1), of_key(2)];
    commit.positions = vec![moved("sample.depot", (seq > 0).then_some(0), seq)];
    commit.timers = vec![TimerWrite::Set(timer(session.parcels, key, "reminder", 7000))];
    commit.effects = vec![session.effect(seq + 1, session.parcels, key), session.effect(seq + 2, session.parcels, key)];
    commit.parked = vec![ParkedWrite::Put(parked("sample.depot", key, seq + 1))];
    commit.answers = vec![answer(key, "created")];
    commit.last_ids = vec![(session.parcels, id)];
    commit
}

fn answer(key: &str, answer: &str) -> AnswerRow {
    let (scope, key) = ("scope".to_owned(), key.to_owned());
    AnswerRow { scope, key, fingerprint: "f".into(), expires_ms: 9000, answer: answer.as_bytes().to_vec() }
}

/// Commits and rows.
#[apply(checks!)]
impl<H: StoreHarness> StoreChecks<H> {
    /// What is committed is seen by both sides at once.
    pub fn a_commit_is_seen_whole_by_store_and_reader() {
        let mut session = StoreSession::<H>::new();
        let commit = full(&session, "first", 1, 0);
        session.commit(commit.clone());
        let wanted = RowRef { table: session.parcels, key: "first".into() };
        let stored = session.store().load(&[wanted]).expect("rows are loaded").remove(0).expect("the row is there");
        assert_eq!((stored.id, stored.version, stored.schema), (Some(1), 1, 1));
        assert_eq!(Some(&stored.data), commit.rows[0].data.as_ref());
        assert_eq!(session.reader().by_key(session.parcels, "first").expect("a row is read"), Some(stored));
        let log = session.store().log_after(0, 10).expect("the log is read");
        assert_eq!(session.unplaced(log), commit.log);
        let query = LogQuery { limit: 10, ..LogQuery::default() };
        let log = session.reader().log(&query).expect("the log is read");
        assert_eq!(session.unplaced(log), commit.log);
        assert_eq!(session.store().effects_after(0, 10).expect("effects are read"), commit.effects);
        assert_eq!(session.store().timers_due(7000, 10).expect("timers are read").len(), 1);
        assert_eq!(session.store().parked("sample.depot", 0, "first", 10).expect("parked are read").len(), 1);
        assert_eq!(session.store().answer("scope", "first").expect("answers are read"), Some(answer("first", "created")));
        assert_eq!(session.store().last_commit().expect("it knows its commits"), 1);
    }

    /// Numbers have no gaps.
    pub fn a_commit_with_a_wrong_number_is_refused() {
        let mut session = StoreSession::<H>::new();
        session.refused_as(0, Commit::default());
        session.refused_as(2, Commit::default());
        session.commit(Commit::default());
        session.refused_as(3, Commit::default());
        assert_eq!(session.store().last_commit().expect("it knows its commits"), 1);
    }

    /// Sent again after an unknown outcome, it is refused: its number is taken.
    pub fn a_commit_is_not_applied_twice() {
        let mut session = StoreSession::<H>::new();
        let commit = Commit { log: vec![record(1, "Taken", "first")], ..Commit::default() };
        session.commit(commit.clone());
        session.refused_as(1, commit);
        assert_eq!(session.store().log_after(0, 10).expect("the log is read").len(), 1);
    }

    /// It was changed by another commit.
    pub fn a_row_with_a_wrong_version_refuses_the_commit() {
        let mut session = StoreSession::<H>::new();
        let commits = [change(session.parcels, "first", 1, 0), change(session.parcels, "first", 1, 1)];
        session.commit(commits[0].clone());
        session.commit(commits[1].clone());
        session.outdated(change(session.parcels, "first", 1, 1));
        session.outdated(change(session.parcels, "first", 1, 3));
        let mut removal = change(session.parcels, "first", 1, 1);
        removal.rows[0].data = None;
        session.outdated(removal);
    }

    /// Version 0 says that none is there.
    pub fn a_new_row_where_one_is_refuses_the_commit() {
        let mut session = StoreSession::<H>::new();
        session.commit(change(session.parcels, "first", 1, 0));
        session.outdated(change(session.parcels, "first", 2, 0));
    }

    /// Another version says that one is there.
    pub fn a_change_of_a_missing_row_refuses_the_commit() {
        let mut session = StoreSession::<H>::new();
        session.outdated(change(session.parcels, "first", 1, 1));
        let mut removal = change(session.parcels, "first", 1, 1);
        removal.rows[0].data = None;
        session.outdated(removal);
    }

    /// Ids are unique within a table, against stored rows and within the commit.
    pub fn a_taken_id_refuses_the_commit() {
        let mut session = StoreSession::<H>::new();
        session.commit(change(session.parcels, "first", 1, 0));
        session.refused(change(session.parcels, "second", 1, 0));
        let rows = vec![parcel(session.parcels, "second", 2, 0), parcel(session.parcels, "third", 2, 0)];
        session.refused(Commit { rows, ..Commit::default() });
    }

    /// Each table has its own ids.
    pub fn the_same_id_in_two_tables_is_no_conflict() {
        let mut session = StoreSession::<H>::new();
        session.commit(change(session.parcels, "first", 1, 0));
        session.commit(session.put(session.lines, &[Line::new("second", 1)]));
        session.commit(session.put(session.shadow, &[Line::new("third", 1)]));
        let row = session.reader().by_id(session.lines, 1).expect("a row is read").expect("the row is there");
        assert_eq!(row.key, "second");
    }

    /// A row that is gone does not hold its id.
    pub fn a_removed_rows_id_may_be_given_again() {
        let mut session = StoreSession::<H>::new();
        session.commit(change(session.parcels, "first", 1, 0));
        let mut removal = change(session.parcels, "first", 1, 1);
        removal.rows[0].data = None;
        session.commit(removal);
        session.commit(change(session.parcels, "second", 1, 0));
        let row = session.reader().by_id(session.parcels, 1).expect("a row is read").expect("the row is there");
        assert_eq!(row.key, "second");
    }

    /// The fault is in the last row; nothing before it, after it or beside it is kept.
    pub fn a_refused_commit_changes_nothing_at_all() {
        let mut session = StoreSession::<H>::new();
        session.commit(full(&session, "first", 1, 0));
        let before = session.everything();
        let (exclusive, asked) = (session.exclusive(), session.effect(2, session.parcels, "first").number);
        let good = || {
            let mut commit = full(&session, "second", 2, 2);
            if exclusive {
                // Elsewhere no table is rebuilt from the log.
                commit.clear = vec![session.shadow];
                commit.swap = Some((session.lines, session.shadow));
            }
            commit.withdrawn = vec![RowRef { table: session.parcels, key: "first".into() }];
            commit.effects_done = vec![asked];
            let (key, name) = ("first".to_owned(), "reminder".to_owned());
            commit.timers.push(TimerWrite::Clear { table: session.parcels, key, name, fires_ms: None });
            let (subscription, key) = ("sample.depot".to_owned(), "first".to_owned());
            commit.parked.push(ParkedWrite::Remove { subscription, key, partition: 0, position: 1 });
            commit.answers.push(answer("first", "another"));
            commit
        };
        let (mut stale, mut taken, numbered) = (good(), good(), good());
        stale.rows.last_mut().expect("it has rows").old_version = 1;
        taken.rows.last_mut().expect("it has rows").id = Some(1);
        let accepted = good();
        session.outdated(stale);
        assert_eq!(session.everything(), before);
        session.refused(taken);
        assert_eq!(session.everything(), before);
        session.refused_as(7, numbered);
        assert_eq!(session.everything(), before);
        if exclusive {
            session.reopen(); // elsewhere the effects would be another instance's afterwards
            assert_eq!(session.everything(), before);
        }
        session.commit(accepted);
        assert_ne!(session.everything(), before, "without the fault it is accepted");
    }

    /// The number that was refused is still to be given.
    pub fn a_commit_may_follow_a_refused_one() {
        let mut session = StoreSession::<H>::new();
        session.outdated(change(session.parcels, "first", 1, 9));
        session.commit(change(session.parcels, "first", 1, 0));
        assert_eq!(session.store().last_commit().expect("it knows its commits"), 1);
    }

    /// Missing rows keep their place, and a row asked for twice comes twice.
    pub fn rows_are_loaded_in_the_order_asked_for() {
        let mut session = StoreSession::<H>::new();
        let rows = vec![parcel(session.parcels, "first", 1, 0), parcel(session.parcels, "second", 2, 0)];
        session.commit(Commit { rows, ..Commit::default() });
        session.commit(session.put(session.lines, &[Line::new("first", 9)]));
        let (parcels, lines) = (session.parcels, session.lines);
        let wanted = [(parcels, "second"), (lines, "first"), (parcels, "none"), (parcels, "first"), (parcels, "second")];
        let wanted = wanted.map(|(table, key)| RowRef { table, key: key.into() });
        let found = session.store().load(&wanted).expect("rows are loaded");
        let ids: Vec<_> = found.iter().map(|row| row.as_ref().and_then(|row| row.id)).collect();
        assert_eq!(ids, [Some(2), Some(9), None, Some(1), Some(2)]);
        assert!(session.store().load(&[]).expect("nothing is loaded").is_empty());
    }

    /// Keys and data may hold anything that text can hold.
    pub fn rows_are_kept_byte_by_byte() {
        let mut session = StoreSession::<H>::new();
        let keys = ["", "Robert'); DROP TABLE parcel;--", "a\u{1f}b\n\t\"%_\\", "가나다 🎈 é", "e\u{301}"];
        let mut rows: Vec<_> = (1..).zip(keys).map(|(id, key)| parcel(session.parcels, key, id, 0)).collect();
        for row in &mut rows {
            row.data = Some(format!(" {{ \"owner\" : {} }} ", serde_json::Value::from(row.key.as_str())).into_bytes());
        }
        rows.sort_by(|one, other| one.key.cmp(&other.key));
        session.commit(Commit { rows: rows.clone(), ..Commit::default() });
        session.reopen();
        for row in rows {
            let wanted = RowRef { table: row.table, key: row.key.clone() };
            let stored = session.store().load(&[wanted]).expect("rows are loaded").remove(0).expect("the row is there");
            assert_eq!((stored.key, stored.id, Some(stored.data)), (row.key, row.id, row.data));
        }
    }

    /// A batch is as large as the core makes it.
    pub fn many_rows_are_loaded_at_once() {
        let mut session = StoreSession::<H>::new();
        let rows: Vec<_> = (0..3000).map(|id| parcel(session.parcels, &format!("{id:05}"), id + 1, 0)).collect();
        let wanted: Vec<_> = rows.iter().rev().map(|row| RowRef { table: row.table, key: row.key.clone() }).collect();
        session.commit(Commit { rows, ..Commit::default() });
        let found = session.store().load(&wanted).expect("rows are loaded");
        let keys = found.into_iter().map(|row| row.expect("the row is there").key);
        assert!(keys.eq(wanted.into_iter().map(|row| row.key)));
    }
}

/// Numbers and recovery of a store that one process has for itself.
#[apply(checks!)]
impl<H: StoreHarness> ExclusiveStoreChecks<H> {
    /// Nothing in it, and yet it was.
    pub fn an_empty_commit_counts() {
        let mut session = StoreSession::<H>::new();
        session.commit(Commit::default());
        session.reopen();
        assert_eq!(session.store().last_commit().expect("it knows its commits"), 1);
    }

    /// What a first start finds.
    pub fn an_empty_store_recovers_to_nothing() {
        let mut session = StoreSession::<H>::new();
        let nothing = Recovered { last_ids: vec![0; 3], ..Recovered::default() };
        assert_eq!(session.recovered(), nothing);
        session.reopen();
        assert_eq!(session.recovered(), nothing);
        assert_eq!(session.store().next_timer().expect("timers are read"), None);
        assert_eq!(session.store().answer("scope", "first").expect("answers are read"), None);
    }

    /// All that was committed, and each thing that a core must know.
    pub fn everything_is_there_after_a_crash() {
        let mut session = StoreSession::<H>::new();
        session.commit(full(&session, "first", 1, 0));
        let mut second = full(&session, "second", 5, 2);
        second.positions.push(moved("sample.depot.lines", None, 1));
        session.commit(second);
        let counter = Counter { name: "state".into(), value: "old".into() };
        let counters = vec![CounterDelta { table: session.shadow, counter, delta: 4 }];
        session.commit(Commit { counters, last_ids: vec![(session.shadow, 8)], ..Commit::default() });
        let before = session.everything();
        session.reopen();
        assert_eq!(session.everything(), before);
        let (parcels, lines, shadow) = (session.parcels.0, session.lines.0, session.shadow.0);
        let recovered = session.recovered();
        assert_eq!((recovered.last_commit, recovered.last_seq, recovered.last_effect), (3, 4, 4));
        assert_eq!((recovered.last_ids[parcels], recovered.last_ids[lines], recovered.last_ids[shadow]), (5, 0, 8));
        let positions =
            ["sample.depot", "sample.depot.lines", "sample.nobody"].map(|subscription| session.position(subscription));
        assert_eq!(positions, [Some(2), Some(1), None]);
        assert_eq!(session.heads("sample.depot"), [parked("sample.depot", "first", 1), parked("sample.depot", "second", 3)]);
    }

    /// Numbers of effects that are done, of records that are pruned and of rows that are removed are not given again.
    pub fn a_crash_forgets_no_number_that_was_given() {
        let mut session = StoreSession::<H>::new();
        session.commit(full(&session, "first", 1, 0));
        let mut removal = change(session.parcels, "first", 1, 1);
        removal.rows[0].data = None;
        removal.effects_done = vec![1, 2];
        session.commit(removal);
        assert_eq!(session.store().prune(i64::MAX, 2, 0, 100).expect("it prunes"), 2);
        session.reopen();
        let recovered = session.recovered();
        assert_eq!((recovered.last_seq, recovered.last_effect, recovered.last_ids[session.parcels.0]), (2, 2, 1));
        assert_eq!(session.store().effects_after(0, 10).expect("effects are read"), []);
    }
}
