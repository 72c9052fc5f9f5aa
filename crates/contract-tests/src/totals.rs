//! Counters and totals: exact where somebody counts along, honest where nobody does.

use kernel::IndexValue;
use ports::model::Counter;
use ports::query::COUNT_LIMIT;
use ports::{Commit, Condition, CounterDelta, Query, Total};

use crate::StoreFixture;
use crate::desk::Desk;
use crate::sample::{Line, field, lines};

fn counters<F: StoreFixture>(desk: &Desk<F>, name: &str) -> Vec<(String, u64)> {
    desk.reader().counters(desk.lines, name).expect("counters are read")
}

fn counted(counters: &[(&str, u64)]) -> Vec<(String, u64)> {
    counters.iter().map(|(value, rows)| ((*value).to_owned(), *rows)).collect()
}

fn total<F: StoreFixture>(desk: &Desk<F>, conditions: &[(usize, Condition)]) -> Total {
    let query = Query { conditions: conditions.to_vec(), ..Query::first(1) };
    desk.reader().total(desk.lines, &query).expect("a total is read")
}

fn is(field: usize, text: &str) -> (usize, Condition) {
    (field, Condition::Is(IndexValue::from(text)))
}

/// Counts as if there were more rows than anybody wants to write in a test.
fn pretend<F: StoreFixture>(desk: &mut Desk<F>, name: &str, value: &str, delta: i64) {
    let counter = Counter { name: name.into(), value: value.into() };
    let counters = vec![CounterDelta { table: desk.lines, counter, delta }];
    desk.commit(Commit { counters, ..Commit::default() });
}

/// One more, one other, one less.
pub fn counters_follow_inserts_changes_and_removals<F: StoreFixture>() {
    let (first, second) = (Line::new("first", 1), Line::new("second", 2).is("new", "letter"));
    let mut desk = Desk::<F>::with(&[first.clone(), second.clone()]);
    assert_eq!(counters(&desk, ""), counted(&[("", 2)]));
    assert_eq!(counters(&desk, "state"), counted(&[("new", 2)]));
    assert_eq!(counters(&desk, "state*kind"), counted(&[("new\u{1f}box", 1), ("new\u{1f}letter", 1)]));
    desk.commit(desk.change((&first, 1), &first.clone().is("sent", "box")));
    assert_eq!(counters(&desk, ""), counted(&[("", 2)]));
    assert_eq!(counters(&desk, "state"), counted(&[("new", 1), ("sent", 1)]));
    assert_eq!(counters(&desk, "kind"), counted(&[("box", 1), ("letter", 1)]));
    assert_eq!(counters(&desk, "state*kind"), counted(&[("new\u{1f}letter", 1), ("sent\u{1f}box", 1)]));
    desk.commit(desk.remove((&second, 1)));
    desk.reopen();
    assert_eq!(counters(&desk, ""), counted(&[("", 1)]));
    assert_eq!(counters(&desk, "state"), counted(&[("sent", 1)]));
    assert_eq!(counters(&desk, "state*kind"), counted(&[("sent\u{1f}box", 1)]));
}

/// By their bytes.
pub fn counters_come_in_order_of_value<F: StoreFixture>() {
    let states = ["b", "é", "", "B", "a"];
    let lines: Vec<_> = (1..).zip(states).map(|(id, state)| Line::new(&format!("k{id}"), id).is(state, "box")).collect();
    let desk = Desk::<F>::with(&lines);
    assert_eq!(counters(&desk, "state"), counted(&[("", 1), ("B", 1), ("a", 1), ("b", 1), ("é", 1)]));
}

/// Nobody is shown a value that no row has.
pub fn a_counter_without_rows_is_not_there<F: StoreFixture>() {
    let line = Line::new("first", 1);
    let mut desk = Desk::<F>::with(std::slice::from_ref(&line));
    desk.commit(desk.remove((&line, 1)));
    assert_eq!((counters(&desk, ""), counters(&desk, "state"), counters(&desk, "state*kind")), (vec![], vec![], vec![]));
    desk.commit(desk.put(desk.lines, std::slice::from_ref(&line)));
    assert_eq!(counters(&desk, "state"), counted(&[("new", 1)]));
}

/// However many there are.
pub fn all_rows_are_counted_by_their_counter<F: StoreFixture>() {
    let mut desk = Desk::<F>::with(&lines(5));
    assert_eq!(total(&desk, &[]), Total { rows: 5, exact: true });
    pretend(&mut desk, "", "", 20_000);
    assert_eq!(total(&desk, &[]), Total { rows: 20_005, exact: true });
}

