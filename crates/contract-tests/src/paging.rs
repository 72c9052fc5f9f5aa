//! Pages: every row once, in the order asked for, whichever way one turns them.

use kernel::IndexValue;
use macro_rules_attribute::apply;
use ports::{Condition, Cursor, Query, Sort, Start};

use crate::StoreHarness;
use crate::rows::lines_of;
use crate::sample::{Line, field, lines};
use crate::session::StoreSession;

/// The rows that a query must give, in order: the contract once more, as short as it can be said.
fn expected<H: StoreHarness>(session: &StoreSession<H>, lines: &[Line], query: &Query) -> Vec<Line> {
    let place = |line: &Line| {
        let value = query.sort.field.map_or(IndexValue::Null, |field| session.index(line)[field].clone());
        (value, line.id)
    };
    let holds = |line: &&Line| {
        query.conditions.iter().all(|(field, condition)| match (&session.index(line)[*field], condition) {
            (value, Condition::Is(wanted)) => value == wanted,
            (IndexValue::Int(at), Condition::Within(from, until)) => {
                *at >= from.unwrap_or(i64::MIN) && *at < until.unwrap_or(i64::MAX)
            }
            _ => false,
        })
    };
    let mut found: Vec<_> = lines.iter().filter(|line| line.id.is_some()).filter(holds).cloned().collect();
    found.sort_by_key(place);
    if query.sort.descending {
        found.reverse();
    }
    found
}

/// Pages of four.
fn query(conditions: &[(usize, Condition)], field: Option<usize>, descending: bool) -> Query {
    Query { conditions: conditions.to_vec(), sort: Sort { field, descending }, ..Query::first(4) }
}

/// Every order there is.
fn orders() -> Vec<(Option<usize>, bool)> {
    let fields = field::ALL.into_iter().map(Some).chain([None]);
    fields.flat_map(|field| [(field, false), (field, true)]).collect()
}

/// Every sort of condition, alone and together.
fn filters() -> Vec<Vec<(usize, Condition)>> {
    let is = |text: &str| Condition::Is(IndexValue::from(text));
    let state = (field::STATE, is("sent"));
    let owner = (field::OWNER, is("owner 1"));
    let early = (field::AT, Condition::Within(Some(2000), Some(7000)));
    let one = (field::KEY, is("line-00007"));
    vec![
        vec![],
        vec![state.clone()],
        vec![early.clone()],
        vec![owner.clone(), early.clone()],
        vec![one.clone()],
        vec![state.clone(), one],
        vec![state, early, owner],
    ]
}

/// The filters as they are, in every order, from the first page to the last.
fn turn_every_page<H: StoreHarness>(by_cursor: bool) {
    let mut lines = lines(61);
    lines.push(Line::new("hidden", 0).unlisted().is("sent", "box").of("owner 1").at(3000));
    let session = StoreSession::<H>::with(&lines);
    for conditions in filters() {
        for (field, descending) in orders() {
            let query = query(&conditions, field, descending);
            assert_eq!(session.walk(&query, by_cursor), expected(&session, &lines, &query), "{query:?}");
        }
    }
}

fn ids(lines: &[Line]) -> Vec<u64> {
    lines.iter().filter_map(|line| line.id).collect()
}

/// Pages, filters and orders.
#[apply(checks!)]
impl<H: StoreHarness> PagingChecks<H> {
    /// Page 1, page 2 …
    pub fn pages_by_number_give_every_row_once() {
        turn_every_page::<H>(false);
    }

    /// Each page behind the one before.
    pub fn pages_by_cursor_give_every_row_once() {
        turn_every_page::<H>(true);
    }

    /// As numbers, not as text.
    pub fn rows_sort_by_id_both_ways() {
        let session = StoreSession::<H>::with(&[Line::new("a", 10), Line::new("b", 9), Line::new("c", 100)]);
        assert_eq!(ids(&session.walk(&query(&[], None, false), true)), [9, 10, 100]);
        assert_eq!(ids(&session.walk(&query(&[], None, true), true)), [100, 10, 9]);
    }

