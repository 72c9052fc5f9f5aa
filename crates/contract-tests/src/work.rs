//! What waits: timers, effects, parked events, and answers that are remembered.

use macro_rules_attribute::apply;
use ports::model::TableId;
use ports::{
    AnswerRow, Commit, ConsumerOffset, EffectRow, OffsetUpdate, ParkedRow, ParkedWrite, Partition, RowRef, TimerRow, TimerWrite,
};

use crate::StoreHarness;
use crate::rows::{moved, own, parked, timer};
use crate::session::StoreSession;

fn set<H: StoreHarness>(session: &mut StoreSession<H>, timers: impl IntoIterator<Item = TimerRow>) {
    let timers = timers.into_iter().map(TimerWrite::Set).collect();
    session.commit(Commit { timers, ..Commit::default() });
}

fn clear(table: TableId, key: &str, name: &str) -> TimerWrite {
    TimerWrite::Clear { table, key: key.into(), name: name.into(), fires_ms: None }
}

fn due<H: StoreHarness>(session: &mut StoreSession<H>, until_ms: i64) -> Vec<TimerRow> {
    session.store().timers_due(until_ms, 100).expect("timers are read")
}

fn next<H: StoreHarness>(session: &mut StoreSession<H>) -> Option<i64> {
    session.store().next_timer().expect("timers are read")
}

fn park<H: StoreHarness>(session: &mut StoreSession<H>, rows: impl IntoIterator<Item = ParkedRow>) {
    let parked = rows.into_iter().map(ParkedWrite::Put).collect();
    session.commit(Commit { parked, ..Commit::default() });
}

fn release<H: StoreHarness>(session: &mut StoreSession<H>, subscription: &str, key: &str, place: u64) {
    let (subscription, key) = (subscription.to_owned(), key.to_owned());
    session.commit(Commit {
        parked: vec![ParkedWrite::Remove { subscription, key, partition: 0, position: place }],
        ..Commit::default()
    });
}

fn remember<H: StoreHarness>(session: &mut StoreSession<H>, scope: &str, key: &str, answer: &str) -> AnswerRow {
    let (scope, key, fingerprint) = (scope.to_owned(), key.to_owned(), format!("of {answer}"));
    let row = AnswerRow { scope, key, fingerprint, expires_ms: 9000, answer: answer.as_bytes().to_vec() };
    session.commit(Commit { answers: vec![row.clone()], ..Commit::default() });
    row
}

/// Timers, effects, parked events, offsets and remembered answers.
#[apply(checks!)]
impl<H: StoreHarness> WorkChecks<H> {
    /// Due is at or before the instant; the limit cuts off the latest.
    pub fn timers_come_earliest_first_and_only_when_due() {
        let mut session = StoreSession::<H>::new();
        let [late, early, past, middle] = [("a", 3000), ("b", 1000), ("c", -5), ("d", 2000)]
            .map(|(key, due_ms)| timer(session.parcels, key, "reminder", due_ms));
        set(&mut session, [late.clone(), early.clone(), past.clone(), middle.clone()]);
        assert_eq!(due(&mut session, 1999), [past.clone(), early.clone()]);
        assert_eq!(due(&mut session, 2000), [past.clone(), early.clone(), middle.clone()]);
        assert_eq!(due(&mut session, i64::MAX), [past.clone(), early.clone(), middle, late]);
        assert_eq!(session.store().timers_due(i64::MAX, 2).expect("timers are read"), [past, early]);
        assert_eq!(due(&mut session, -6), []);
    }

    /// Later, earlier, with another command: there is only the last.
    pub fn a_timer_set_again_is_moved() {
        let mut session = StoreSession::<H>::new();
        let at = |table, due_ms| timer(table, "first", "reminder", due_ms);
        for due_ms in [2000, 5000, 1000] {
            let moved = at(session.parcels, due_ms);
            set(&mut session, [moved.clone()]);
            assert_eq!(due(&mut session, i64::MAX), [moved]);
            assert_eq!(next(&mut session), Some(due_ms));
        }
    }

