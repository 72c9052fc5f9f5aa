//! Query plans: every declared filter and order uses an index.

use kernel::field::{Ask, FieldInfo, IndexValue};
use ports::query::{Planner, TableFields};
use ports::{Condition, Cursor, Query, Sort, Start};
use rusqlite::{Connection, params_from_iter};

use crate::layout::TableLayout;
use crate::read::page::{Select, counting, selects};

fn layout() -> (Connection, TableLayout) {
    let conn = Connection::open_in_memory().unwrap();
    let fields = [("a", Ask::Filter), ("b", Ask::Filter), ("name", Ask::Key)].map(|(name, ask)| FieldInfo { name, ask });
    let layout = TableLayout::new("s__t".into(), TableFields { declared: fields.to_vec(), crossed: Vec::new() });
    let table = "CREATE TABLE s__t (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, \
                 schema INTEGER NOT NULL, listed INTEGER, f_a ANY, f_b ANY, data BLOB NOT NULL) STRICT; \
                 CREATE INDEX a ON s__t(f_a) WHERE listed; CREATE INDEX b ON s__t(f_b) WHERE listed;";
    conn.execute_batch(table).unwrap();
    (conn, layout)
}

fn explained(conn: &Connection, mut select: Select, more: &[i64]) -> String {
    select.values.extend(more.iter().map(|value| (*value).into()));
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {}", select.sql)).unwrap();
    let lines = statement.query_map(params_from_iter(select.values), |row| row.get::<_, String>(3)).unwrap();
    lines.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
}

/// The plans of each key range of a query; `rows` is the estimate for every predicate.
fn plans(conditions: &[(usize, Condition)], sort: Sort, start: Start, rows: u64) -> Vec<String> {
    let (conn, layout) = layout();
    let query = Query { conditions: conditions.to_vec(), sort, start, limit: 20 };
    let planner = Planner::new(&layout.fields, &query).unwrap();
    let path = planner.access_path(&vec![rows; planner.estimates().len()]);
    selects(&layout, &query, conditions, path).into_iter().map(|select| explained(&conn, select, &[21, 0])).collect()
}

const START: Start = Start::Offset(0);

fn is(field: usize) -> (usize, Condition) {
    (field, Condition::Is("x".into()))
}
fn by(field: Option<usize>, descending: bool) -> Sort {
    Sort { field, descending }
}
fn after(value: IndexValue) -> Start {
    Start::After(Cursor { value, id: 7 })
}

#[test]
fn rows_by_id_are_read_from_the_table_itself() {
    assert_eq!(plans(&[], by(None, false), START, 0), ["SEARCH s__t USING INTEGER PRIMARY KEY (rowid>?)"]);
    assert_eq!(plans(&[], by(None, true), START, 0), ["SEARCH s__t USING INTEGER PRIMARY KEY (rowid>?)"]);
    let between = ["SEARCH s__t USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"];
    assert_eq!(plans(&[], by(None, true), after(IndexValue::Null), 0), between);
}

#[test]
fn every_filter_in_the_order_of_ids_uses_its_index_without_sorting() {
    for (field, index) in [(0, "a"), (1, "b")] {
        for descending in [false, true] {
            let plan = plans(&[is(field)], by(None, descending), START, 0);
            assert_eq!(plan, [format!("SEARCH s__t USING INDEX {index} (f_{index}=?)")]);
            let side = if descending { "<" } else { ">" };
            let plan = plans(&[is(field)], by(None, descending), after(IndexValue::Null), 0);
            assert_eq!(plan, [format!("SEARCH s__t USING INDEX {index} (f_{index}=? AND rowid{side}?)")]);
        }
    }
}