/// However many there are.
pub fn one_counted_field_is_counted_by_its_counter<F: StoreFixture>() {
    let mut desk = Desk::<F>::with(&[Line::new("first", 1), Line::new("second", 2).is("sent", "letter")]);
    pretend(&mut desk, "state", "sent", 20_000);
    assert_eq!(total(&desk, &[is(field::STATE, "sent")]), Total { rows: 20_001, exact: true });
    assert_eq!(total(&desk, &[is(field::STATE, "new")]), Total { rows: 1, exact: true });
}

/// The pair has one counter, whichever field is named first.
pub fn a_crossed_pair_is_counted_by_its_counter_in_either_order<F: StoreFixture>() {
    let mut desk = Desk::<F>::with(&[Line::new("first", 1), Line::new("second", 2).is("sent", "letter")]);
    pretend(&mut desk, "state*kind", "sent\u{1f}letter", 20_000);
    let (state, kind) = (is(field::STATE, "sent"), is(field::KIND, "letter"));
    assert_eq!(total(&desk, &[state.clone(), kind.clone()]), Total { rows: 20_001, exact: true });
    assert_eq!(total(&desk, &[kind, state.clone()]), Total { rows: 20_001, exact: true });
    assert_eq!(total(&desk, &[state, is(field::KIND, "box")]), Total { rows: 0, exact: true });
}

/// So many rows of one owner, and one of another.
fn crowd<F: StoreFixture>(rows: u64) -> Desk<F> {
    let lines = (1..=rows).map(|id| Line::new(&format!("{id:06}"), id).of("everybody").at(1000));
    Desk::<F>::with(&lines.chain([Line::new("last", rows + 1).of("nobody")]).collect::<Vec<_>>())
}

/// The limit itself is still exact.
pub fn a_filter_without_counter_is_counted_exactly_up_to_the_limit<F: StoreFixture>() {
    let desk = crowd::<F>(COUNT_LIMIT);
    let everybody = is(field::OWNER, "everybody");
    assert_eq!(total(&desk, std::slice::from_ref(&everybody)), Total { rows: COUNT_LIMIT, exact: true });
    assert_eq!(total(&desk, &[is(field::OWNER, "nobody")]), Total { rows: 1, exact: true });
    let period = (field::AT, Condition::Within(Some(1000), Some(1001)));
    assert_eq!(total(&desk, &[everybody, period, is(field::STATE, "new")]), Total { rows: COUNT_LIMIT, exact: true });
}

/// One more than the limit is "more than the limit".
pub fn a_total_beyond_the_limit_says_so<F: StoreFixture>() {
    let desk = crowd::<F>(COUNT_LIMIT + 1);
    let bounded = Total { rows: COUNT_LIMIT, exact: false };
    assert_eq!(total(&desk, &[is(field::OWNER, "everybody")]), bounded);
    assert_eq!(total(&desk, &[(field::AT, Condition::Within(Some(0), None))]), bounded);
    assert_eq!(total(&desk, &[is(field::STATE, "new"), is(field::OWNER, "everybody")]), bounded);
    assert_eq!(total(&desk, &[is(field::STATE, "new")]), Total { rows: COUNT_LIMIT + 2, exact: true });
}

/// With a counter, and without.
pub fn a_total_of_nothing_is_exact<F: StoreFixture>() {
    let desk = Desk::<F>::new();
    for conditions in [vec![], vec![is(field::STATE, "new")], vec![is(field::OWNER, "me")]] {
        assert_eq!(total(&desk, &conditions), Total { rows: 0, exact: true });
    }
}

/// Only what is on a page is in its total.
pub fn unlisted_rows_are_not_counted<F: StoreFixture>() {
    let hidden = Line::new("hidden", 2).of("me").at(5).unlisted();
    let mut desk = Desk::<F>::with(&[Line::new("first", 1).of("me").at(5), hidden.clone()]);
    let totals = |desk: &Desk<F>| {
        let owner = total(desk, &[is(field::OWNER, "me")]).rows;
        (owner, total(desk, &[]).rows, total(desk, &[is(field::STATE, "new")]).rows)
    };
    assert_eq!(totals(&desk), (1, 1, 1));
    desk.commit(desk.change((&hidden, 1), &Line { id: Some(2), ..hidden.clone() }));
    assert_eq!(totals(&desk), (2, 2, 2));
}
