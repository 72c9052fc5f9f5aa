//! Tables that are emptied and change places: how a view is rebuilt beside the one that serves.

use ports::model::TableId;
use ports::{Commit, Query};

use crate::StoreFixture;
use crate::desk::{Desk, lines_of, parcel};
use crate::sample::Line;

fn keys<F: StoreFixture>(desk: &Desk<F>, table: TableId) -> Vec<String> {
    let page = desk.reader().page(table, &Query::first(100)).expect("a page is read");
    lines_of(&page).into_iter().map(|line| line.key).collect()
}

fn states<F: StoreFixture>(desk: &Desk<F>, table: TableId) -> Vec<(String, u64)> {
    desk.reader().counters(table, "state").expect("counters are read")
}

fn counted(counters: &[(&str, u64)]) -> Vec<(String, u64)> {
    counters.iter().map(|(value, rows)| ((*value).to_owned(), *rows)).collect()
}

/// A view of two lines, and a shadow of one.
fn two_and_one<F: StoreFixture>() -> Desk<F> {
    let mut desk = Desk::<F>::with(&[Line::new("first", 1), Line::new("second", 2)]);
    desk.commit(desk.put(desk.shadow, &[Line::new("rebuilt", 1).is("sent", "box")]));
    desk
}

/// The commit's own rows may have the keys and ids of those that went.
pub fn a_cleared_table_is_empty_before_the_commits_own_rows<F: StoreFixture>() {
    let mut desk = Desk::<F>::with(&[Line::new("first", 1), Line::new("second", 2), Line::new("hidden", 3).unlisted()]);
    let commit = desk.put(desk.lines, &[Line::new("second", 1)]);
    desk.commit(Commit { clear: vec![desk.lines], ..commit });
    assert_eq!(keys(&desk, desk.lines), ["second"]);
    let reader = desk.reader();
    assert_eq!(reader.by_key(desk.lines, "first").expect("a row is read"), None);
    assert_eq!(reader.by_key(desk.lines, "hidden").expect("a row is read"), None);
    assert_eq!(reader.by_key(desk.lines, "second").expect("a row is read").map(|row| row.version), Some(1));
}

/// Counters begin anew with the commit's own rows.
pub fn a_cleared_table_has_no_counters_left<F: StoreFixture>() {
    let mut desk = Desk::<F>::with(&[Line::new("first", 1), Line::new("second", 2)]);
    let commit = desk.put(desk.lines, &[Line::new("third", 3).is("sent", "box")]);
    desk.commit(Commit { clear: vec![desk.lines], ..commit });
    assert_eq!(states(&desk, desk.lines), counted(&[("sent", 1)]));
    let total = desk.reader().total(desk.lines, &Query::first(1)).expect("a total is read");
    assert_eq!(total.rows, 1);
}

/// The one that serves is not touched.
pub fn clearing_one_table_leaves_the_others<F: StoreFixture>() {
    let mut desk = two_and_one::<F>();
    desk.commit(Commit { rows: vec![parcel(desk.parcels, "first", 1, 0)], ..Commit::default() });
    desk.commit(Commit { clear: vec![desk.shadow], ..Commit::default() });
    assert_eq!(keys(&desk, desk.shadow), [""; 0]);
    assert_eq!(keys(&desk, desk.lines), ["first", "second"]);
    assert_eq!(states(&desk, desk.lines), counted(&[("new", 2)]));
    assert!(desk.reader().by_id(desk.parcels, 1).expect("a row is read").is_some());
}

/// Rows, the ways to find them, and counters.
pub fn swapped_tables_change_rows_and_counters<F: StoreFixture>() {
    let mut desk = two_and_one::<F>();
    desk.commit(Commit { swap: Some((desk.lines, desk.shadow)), ..Commit::default() });
    assert_eq!((keys(&desk, desk.lines), keys(&desk, desk.shadow).len()), (vec!["rebuilt".to_owned()], 2));
    assert_eq!(states(&desk, desk.lines), counted(&[("sent", 1)]));
    assert_eq!(states(&desk, desk.shadow), counted(&[("new", 2)]));
    let found = desk.reader().by_id(desk.lines, 1).expect("a row is read");
    assert_eq!(found.map(|row| row.key), Some("rebuilt".into()));
    assert_eq!(desk.reader().by_key(desk.lines, "first").expect("a row is read"), None);
}

/// What the commit writes goes to the table of before the swap.
pub fn a_swap_comes_after_the_commits_own_rows<F: StoreFixture>() {
    let mut desk = two_and_one::<F>();
    let commit = desk.put(desk.shadow, &[Line::new("last", 2).is("sent", "box")]);
    desk.commit(Commit { swap: Some((desk.lines, desk.shadow)), ..commit });
    assert_eq!(keys(&desk, desk.lines), ["rebuilt", "last"]);
    assert_eq!(states(&desk, desk.lines), counted(&[("sent", 2)]));
    assert_eq!(states(&desk, desk.shadow), counted(&[("new", 2)]));
}

/// Whichever of them is which after a start is a matter of the store.
pub fn a_swap_survives_a_crash<F: StoreFixture>() {
    let mut desk = two_and_one::<F>();
    desk.commit(Commit { swap: Some((desk.lines, desk.shadow)), ..Commit::default() });
    desk.reopen();
    assert_eq!((keys(&desk, desk.lines), keys(&desk, desk.shadow).len()), (vec!["rebuilt".to_owned()], 2));
    assert_eq!(states(&desk, desk.lines), counted(&[("sent", 1)]));
}

/// Versions and ids are those of the rows that are now there; and there is a second time, and a third.
pub fn swapped_tables_can_be_written_and_swapped_back<F: StoreFixture>() {
    let mut desk = two_and_one::<F>();
    let swap = Some((desk.lines, desk.shadow));
    desk.commit(Commit { swap, ..Commit::default() });
    let rebuilt = Line::new("rebuilt", 1).is("sent", "box");
    desk.commit(desk.change((&rebuilt, 1), &rebuilt.clone().is("failed", "box")));
    desk.commit(desk.put(desk.lines, &[Line::new("first", 2)]));
    desk.refused(desk.put(desk.shadow, &[Line::new("new", 1)]));
    desk.commit(Commit { swap, ..Commit::default() });
    assert_eq!(
        (keys(&desk, desk.lines), states(&desk, desk.lines)),
        (vec!["first".into(), "second".into()], counted(&[("new", 2)]))
    );
    desk.commit(Commit { swap: Some((desk.shadow, desk.lines)), ..Commit::default() });
    assert_eq!(keys(&desk, desk.lines), ["rebuilt", "first"]);
    assert_eq!(states(&desk, desk.lines), counted(&[("failed", 1), ("new", 1)]));
}

/// The whole way, twice.
pub fn a_rebuild_is_swapped_in_and_its_old_rows_cleared<F: StoreFixture>() {
    let mut desk = Desk::<F>::with(&[Line::new("old", 1)]);
    for round in ["once", "twice"] {
        desk.commit(Commit { clear: vec![desk.shadow], ..Commit::default() });
        desk.commit(desk.put(desk.shadow, &[Line::new(round, 1).is(round, "box")]));
        desk.commit(Commit { swap: Some((desk.lines, desk.shadow)), ..Commit::default() });
        desk.commit(Commit { clear: vec![desk.shadow], ..Commit::default() });
        desk.reopen();
        assert_eq!((keys(&desk, desk.lines), keys(&desk, desk.shadow).len()), (vec![round.to_owned()], 0));
        assert_eq!(states(&desk, desk.lines), counted(&[(round, 1)]));
        assert_eq!(states(&desk, desk.shadow), []);
    }
}