    /// By table, key and name together; one that is not set is due at no time.
    pub fn one_timer_is_due_when_it_was_set_last() {
        let mut session = StoreSession::<H>::new();
        let (parcels, lines) = (session.parcels, session.lines);
        let reminder = |due_ms| timer(parcels, "first", "reminder", due_ms);
        set(&mut session, [reminder(1000), reminder(i64::MAX)]);
        let mut due_of = |table, key, name| session.store().timer_due(table, key, name).expect("a timer is read");
        assert_eq!(due_of(parcels, "first", "reminder"), Some(i64::MAX));
        assert_eq!(due_of(lines, "first", "reminder"), None);
        assert_eq!(due_of(parcels, "second", "reminder"), None);
        assert_eq!(due_of(parcels, "first", "another"), None);
    }

    /// The same name in another aggregate, or in another table, is another timer.
    pub fn timers_of_one_name_belong_to_their_aggregates() {
        let mut session = StoreSession::<H>::new();
        let (parcels, lines) = (session.parcels, session.lines);
        let rows = [(parcels, "a", "x", 1), (parcels, "b", "x", 2), (lines, "a", "x", 3), (parcels, "a", "y", 4)];
        set(&mut session, rows.map(|(table, key, name, due_ms)| timer(table, key, name, due_ms)));
        session.commit(Commit { timers: vec![clear(parcels, "a", "x")], ..Commit::default() });
        session.reopen();
        let left: Vec<_> =
            due(&mut session, i64::MAX).into_iter().map(|row| (row.table, row.key, row.name, row.due_ms)).collect();
        let expected = [(parcels, "b", "x", 2), (lines, "a", "x", 3), (parcels, "a", "y", 4)];
        assert_eq!(left, expected.map(|(table, key, name, due_ms)| (table, key.into(), name.into(), due_ms)));
    }

    /// A timer may have fired before it is cleared.
    pub fn a_cleared_timer_is_gone_and_clearing_none_is_nothing() {
        let mut session = StoreSession::<H>::new();
        let row = timer(session.parcels, "first", "reminder", 1000);
        set(&mut session, [row]);
        let timers = vec![clear(session.parcels, "first", "reminder")];
        session.commit(Commit { timers: timers.clone(), ..Commit::default() });
        assert_eq!((due(&mut session, i64::MAX), next(&mut session)), (vec![], None));
        session.commit(Commit { timers, ..Commit::default() });
    }

    /// Set and cleared is cleared; cleared and set is set.
    pub fn timer_changes_of_one_commit_happen_in_order() {
        let mut session = StoreSession::<H>::new();
        let of = |key| timer(session.parcels, key, "reminder", 1000);
        let timers = vec![
            TimerWrite::Set(of("gone")),
            TimerWrite::Set(timer(session.parcels, "there", "reminder", 500)),
            clear(session.parcels, "gone", "reminder"),
            clear(session.parcels, "there", "reminder"),
            TimerWrite::Set(of("there")),
        ];
        let there = of("there");
        session.commit(Commit { timers, ..Commit::default() });
        assert_eq!(due(&mut session, i64::MAX), [there]);
    }

    /// Also after it is gone.
    pub fn the_next_timer_is_the_earliest() {
        let mut session = StoreSession::<H>::new();
        let table = session.parcels;
        set(&mut session, [timer(table, "a", "x", 3000), timer(table, "b", "x", 2000)]);
        assert_eq!(next(&mut session), Some(2000));
        session.commit(Commit { timers: vec![clear(table, "b", "x")], ..Commit::default() });
        assert_eq!(next(&mut session), Some(3000));
        session.reopen();
        assert_eq!(next(&mut session), Some(3000));
    }

