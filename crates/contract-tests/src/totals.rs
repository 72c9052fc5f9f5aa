//! Counters and totals: exact where a counter exists, and honest about the limit where none does.

use kernel::IndexValue;
use macro_rules_attribute::apply;
use ports::model::Counter;
use ports::query::COUNT_LIMIT;
use ports::{Commit, Condition, CounterDelta, Query, Total};

use crate::StoreHarness;
use crate::sample::{Line, field, lines};
use crate::session::StoreSession;

fn counters<H: StoreHarness>(session: &StoreSession<H>, name: &str) -> Vec<(String, u64)> {
    session.reader().counters(session.lines, name).expect("counters are read")
}

fn counted(counters: &[(&str, u64)]) -> Vec<(String, u64)> {
    counters.iter().map(|(value, rows)| ((*value).to_owned(), *rows)).collect()
}

fn total<H: StoreHarness>(session: &StoreSession<H>, conditions: &[(usize, Condition)]) -> Total {
    let query = Query { conditions: conditions.to_vec(), ..Query::first(1) };
    session.reader().total(session.lines, &query).expect("a total is read")
}

fn is(field: usize, text: &str) -> (usize, Condition) {
    (field, Condition::Is(IndexValue::from(text)))
}

/// Counts as if there were more rows than a test wants to write.
fn pretend<H: StoreHarness>(session: &mut StoreSession<H>, name: &str, value: &str, delta: i64) {
    let counter = Counter { name: name.into(), value: value.into() };
    let counters = vec![CounterDelta { table: session.lines, counter, delta }];
    session.commit(Commit { counters, ..Commit::default() });
}

/// So many rows of one owner, and one of another.
fn shared<H: StoreHarness>(rows: u64) -> StoreSession<H> {
    let lines = (1..=rows).map(|id| Line::new(&format!("{id:06}"), id).of("everybody").at(1000));
    StoreSession::<H>::with(&lines.chain([Line::new("last", rows + 1).of("nobody")]).collect::<Vec<_>>())
}

/// Counters and totals.
#[apply(checks!)]
impl<H: StoreHarness> TotalChecks<H> {
    /// One more, one other, one less.
    pub fn counters_follow_inserts_changes_and_removals() {
        let (first, second) = (Line::new("first", 1), Line::new("second", 2).is("new", "letter"));
        let mut session = StoreSession::<H>::with(&[first.clone(), second.clone()]);
        assert_eq!(counters(&session, ""), counted(&[("", 2)]));
        assert_eq!(counters(&session, "state"), counted(&[("new", 2)]));
        assert_eq!(counters(&session, "state*kind"), counted(&[("new\u{1f}box", 1), ("new\u{1f}letter", 1)]));
        session.commit(session.change((&first, 1), &first.clone().is("sent", "box")));
        assert_eq!(counters(&session, ""), counted(&[("", 2)]));
        assert_eq!(counters(&session, "state"), counted(&[("new", 1), ("sent", 1)]));
        assert_eq!(counters(&session, "kind"), counted(&[("box", 1), ("letter", 1)]));
        assert_eq!(counters(&session, "state*kind"), counted(&[("new\u{1f}letter", 1), ("sent\u{1f}box", 1)]));
        session.commit(session.remove((&second, 1)));
        session.reopen();
        assert_eq!(counters(&session, ""), counted(&[("", 1)]));
        assert_eq!(counters(&session, "state"), counted(&[("sent", 1)]));
        assert_eq!(counters(&session, "state*kind"), counted(&[("sent\u{1f}box", 1)]));
    }

    /// By their bytes.
    pub fn counters_come_in_order_of_value() {
        let states = ["b", "é", "", "B", "a"];
        let lines: Vec<_> = (1..).zip(states).map(|(id, state)| Line::new(&format!("k{id}"), id).is(state, "box")).collect();
        let session = StoreSession::<H>::with(&lines);
        assert_eq!(counters(&session, "state"), counted(&[("", 1), ("B", 1), ("a", 1), ("b", 1), ("é", 1)]));
    }

    /// A value that no row has is not shown.
    pub fn a_counter_without_rows_is_not_there() {
        let line = Line::new("first", 1);
        let mut session = StoreSession::<H>::with(std::slice::from_ref(&line));
        session.commit(session.remove((&line, 1)));
        assert_eq!(
            (counters(&session, ""), counters(&session, "state"), counters(&session, "state*kind")),
            (vec![], vec![], vec![])
        );
        session.commit(session.put(session.lines, std::slice::from_ref(&line)));
        assert_eq!(counters(&session, "state"), counted(&[("new", 1)]));
    }