    /// Rows that agree are in the order of their ids, in the same direction.
    pub fn rows_sort_by_each_field_both_ways() {
        let lines = [
            Line::new("a", 4).is("x", "m").of("u").at(30),
            Line::new("b", 3).is("y", "m").of("v").at(10),
            Line::new("c", 2).is("x", "n").of("v").at(10),
            Line::new("d", 1).is("y", "l").of("t").at(200),
        ];
        let session = StoreSession::<H>::with(&lines);
        let orders: [(usize, [u64; 4]); 4] =
            [(field::STATE, [2, 4, 1, 3]), (field::KIND, [1, 3, 4, 2]), (field::OWNER, [1, 4, 2, 3]), (field::AT, [2, 3, 4, 1])];
        for (field, mut order) in orders {
            assert_eq!(ids(&session.walk(&query(&[], Some(field), false), true)), order, "field {field}");
            order.reverse();
            assert_eq!(ids(&session.walk(&query(&[], Some(field), true), true)), order, "field {field}, largest first");
        }
    }

    /// And behind all others where the largest come first; a cursor passes over them.
    pub fn an_absent_value_comes_before_all_others() {
        let lines: Vec<_> = (1..=6).map(|id| Line::new(&format!("a{id}"), id)).collect();
        let lines: Vec<_> = lines.into_iter().map(|line| if line.id < Some(4) { line } else { line.at(-5).of("") }).collect();
        let session = StoreSession::<H>::with(&lines);
        for field in [field::AT, field::OWNER] {
            for limit in [1, 2, 3] {
                let up = Query { limit, ..query(&[], Some(field), false) };
                assert_eq!(ids(&session.walk(&up, true)), [1, 2, 3, 4, 5, 6], "field {field}, pages of {limit}");
                let down = Query { limit, ..query(&[], Some(field), true) };
                assert_eq!(ids(&session.walk(&down, true)), [6, 5, 4, 3, 2, 1], "field {field}, pages of {limit}");
            }
        }
    }

    /// No store knows a language.
    pub fn text_sorts_by_its_bytes() {
        let owners = ["", "Z", "Zz", "a", "b", "é", "가"];
        let lines: Vec<_> = (1..).zip(owners).map(|(id, owner)| Line::new(&format!("k{}", 9 - id), id).of(owner)).collect();
        let session = StoreSession::<H>::with(&lines);
        assert_eq!(ids(&session.walk(&query(&[], Some(field::OWNER), false), true)), [1, 2, 3, 4, 5, 6, 7]);
    }

    /// Exactly, also as to case.
    pub fn one_filter_finds_its_rows() {
        let session =
            StoreSession::<H>::with(&[Line::new("a", 1).of("Kim"), Line::new("b", 2).of("kim"), Line::new("c", 3).of("Kim Lee")]);
        let found = |owner: &str| ids(&session.walk(&query(&[(field::OWNER, Condition::Is(owner.into()))], None, false), false));
        assert_eq!((found("Kim"), found("kim"), found("K%")), (vec![1], vec![2], vec![]));
    }

    /// By the key a row is found like by any other field, if it is listed, and by nothing that is not its text.
    pub fn a_key_finds_its_row() {
        let lines = [Line::new("17", 1), Line::new("a", 2).of("a"), Line::new("b", 3).unlisted()];
        let session = StoreSession::<H>::with(&lines);
        let found = |wanted: Condition| {
            let query = query(&[(field::KEY, wanted)], Some(field::STATE), true);
            (ids(&session.walk(&query, true)), session.reader().total(session.lines, &query).expect("a total is read").rows)
        };
        let is = |value: IndexValue| found(Condition::Is(value));
        assert_eq!((is("17".into()), is("a".into())), ((vec![1], 1), (vec![2], 1)));
        assert_eq!((is("A".into()), is("b".into()), is(IndexValue::Null)), ((vec![], 0), (vec![], 0), (vec![], 0)));
        assert_eq!((is(17_i64.into()), found(Condition::Within(Some(0), None))), ((vec![], 0), (vec![], 0)));
        let behind = |value: i64, descending| {
            let start = Start::After(Cursor { value: value.into(), id: 1 });
            ids(&lines_of(&session.page(&Query { start, ..query(&[], Some(field::KEY), descending) })))
        };
        assert_eq!((behind(20, false), behind(20, true)), (vec![1, 2], vec![]));
    }

    /// "Without an owner" is a filter too.
    pub fn an_absent_value_can_be_asked_for() {
        let session = StoreSession::<H>::with(&[Line::new("a", 1), Line::new("b", 2).of(""), Line::new("c", 3).at(5)]);
        let absent = |field| ids(&session.walk(&query(&[(field, Condition::Is(IndexValue::Null))], None, false), false));
        assert_eq!((absent(field::OWNER), absent(field::AT)), (vec![1, 3], vec![1, 2]));
    }