    /// After a number, at most so many, without those that have ended.
    pub fn effects_come_in_order_until_they_are_done() {
        let mut session = StoreSession::<H>::new();
        let rows: Vec<_> = (1..=4).map(|number| session.effect(number, session.parcels, "first")).collect();
        session.commit(Commit { effects: rows.clone(), ..Commit::default() });
        assert_eq!(session.effects(), rows);
        assert_eq!(session.store().effects_after(rows[0].number, 2).expect("effects are read"), rows[1..3]);
        session.commit(Commit { effects_done: vec![rows[0].number, rows[2].number], ..Commit::default() });
        session.reopen();
        assert_eq!(session.effects(), [rows[1].clone(), rows[3].clone()]);
        assert_eq!(session.store().effects_after(rows[3].number, 10).expect("effects are read"), []);
    }

    /// Another key, and the same key in another table, are other targets.
    pub fn a_withdrawal_flags_earlier_effects_of_its_target_only() {
        let mut session = StoreSession::<H>::new();
        let (parcels, lines) = (session.parcels, session.lines);
        let targets = [(parcels, "a"), (parcels, "b"), (lines, "a"), (parcels, "a")];
        let rows: Vec<_> = (1..).zip(targets).map(|(number, (table, key))| session.effect(number, table, key)).collect();
        session.commit(Commit { effects: rows.clone(), ..Commit::default() });
        let withdrawn = vec![RowRef { table: parcels, key: "a".into() }];
        session.commit(Commit { withdrawn, ..Commit::default() });
        session.reopen();
        let expected = rows.into_iter().map(|row| EffectRow { withdrawn: (row.table, &*row.key) == (parcels, "a"), ..row });
        assert_eq!(session.effects(), expected.collect::<Vec<_>>());
    }

    /// "Stop what I asked for, and do this instead" is one decision.
    pub fn an_effect_asked_for_beside_a_withdrawal_carries_its_own_flag() {
        let mut session = StoreSession::<H>::new();
        let old = session.effect(1, session.parcels, "a");
        session.commit(Commit { effects: vec![old.clone()], ..Commit::default() });
        let instead = session.effect(2, session.parcels, "a");
        let never = EffectRow { withdrawn: true, ..session.effect(3, session.parcels, "a") };
        let withdrawn = vec![RowRef { table: session.parcels, key: "a".into() }];
        session.commit(Commit { withdrawn, effects: vec![instead.clone(), never.clone()], ..Commit::default() });
        assert_eq!(session.effects(), [EffectRow { withdrawn: true, ..old }, instead, never]);
    }

    /// Each must still be answered.
    pub fn withdrawn_effects_stay_until_they_are_done() {
        let mut session = StoreSession::<H>::new();
        let row = session.effect(1, session.parcels, "a");
        session.commit(Commit { effects: vec![row.clone()], ..Commit::default() });
        let withdrawn = vec![RowRef { table: session.parcels, key: "a".into() }];
        session.commit(Commit { withdrawn, ..Commit::default() });
        assert_eq!(session.effects().len(), 1);
        session.commit(Commit { effects_done: vec![row.number], ..Commit::default() });
        assert_eq!(session.effects(), []);
    }

    /// Of one subscription and key, at most `limit`.
    pub fn parked_events_come_in_order_of_position() {
        let mut session = StoreSession::<H>::new();
        let rows = [("f", "a", 3), ("f", "a", 1), ("f", "b", 2), ("g", "a", 4), ("f", "a", 12)];
        park(&mut session, rows.map(|(subscription, key, place)| parked(subscription, key, place)));
        let found = session.store().parked("f", 0, "a", 10).expect("parked are read");
        assert_eq!(found, [1, 3, 12].map(|place| parked("f", "a", place)));
        assert_eq!(session.store().parked("f", 0, "a", 2).expect("parked are read").len(), 2);
        assert_eq!(session.store().parked("g", 0, "b", 2).expect("parked are read"), []);
    }

