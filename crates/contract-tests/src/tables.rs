//! Tables that are emptied and change places: how a view is rebuilt beside the one that serves.

use macro_rules_attribute::apply;
use ports::model::TableId;
use ports::{Commit, Query};

use crate::StoreHarness;
use crate::rows::{lines_of, parcel};
use crate::sample::Line;
use crate::session::StoreSession;

fn keys<H: StoreHarness>(session: &StoreSession<H>, table: TableId) -> Vec<String> {
    let page = session.reader().page(table, &Query::first(100)).expect("a page is read");
    lines_of(&page).into_iter().map(|line| line.key).collect()
}

fn states<H: StoreHarness>(session: &StoreSession<H>, table: TableId) -> Vec<(String, u64)> {
    session.reader().counters(table, "state").expect("counters are read")
}

fn counted(counters: &[(&str, u64)]) -> Vec<(String, u64)> {
    counters.iter().map(|(value, rows)| ((*value).to_owned(), *rows)).collect()
}

/// A view of two lines, and a shadow of one.
fn two_and_one<H: StoreHarness>() -> StoreSession<H> {
    let mut session = StoreSession::<H>::with(&[Line::new("first", 1), Line::new("second", 2)]);
    session.commit(session.put(session.shadow, &[Line::new("rebuilt", 1).is("sent", "box")]));
    session
}

/// Tables that are emptied and change places.
#[apply(checks!)]
impl<H: StoreHarness> TableChecks<H> {
    /// The commit's own rows may have the keys and ids of those that went.
    pub fn a_cleared_table_is_empty_before_the_commits_own_rows() {
        let mut session =
            StoreSession::<H>::with(&[Line::new("first", 1), Line::new("second", 2), Line::new("hidden", 3).unlisted()]);
        let commit = session.put(session.lines, &[Line::new("second", 1)]);
        session.commit(Commit { clear: vec![session.lines], ..commit });
        assert_eq!(keys(&session, session.lines), ["second"]);
        let reader = session.reader();
        assert_eq!(reader.by_key(session.lines, "first").expect("a row is read"), None);
        assert_eq!(reader.by_key(session.lines, "hidden").expect("a row is read"), None);
        assert_eq!(reader.by_key(session.lines, "second").expect("a row is read").map(|row| row.version), Some(1));
    }

    /// Counters begin anew with the commit's own rows.
    pub fn a_cleared_table_has_no_counters_left() {
        let mut session = StoreSession::<H>::with(&[Line::new("first", 1), Line::new("second", 2)]);
        let commit = session.put(session.lines, &[Line::new("third", 3).is("sent", "box")]);
        session.commit(Commit { clear: vec![session.lines], ..commit });
        assert_eq!(states(&session, session.lines), counted(&[("sent", 1)]));
        let total = session.reader().total(session.lines, &Query::first(1)).expect("a total is read");
        assert_eq!(total.rows, 1);
    }

    /// The one that serves is not touched.
    pub fn clearing_one_table_leaves_the_others() {
        let mut session = two_and_one::<H>();
        session.commit(Commit { rows: vec![parcel(session.parcels, "first", 1, 0)], ..Commit::default() });
        session.commit(Commit { clear: vec![session.shadow], ..Commit::default() });
        assert_eq!(keys(&session, session.shadow), [""; 0]);
        assert_eq!(keys(&session, session.lines), ["first", "second"]);
        assert_eq!(states(&session, session.lines), counted(&[("new", 2)]));
        assert!(session.reader().by_id(session.parcels, 1).expect("a row is read").is_some());
    }

    /// Rows, the ways to find them, and counters.
    pub fn swapped_tables_change_rows_and_counters() {
        let mut session = two_and_one::<H>();
        session.commit(Commit { swap: Some((session.lines, session.shadow)), ..Commit::default() });
        assert_eq!((keys(&session, session.lines), keys(&session, session.shadow).len()), (vec!["rebuilt".to_owned()], 2));
        assert_eq!(states(&session, session.lines), counted(&[("sent", 1)]));
        assert_eq!(states(&session, session.shadow), counted(&[("new", 2)]));
        let found = session.reader().by_id(session.lines, 1).expect("a row is read");
        assert_eq!(found.map(|row| row.key), Some("rebuilt".into()));
        assert_eq!(session.reader().by_key(session.lines, "first").expect("a row is read"), None);
    }

    /// What the commit writes goes to the table of before the swap.
    pub fn a_swap_comes_after_the_commits_own_rows() {
        let mut session = two_and_one::<H>();
        let commit = session.put(session.shadow, &[Line::new("last", 2).is("sent", "box")]);
        session.commit(Commit { swap: Some((session.lines, session.shadow)), ..commit });
        assert_eq!(keys(&session, session.lines), ["rebuilt", "last"]);
        assert_eq!(states(&session, session.lines), counted(&[("sent", 2)]));
        assert_eq!(states(&session, session.shadow), counted(&[("new", 2)]));
    }

    /// Whichever of them is which after a start is a matter of the store.
    pub fn a_swap_survives_a_crash() {
        let mut session = two_and_one::<H>();
        session.commit(Commit { swap: Some((session.lines, session.shadow)), ..Commit::default() });
        session.reopen();
        assert_eq!((keys(&session, session.lines), keys(&session, session.shadow).len()), (vec!["rebuilt".to_owned()], 2));
        assert_eq!(states(&session, session.lines), counted(&[("sent", 1)]));
    }

    /// Versions and ids are those of the rows that are now there; and there is a second time, and a third.
    pub fn swapped_tables_can_be_written_and_swapped_back() {
        let mut session = two_and_one::<H>();
        let swap = Some((session.lines, session.shadow));
        session.commit(Commit { swap, ..Commit::default() });
        let rebuilt = Line::new("rebuilt", 1).is("sent", "box");
        session.commit(session.change((&rebuilt, 1), &rebuilt.clone().is("failed", "box")));
        session.commit(session.put(session.lines, &[Line::new("first", 2)]));
        session.refused(session.put(session.shadow, &[Line::new("new", 1)]));
        session.commit(Commit { swap, ..Commit::default() });
        assert_eq!(
            (keys(&session, session.lines), states(&session, session.lines)),
            (vec!["first".into(), "second".into()], counted(&[("new", 2)]))
        );
        session.commit(Commit { swap: Some((session.shadow, session.lines)), ..Commit::default() });
        assert_eq!(keys(&session, session.lines), ["rebuilt", "first"]);
        assert_eq!(states(&session, session.lines), counted(&[("failed", 1), ("new", 1)]));
    }

    /// The whole way, twice.
    pub fn a_rebuild_is_swapped_in_and_its_old_rows_cleared() {
        let mut session = StoreSession::<H>::with(&[Line::new("old", 1)]);
        for round in ["once", "twice"] {
            session.commit(Commit { clear: vec![session.shadow], ..Commit::default() });
            session.commit(session.put(session.shadow, &[Line::new(round, 1).is(round, "box")]));
            session.commit(Commit { swap: Some((session.lines, session.shadow)), ..Commit::default() });
            session.commit(Commit { clear: vec![session.shadow], ..Commit::default() });
            session.reopen();
            assert_eq!((keys(&session, session.lines), keys(&session, session.shadow).len()), (vec![round.to_owned()], 0));
            assert_eq!(states(&session, session.lines), counted(&[(round, 1)]));
            assert_eq!(states(&session, session.shadow), []);
        }
    }
}