    /// A row must meet all of them, also two on one field.
    pub fn filters_hold_together() {
        let lines = lines(40);
        let session = StoreSession::<H>::with(&lines);
        let is = |field, text: &str| (field, Condition::Is(IndexValue::from(text)));
        let within = |from, until| (field::AT, Condition::Within(from, until));
        let together = [
            vec![is(field::STATE, "sent"), is(field::KIND, "letter")],
            vec![is(field::KIND, "box"), is(field::STATE, "new"), within(Some(1000), None)],
            vec![within(Some(2000), None), within(None, Some(6000))],
            vec![is(field::STATE, "sent"), is(field::STATE, "new")],
        ];
        for conditions in together {
            let query = query(&conditions, Some(field::AT), true);
            assert_eq!(session.walk(&query, true), expected(&session, &lines, &query), "{query:?}");
        }
    }

    /// Either end may be open; what has no instant is within no period.
    pub fn a_period_begins_with_its_first_instant_and_ends_before_its_last() {
        let instants = [(1, -1), (2, 0), (3, 999), (4, 1000), (5, 2000)];
        let mut lines: Vec<_> = instants.iter().map(|(id, at)| Line::new(&format!("a{id}"), *id).at(*at)).collect();
        lines.push(Line::new("never", 6));
        let session = StoreSession::<H>::with(&lines);
        let within = |from, until| ids(&session.walk(&query(&[(field::AT, Condition::Within(from, until))], None, false), false));
        assert_eq!(within(Some(0), Some(1000)), [2, 3]);
        assert_eq!(within(Some(1000), None), [4, 5]);
        assert_eq!(within(None, Some(1000)), [1, 2, 3]);
        assert_eq!(within(Some(1000), Some(1000)), [0; 0]);
    }

    /// Also where it is full.
    pub fn the_last_page_has_no_next() {
        let session = StoreSession::<H>::with(&lines(8));
        let first = session.page(&Query::first(4));
        let next = first.next.expect("there is a second page");
        assert_eq!(Some(next.id), first.rows.last().and_then(|row| row.id));
        assert_eq!(next.value, IndexValue::Null);
        let second = session.page(&Query { start: Start::After(next), ..Query::first(4) });
        assert_eq!((second.rows.len(), second.next), (4, None));
        let second = session.page(&Query { start: Start::Offset(4), ..Query::first(4) });
        assert_eq!((second.rows.len(), second.next), (4, None));
    }

    /// It is no error to ask.
    pub fn a_page_beyond_the_end_is_empty() {
        let session = StoreSession::<H>::with(&lines(3));
        let beyond = [Start::Offset(3), Start::Offset(9000), Start::After(Cursor { value: IndexValue::Null, id: 200_000 })];
        for start in beyond {
            let page = session.page(&Query { start, ..Query::first(4) });
            assert_eq!((page.rows, page.next), (vec![], None));
        }
    }

    /// It names a place in the order, not a row: rows may be removed or moved meanwhile.
    pub fn a_cursor_outlives_its_row() {
        let lines: Vec<_> = (1..=6).map(|id| Line::new(&format!("a{id}"), id).at(500)).collect();
        let mut session = StoreSession::<H>::with(&lines);
        let by_at = Query { limit: 3, ..query(&[], Some(field::AT), false) };
        let cursor = session.page(&by_at).next.expect("there is a second page");
        session.commit(session.remove((&lines[2], 1)));
        session.commit(session.change((&lines[0], 1), &lines[0].clone().at(900)));
        let rest = session.page(&Query { start: Start::After(cursor), limit: 9, ..by_at });
        assert_eq!(ids(&lines_of(&rest)), [4, 5, 6, 1]);
    }

    /// From the commit on that changed them.
    pub fn changed_values_are_found_and_old_ones_are_not() {
        let line = Line::new("a", 1).of("one").at(100);
        let mut session = StoreSession::<H>::with(std::slice::from_ref(&line));
        session.commit(session.change((&line, 1), &line.clone().of("two").at(200)));
        let found = |condition| session.walk(&query(&[condition], None, false), false).len();
        assert_eq!(found((field::OWNER, Condition::Is("one".into()))), 0);
        assert_eq!(found((field::OWNER, Condition::Is("two".into()))), 1);
        assert_eq!(found((field::AT, Condition::Within(None, Some(150)))), 0);
        assert_eq!(found((field::AT, Condition::Within(Some(150), None))), 1);
    }
}