    /// One head for each subscription and key, whatever is parked behind it.
    pub fn the_head_of_each_parked_key_is_recovered() {
        let mut session = StoreSession::<H>::new();
        let rows = [("f", "a", 3), ("f", "b", 2), ("f", "a", 5), ("g", "a", 1), ("g", "a", 10)];
        park(&mut session, rows.map(|(subscription, key, place)| parked(subscription, key, place)));
        session.reopen();
        assert_eq!(session.heads("f"), [parked("f", "a", 3), parked("f", "b", 2)]);
        assert_eq!(session.heads("g"), [parked("g", "a", 1)]);
        assert_eq!(session.heads("h"), []);
    }

    /// And after the last of them the key is no longer parked.
    pub fn the_next_parked_event_becomes_the_head() {
        let mut session = StoreSession::<H>::new();
        park(&mut session, [parked("f", "a", 1), parked("f", "a", 2)]);
        release(&mut session, "f", "a", 1);
        session.reopen();
        assert_eq!(session.heads("f"), [parked("f", "a", 2)]);
        release(&mut session, "f", "a", 2);
        assert_eq!(session.heads("f"), []);
        assert_eq!(session.store().parked("f", 0, "a", 10).expect("parked are read"), []);
    }

    /// One attempt more, and at last a dead letter.
    pub fn a_parked_event_put_again_is_changed() {
        let mut session = StoreSession::<H>::new();
        park(&mut session, [parked("f", "a", 1)]);
        let dead = ParkedRow { attempts: 2, dead: true, next_try_ms: 0, cause: "it never will".into(), ..parked("f", "a", 1) };
        park(&mut session, [dead.clone()]);
        session.reopen();
        assert_eq!(session.store().parked("f", 0, "a", 10).expect("parked are read"), std::slice::from_ref(&dead));
        assert_eq!(session.heads("f"), [dead]);
    }

    /// The same key in two partitions is two queues, each with a head of its own.
    pub fn parked_events_belong_to_their_partitions() {
        let mut session = StoreSession::<H>::new();
        let of = |partition, place| ParkedRow { partition, ..parked("f", "a", place) };
        park(&mut session, [of(1, 4), of(0, 4), of(1, 2), of(7, 1)]);
        session.reopen();
        let store = session.store();
        assert_eq!(store.parked("f", 1, "a", 10).expect("parked are read"), [of(1, 2), of(1, 4)]);
        let heads = [0, 1, 2, 7].map(|partition| store.parked_heads("f", partition).expect("parked are read"));
        assert_eq!(heads, [vec![of(0, 4)], vec![of(1, 2)], vec![], vec![of(7, 1)]]);
        release(&mut session, "f", "a", 4);
        let store = session.store();
        assert_eq!(store.parked("f", 0, "a", 10).expect("parked are read"), []);
        assert_eq!(store.parked("f", 1, "a", 10).expect("parked are read"), [of(1, 2), of(1, 4)], "the other's is not released");
    }

    /// In each partition of each topic by itself; nowhere as long as it has not been there.
    pub fn a_subscription_has_an_offset_of_its_own_in_each_partition() {
        let mut session = StoreSession::<H>::new();
        let of = |topic: &str, number| Partition { topic: topic.into(), number };
        let places = [(own(), 7), (of("sample-events", 1), 0), (of("other-events", 1), 12)];
        let to = |(partition, to): (Partition, u64)| OffsetUpdate { partition, ..moved("f", None, to) };
        session.commit(Commit { positions: places.clone().map(to).to_vec(), ..Commit::default() });
        session.reopen();
        for (partition, position) in places {
            let consumer_offset = session.store().consumer_offset("f", &partition).expect("positions are read");
            assert_eq!(consumer_offset, Some(ConsumerOffset { position, numbers: vec![] }), "{partition}");
        }
        for (subscription, partition) in [("f", of("other-events", 0)), ("f", of("sample-events", 2)), ("g", own())] {
            assert_eq!(session.store().consumer_offset(subscription, &partition).expect("positions are read"), None);
        }
    }

