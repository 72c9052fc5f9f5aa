//! Single rows and positions: the reading side shows what is committed, and nothing else.

use std::sync::atomic::{AtomicBool, Ordering};

use macro_rules_attribute::apply;
use ports::{Commit, OffsetUpdate, Partition, Query};

use crate::StoreHarness;
use crate::rows::{lines_of, moved, own};
use crate::sample::Line;
use crate::session::StoreSession;

fn by_key<H: StoreHarness>(session: &StoreSession<H>, key: &str) -> Option<(Option<u64>, u64)> {
    session.reader().by_key(session.lines, key).expect("a row is read").map(|row| (row.id, row.version))
}

fn by_id<H: StoreHarness>(session: &StoreSession<H>, id: u64) -> Option<String> {
    session.reader().by_id(session.lines, id).expect("a row is read").map(|row| row.key)
}

fn listed<H: StoreHarness>(session: &StoreSession<H>) -> Vec<Line> {
    lines_of(&session.page(&Query::first(100)))
}

/// Single rows and positions.
#[apply(checks!)]
impl<H: StoreHarness> ReaderChecks<H> {
    /// Both ways lead to the same row.
    pub fn a_row_is_found_by_key_and_by_id() {
        let session = StoreSession::<H>::with(&[Line::new("first", 1), Line::new("second", 2)]);
        let reader = session.reader();
        let row = reader.by_id(session.lines, 2).expect("a row is read");
        assert_eq!(row.as_ref().map(|row| row.key.as_str()), Some("second"));
        assert_eq!(reader.by_key(session.lines, "second").expect("a row is read"), row);
        assert_eq!((by_id(&session, 3), by_key(&session, "third")), (None, None));
        assert_eq!(reader.by_key(session.shadow, "second").expect("a row is read"), None);
    }

    /// It is kept, but on no page.
    pub fn an_unlisted_row_is_found_by_key_only() {
        let session = StoreSession::<H>::with(&[
            Line::new("first", 1),
            Line::new("hidden", 2).unlisted(),
            Line::new("other", 3).unlisted(),
        ]);
        assert_eq!(by_key(&session, "hidden"), Some((None, 1)));
        assert_eq!(by_id(&session, 2), None);
        assert_eq!(listed(&session), [Line::new("first", 1)]);
    }

    /// From that commit on.
    pub fn a_row_is_listed_once_it_has_an_id() {
        let hidden = Line::new("first", 1).unlisted();
        let mut session = StoreSession::<H>::with(std::slice::from_ref(&hidden));
        let shown = Line::new("first", 1);
        session.commit(session.change((&hidden, 1), &shown));
        assert_eq!((by_key(&session, "first"), by_id(&session, 1)), (Some((Some(1), 2)), Some("first".into())));
        assert_eq!(listed(&session), [shown]);
    }

    /// Neither by key nor by id nor on a page.
    pub fn a_removed_row_is_not_found() {
        let line = Line::new("first", 1);
        let mut session = StoreSession::<H>::with(std::slice::from_ref(&line));
        session.commit(session.remove((&line, 1)));
        assert_eq!((by_key(&session, "first"), by_id(&session, 1), listed(&session)), (None, None, vec![]));
        session.commit(session.put(session.lines, std::slice::from_ref(&line)));
        assert_eq!(by_key(&session, "first"), Some((Some(1), 1)));
    }

    /// A position that moved, also back; those of a subscription's partitions are added up.
    pub fn positions_are_read_as_written() {
        let mut session = StoreSession::<H>::new();
        session.commit(Commit { positions: vec![moved("a", None, 7), moved("b", None, 3)], ..Commit::default() });
        session.commit(Commit { positions: vec![moved("a", Some(7), 9), moved("b", Some(3), 0)], ..Commit::default() });
        let read = |session: &StoreSession<H>| {
            let mut positions = session.reader().positions().expect("positions are read");
            positions.sort();
            positions
        };
        assert_eq!(read(&session), [("a".to_owned(), 9), ("b".to_owned(), 0)]);
        let beside = OffsetUpdate { partition: Partition { number: 3, ..own() }, ..moved("a", None, 5) };
        session.commit(Commit { positions: vec![beside], ..Commit::default() });
        assert_eq!(read(&session), [("a".to_owned(), 14), ("b".to_owned(), 0)]);
    }

    /// So that "is what follows this position still there?" is one comparison.
    pub fn the_log_of_an_empty_store_begins_at_one() {
        let session = StoreSession::<H>::new();
        let reader = session.reader();
        let ends = (reader.first_seq().expect("it knows its beginning"), reader.last_seq().expect("it knows its end"));
        assert_eq!(ends, (1, 0));
    }

    /// Rows come and change ten at a time, and that is how they are seen.
    pub fn a_reader_never_sees_half_a_commit() {
        let mut session = StoreSession::<H>::new();
        let (reader, table) = (session.reader(), session.lines);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let mut seen = 0;
                while !done.load(Ordering::SeqCst) {
                    let page = reader.page(table, &Query::first(1000)).expect("a page is read");
                    assert_eq!(page.rows.len() % 10, 0, "a reader saw half a commit");
                    assert!(page.rows.len() >= seen, "a reader saw less than before");
                    seen = page.rows.len();
                }
            });
            for round in 0..30 {
                let lines: Vec<_> =
                    (0..10).map(|place| Line::new(&format!("{round:03}-{place}"), round * 10 + place + 1)).collect();
                let commit = session.put(table, &lines);
                session.commit(commit);
                std::thread::yield_now();
            }
            done.store(true, Ordering::SeqCst);
            assert!(reading.join().is_ok(), "the reader failed");
        });
        assert_eq!(listed(&session).len(), 100);
    }
}
