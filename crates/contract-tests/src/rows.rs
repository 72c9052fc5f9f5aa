//! Rows of one view in a store of its own: keyed, idempotent, with their position.

use crate::RowsFixture;

const SOURCE: &str = "sample-events";

fn write<F: RowsFixture>(place: &mut F, position: u64, rows: &[(&str, Option<&str>)]) {
    let rows: Vec<_> = rows.iter().map(|(key, row)| ((*key).to_owned(), row.map(|row| row.as_bytes().to_vec()))).collect();
    place.rows().write(SOURCE, position, &rows).expect("rows are written");
}

fn load<F: RowsFixture>(place: &mut F, keys: &[&str]) -> Vec<Option<String>> {
    let keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
    let rows = place.rows().load(&keys).expect("rows are loaded");
    rows.into_iter().map(|row| row.map(|row| String::from_utf8(row).expect("a row is text"))).collect()
}

fn position<F: RowsFixture>(place: &mut F, source: &str) -> u64 {
    place.rows().position(source).expect("positions are read")
}

fn some(rows: &[&str]) -> Vec<Option<String>> {
    rows.iter().map(|row| Some((*row).to_owned())).collect()
}

/// It is read from its beginning.
pub fn a_source_that_was_never_read_is_at_nothing<F: RowsFixture>() {
    let mut place = F::fresh();
    assert_eq!(position(&mut place, SOURCE), 0);
    assert_eq!(load(&mut place, &["first"]), [None]);
}

/// Missing rows keep their place; keys and rows may hold anything that text can hold.
pub fn rows_load_in_the_order_asked_for<F: RowsFixture>() {
    let mut place = F::fresh();
    let odd = "'; DROP\n\"가\u{1f}🎈";
    write(&mut place, 3, &[("first", Some("1")), (odd, Some(odd)), ("second", Some("2"))]);
    let found = load(&mut place, &["second", odd, "none", "first", "second"]);
    assert_eq!(found, [Some("2".into()), Some(odd.to_owned()), None, Some("1".into()), Some("2".into())]);
    assert_eq!(load(&mut place, &[]), []);
}

/// The last one counts.
pub fn a_row_written_again_is_changed<F: RowsFixture>() {
    let mut place = F::fresh();
    write(&mut place, 1, &[("first", Some("old")), ("second", Some("kept"))]);
    write(&mut place, 2, &[("first", Some("new"))]);
    assert_eq!(load(&mut place, &["first", "second"]), some(&["new", "kept"]));
    assert_eq!(position(&mut place, SOURCE), 2);
}

/// Also where there was none.
pub fn a_row_without_content_is_removed<F: RowsFixture>() {
    let mut place = F::fresh();
    write(&mut place, 1, &[("first", Some("1")), ("second", Some("2"))]);
    write(&mut place, 2, &[("first", None), ("third", None)]);
    assert_eq!(load(&mut place, &["first", "second", "third"]), [None, Some("2".into()), None]);
}

/// Events that change no row are read too.
pub fn a_position_moves_without_rows<F: RowsFixture>() {
    let mut place = F::fresh();
    write(&mut place, 7, &[]);
    assert_eq!(position(&mut place, SOURCE), 7);
}

/// One view may follow several.
pub fn sources_have_positions_of_their_own<F: RowsFixture>() {
    let mut place = F::fresh();
    write(&mut place, 7, &[("first", Some("1"))]);
    place.rows().write("elsewhere", 2, &[("second".to_owned(), Some(b"2".to_vec()))]).expect("rows are written");
    assert_eq!((position(&mut place, SOURCE), position(&mut place, "elsewhere")), (7, 2));
    assert_eq!(load(&mut place, &["first", "second"]), some(&["1", "2"]));
}

/// What is delivered twice has the effect of once.
pub fn the_same_write_again_changes_nothing<F: RowsFixture>() {
    let mut place = F::fresh();
    write(&mut place, 1, &[("gone", Some("1"))]);
    for _ in 0..3 {
        write(&mut place, 2, &[("first", Some("1")), ("gone", None)]);
        assert_eq!(load(&mut place, &["first", "gone"]), [Some("1".into()), None]);
        assert_eq!(position(&mut place, SOURCE), 2);
    }
}

/// Both of them.
pub fn rows_and_positions_survive_a_crash<F: RowsFixture>() {
    let mut place = F::fresh();
    write(&mut place, 4, &[("first", Some("1")), ("second", Some("2"))]);
    write(&mut place, 5, &[("second", None)]);
    place.reopen();
    assert_eq!(position(&mut place, SOURCE), 5);
    assert_eq!(load(&mut place, &["first", "second"]), [Some("1".into()), None]);
}