    /// What a move does not name stays; the same outbox in another partition is counted by itself.
    pub fn the_last_number_of_each_outbox_is_kept_beside_the_offset() {
        let mut session = StoreSession::<H>::new();
        let numbers = |of: &[(&str, u64)]| of.iter().map(|(outbox, number)| ((*outbox).to_owned(), *number)).collect::<Vec<_>>();
        let other = Partition { number: 1, ..own() };
        let first = OffsetUpdate { numbers: numbers(&[("a", 5), ("b", 9)]), ..moved("f", None, 3) };
        let beside = OffsetUpdate { numbers: numbers(&[("a", 2)]), partition: other.clone(), ..moved("f", None, 1) };
        session.commit(Commit { positions: vec![first, beside], ..Commit::default() });
        let second = OffsetUpdate { numbers: numbers(&[("c", 1), ("a", 6)]), ..moved("f", Some(3), 8) };
        session.commit(Commit { positions: vec![second], ..Commit::default() });
        session.commit(Commit { positions: vec![moved("f", Some(8), 9)], ..Commit::default() });
        session.reopen();
        let mut there = session.store().consumer_offset("f", &own()).expect("positions are read").expect("there is an offset");
        there.numbers.sort();
        assert_eq!(there, ConsumerOffset { position: 9, numbers: numbers(&[("a", 6), ("b", 9), ("c", 1)]) });
        let there = session.store().consumer_offset("f", &other).expect("positions are read");
        assert_eq!(there, Some(ConsumerOffset { position: 1, numbers: numbers(&[("a", 2)]) }));
    }

    /// All of them, or the dead ones.
    pub fn all_parked_events_come_oldest_first() {
        let mut session = StoreSession::<H>::new();
        let dead = |row| ParkedRow { dead: true, ..row };
        let rows = [parked("f", "z", 2), dead(parked("g", "a", 1)), parked("f", "a", 4), dead(parked("f", "b", 3))];
        park(&mut session, rows.clone());
        let [second, first, fourth, third] = rows;
        let read = |dead_only, limit| session.reader().all_parked(dead_only, limit).expect("parked are read");
        assert_eq!(read(false, 10), [first.clone(), second.clone(), third.clone(), fourth]);
        assert_eq!(read(true, 10), [first.clone(), third]);
        assert_eq!(read(false, 2), [first, second]);
    }

    /// Keys of different scopes do not meet.
    pub fn an_answer_is_remembered_by_scope_and_key() {
        let mut session = StoreSession::<H>::new();
        let rows = [("post a", "k", "one"), ("post b", "k", "two"), ("post a", "l", "three")]
            .map(|(scope, key, answer)| remember(&mut session, scope, key, answer));
        session.reopen();
        for row in rows {
            assert_eq!(session.store().answer(&row.scope, &row.key).expect("answers are read"), Some(row));
        }
        assert_eq!(session.store().answer("post b", "l").expect("answers are read"), None);
        let wanted = [("post b", "l"), ("post b", "k"), ("post a", "k"), ("post b", "k")];
        let wanted = wanted.map(|(scope, key)| (scope.to_owned(), key.to_owned()));
        let found = session.store().answers(&wanted).expect("answers are read");
        let found = found.into_iter().map(|row| row.map(|row| (row.scope, row.key))).collect::<Vec<_>>();
        assert_eq!(found[0], None);
        assert_eq!(found[1..], wanted[1..].iter().cloned().map(Some).collect::<Vec<_>>());
    }

    /// An expired one that is not pruned yet does not prevent it.
    pub fn an_answer_given_again_replaces_the_first() {
        let mut session = StoreSession::<H>::new();
        remember(&mut session, "post", "k", "one");
        let second = remember(&mut session, "post", "k", "two");
        assert_eq!(session.store().answer("post", "k").expect("answers are read"), Some(second));
    }
}