#[test]
fn every_order_uses_its_index_without_sorting() {
    for descending in [false, true] {
        assert_eq!(plans(&[], by(Some(1), descending), START, 0), ["SCAN s__t USING INDEX b"]);
    }
    let up = ["SEARCH s__t USING INDEX b (f_b=? AND rowid>?)", "SEARCH s__t USING INDEX b (f_b>?)"];
    assert_eq!(plans(&[], by(Some(1), false), after("x".into()), 0), up);
    assert_eq!(plans(&[], by(Some(1), false), after(IndexValue::Null), 0), up);
    let here = "SEARCH s__t USING INDEX b (f_b=? AND rowid<?)";
    let down = [here, "SEARCH s__t USING INDEX b (f_b<?)", "SEARCH s__t USING INDEX b (f_b=?)"];
    assert_eq!(plans(&[], by(Some(1), true), after("x".into()), 0), down);
}

#[test]
fn a_filter_in_another_fields_order_scans_that_order_unless_few_rows_meet_it() {
    assert_eq!(plans(&[is(0)], by(Some(1), false), START, 1_000_000), ["SCAN s__t USING INDEX b"]);
    let few = ["SEARCH s__t USING INDEX a (f_a=?); USE TEMP B-TREE FOR ORDER BY"];
    assert_eq!(plans(&[is(0)], by(Some(1), false), START, 10), few);
}

#[test]
fn a_period_uses_its_index_in_its_own_order_and_where_it_is_short() {
    let period = (0, Condition::Within(Some(1), Some(9)));
    let own = plans(std::slice::from_ref(&period), by(Some(0), true), START, 0);
    assert_eq!(own, ["SEARCH s__t USING INDEX a (f_a>? AND f_a<?)"]);
    let behind = plans(std::slice::from_ref(&period), by(Some(0), false), after(IndexValue::Int(5)), 0);
    let span = "SEARCH s__t USING INDEX a (f_a>? AND f_a<?)";
    assert_eq!(behind, ["SEARCH s__t USING INDEX a (f_a=? AND rowid>?)", span]);
    let sorted = format!("{span}; USE TEMP B-TREE FOR ORDER BY");
    assert_eq!(plans(std::slice::from_ref(&period), by(None, false), START, 10), std::slice::from_ref(&sorted));
    assert_eq!(plans(std::slice::from_ref(&period), by(None, true), after(IndexValue::Null), 10), [sorted]);
    let long = ["SEARCH s__t USING INTEGER PRIMARY KEY (rowid>?)"];
    assert_eq!(plans(&[period], by(None, false), START, 1_000_000), long);
}

#[test]
fn a_field_that_is_the_key_uses_the_keys_index() {
    const INDEX: &str = "SEARCH s__t USING INDEX sqlite_autoindex_s__t_1";
    for descending in [false, true] {
        assert_eq!(plans(&[is(2)], by(None, descending), START, 0), [format!("{INDEX} (key=?)")]);
        assert_eq!(plans(&[], by(Some(2), descending), START, 0), ["SCAN s__t USING INDEX sqlite_autoindex_s__t_1"]);
    }
    let up = plans(&[], by(Some(2), false), after("x".into()), 0);
    assert_eq!(up.last(), Some(&format!("{INDEX} (key>?)")));
    let down = plans(&[], by(Some(2), true), after("x".into()), 0);
    assert_eq!(down.get(1), Some(&format!("{INDEX} (key<?)")));
    let one_row_needs_no_sorting = plans(&[is(2), is(0)], by(Some(1), false), START, 1);
    assert_eq!(one_row_needs_no_sorting, [format!("{INDEX} (key=?)")]);
}

#[test]
fn of_two_predicates_the_leading_ones_index_is_used() {
    let (conn, layout) = layout();
    for (lead, index) in [(0, "a"), (1, "b")] {
        let plan = explained(&conn, counting(&layout, &[is(0), is(1)], lead), &[100]);
        assert!(plan.contains(&format!("SEARCH s__t USING INDEX {index} (f_{index}=?)")), "{plan}");
    }
    assert_eq!(plans(&[is(0), is(1)], by(None, false), START, 10), ["SEARCH s__t USING INDEX a (f_a=?)"]);
}