    /// However many there are.
    pub fn all_rows_are_counted_by_their_counter() {
        let mut session = StoreSession::<H>::with(&lines(5));
        assert_eq!(total(&session, &[]), Total { rows: 5, exact: true });
        pretend(&mut session, "", "", 20_000);
        assert_eq!(total(&session, &[]), Total { rows: 20_005, exact: true });
    }

    /// However many there are.
    pub fn one_counted_field_is_counted_by_its_counter() {
        let mut session = StoreSession::<H>::with(&[Line::new("first", 1), Line::new("second", 2).is("sent", "letter")]);
        pretend(&mut session, "state", "sent", 20_000);
        assert_eq!(total(&session, &[is(field::STATE, "sent")]), Total { rows: 20_001, exact: true });
        assert_eq!(total(&session, &[is(field::STATE, "new")]), Total { rows: 1, exact: true });
    }

    /// The pair has one counter, whichever field is named first.
    pub fn a_crossed_pair_is_counted_by_its_counter_in_either_order() {
        let mut session = StoreSession::<H>::with(&[Line::new("first", 1), Line::new("second", 2).is("sent", "letter")]);
        pretend(&mut session, "state*kind", "sent\u{1f}letter", 20_000);
        let (state, kind) = (is(field::STATE, "sent"), is(field::KIND, "letter"));
        assert_eq!(total(&session, &[state.clone(), kind.clone()]), Total { rows: 20_001, exact: true });
        assert_eq!(total(&session, &[kind, state.clone()]), Total { rows: 20_001, exact: true });
        assert_eq!(total(&session, &[state, is(field::KIND, "box")]), Total { rows: 0, exact: true });
    }

    /// The limit itself is still exact.
    pub fn a_filter_without_counter_is_counted_exactly_up_to_the_limit() {
        let session = shared::<H>(COUNT_LIMIT);
        let everybody = is(field::OWNER, "everybody");
        assert_eq!(total(&session, std::slice::from_ref(&everybody)), Total { rows: COUNT_LIMIT, exact: true });
        assert_eq!(total(&session, &[is(field::OWNER, "nobody")]), Total { rows: 1, exact: true });
        let period = (field::AT, Condition::Within(Some(1000), Some(1001)));
        assert_eq!(total(&session, &[everybody, period, is(field::STATE, "new")]), Total { rows: COUNT_LIMIT, exact: true });
    }

    /// One more than the limit is "more than the limit".
    pub fn a_total_beyond_the_limit_says_so() {
        let session = shared::<H>(COUNT_LIMIT + 1);
        let bounded = Total { rows: COUNT_LIMIT, exact: false };
        assert_eq!(total(&session, &[is(field::OWNER, "everybody")]), bounded);
        assert_eq!(total(&session, &[(field::AT, Condition::Within(Some(0), None))]), bounded);
        assert_eq!(total(&session, &[is(field::STATE, "new"), is(field::OWNER, "everybody")]), bounded);
        assert_eq!(total(&session, &[is(field::STATE, "new")]), Total { rows: COUNT_LIMIT + 2, exact: true });
    }

    /// With a counter, and without.
    pub fn a_total_of_nothing_is_exact() {
        let session = StoreSession::<H>::new();
        for conditions in [vec![], vec![is(field::STATE, "new")], vec![is(field::OWNER, "me")]] {
            assert_eq!(total(&session, &conditions), Total { rows: 0, exact: true });
        }
    }

    /// Only what is on a page is in its total.
    pub fn unlisted_rows_are_not_counted() {
        let hidden = Line::new("hidden", 2).of("me").at(5).unlisted();
        let mut session = StoreSession::<H>::with(&[Line::new("first", 1).of("me").at(5), hidden.clone()]);
        let totals = |session: &StoreSession<H>| {
            let owner = total(session, &[is(field::OWNER, "me")]).rows;
            (owner, total(session, &[]).rows, total(session, &[is(field::STATE, "new")]).rows)
        };
        assert_eq!(totals(&session), (1, 1, 1));
        session.commit(session.change((&hidden, 1), &Line { id: Some(2), ..hidden.clone() }));
        assert_eq!(totals(&session), (2, 2, 2));
    }
}
