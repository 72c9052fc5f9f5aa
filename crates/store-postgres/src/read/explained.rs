//! Query plans: every declared filter and order uses its index, however stale the statistics are.

use std::sync::Arc;

use kernel::field::{Ask, FieldInfo, IndexValue};
use ports::query::{Planner, TableFields};
use ports::{Condition, Cursor, Query, Sort, Start};

use crate::connection::options::PostgresOptions;
use crate::connection::session::{Connection, Connector, Session};
use crate::layout::TableLayout;
use crate::read::page::{Select, counting, selected};
use crate::schema::tables;

/// A table in a schema of its own.
struct Explained {
    session: Session,
    layout: TableLayout,
    name: String,
}

impl Explained {
    /// A table of so many rows, analyzed or not.
    fn with(rows: u32, known: bool, name: &str) -> Self {
        let url = std::env::var("PABAL_TEST_POSTGRES").unwrap();
        let name = format!("test_{}_{name}", std::process::id());
        let connector = Connector::new(&PostgresOptions::new(&url).unwrap(), &name, "test");
        let mut session = Session::new(Arc::new(connector)).unwrap();
        let fields = [("a", Ask::Filter), ("b", Ask::Filter), ("name", Ask::Key)];
        let fields = fields.map(|(name, ask)| FieldInfo { name, ask }).to_vec();
        let mut layout = TableLayout::new("s__t", TableFields { declared: fields, crossed: Vec::new() });
        // One value of `a` in a hundred rows, one of `b` in most of them.
        let (before, behind) =
            if known { ("", "ANALYZE s__t") } else { ("ALTER TABLE s__t SET (autovacuum_enabled = off); ANALYZE s__t;", "") };
        let fill = format!(
            "{before} INSERT INTO s__t (key, id, version, schema, layout, max_layout, f_a, f_b, data) \
             SELECT 'k' || n, n, 1, 1, 1, 1, ('\\x02' || encode(convert_to((n % 100)::text, 'UTF8'), 'hex'))::bytea, \
             CASE WHEN n % 10 = 0 THEN '\\x0261'::bytea ELSE '\\x0278'::bytea END, 'row' FROM generate_series(1, {rows}) n; {behind}"
        );
        let made = session.run(async |conn| {
            let tables = "CREATE TABLE table_layout (table_name text, number integer, columns text[], counters text[]); \
                          CREATE TABLE counter (table_name text, name text)";
            conn.batch("SET default_transaction_read_only = off").await?;
            conn.batch(&format!("CREATE SCHEMA \"{name}\"; {tables}")).await?;
            tables::create_or_alter(conn, &mut layout).await?;
            conn.batch(&fill).await
        });
        made.unwrap();
        Self { session, layout, name }
    }

    fn plan(&mut self, select: &Select) -> String {
        let sql = format!("EXPLAIN (COSTS OFF) {}", select.sql);
        let ask = async |conn: &mut Connection| {
            let rows = conn.query_once(&sql, &select.values).await?;
            Ok(rows.iter().map(|row| row.get::<_, String>(0).trim().to_owned()).collect::<Vec<_>>().join("; "))
        };
        self.session.read(ask).unwrap()
    }

    /// The plan of a page; `sizes` are the estimates.
    fn page(&mut self, conditions: &[(usize, Condition)], sort: Sort, start: Start, sizes: &[u64]) -> String {
        let query = Query { conditions: conditions.to_vec(), sort, start, limit: 20 };
        let select = {
            let planner = Planner::new(&self.layout.fields, &query).unwrap();
            selected(&self.layout, &query, conditions, planner.access_path(sizes))
        };
        self.plan(&select)
    }
}

impl Drop for Explained {
    fn drop(&mut self) {
        let drop = format!("BEGIN READ WRITE; DROP SCHEMA \"{}\" CASCADE; COMMIT", self.name);
        let _ = self.session.run(async |conn| conn.batch(&drop).await);
    }
}

const START: Start = Start::Offset(0);
const MANY: u64 = 1_000_000;

fn is(field: usize, value: &str) -> (usize, Condition) {
    (field, Condition::Is(value.into()))
}

fn by(field: Option<usize>, descending: bool) -> Sort {
    Sort { field, descending }
}

fn after(value: IndexValue) -> Start {
    Start::After(Cursor { value, id: 7 })
}

const KEYS: &str = "s__t_pkey";
const IDS: &str = "s__t_id_idx";
const INDEXES: [&str; 2] = ["s__t_f_a_id_idx", "s__t_f_b_id_idx"];

/// Asserts that the plan scans that index, and sorts only if expected.
#[track_caller]
fn walks(plan: &str, index: &str, sorted: bool) {
    let scans = plan.matches("Scan").count();
    assert!(plan.contains(&format!("using {index} ")) && scans == 1, "{plan}");
    assert_eq!(plan.contains("Sort Key"), sorted, "{plan}");
    assert!(!plan.contains("Incremental"), "{plan}");
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn every_page_uses_an_index() {
    for (rows, known, name) in [(60_000, true, "many"), (60_000, false, "stale")] {
        let mut table = Explained::with(rows, known, name);
        for descending in [false, true] {
            for start in [START, after(IndexValue::Null)] {
                walks(&table.page(&[], by(None, descending), start.clone(), &[]), IDS, false);
                for field in [0, 1] {
                    // Also of a value that nearly all rows have, or none.
                    for value in ["x", "1", "nothing"] {
                        walks(&table.page(&[is(field, value)], by(None, descending), start.clone(), &[]), INDEXES[field], false);
                    }
                }
            }
            for start in [START, after("1".into()), after(IndexValue::Null), Start::Offset(5_000)] {
                for field in [0, 1] {
                    walks(&table.page(&[], by(Some(field), descending), start.clone(), &[]), INDEXES[field], false);
                    let period = (field, Condition::Within(Some(1), Some(9)));
                    walks(&table.page(&[period], by(Some(field), descending), start.clone(), &[]), INDEXES[field], false);
                    let other = is(1 - field, "1");
                    let order = by(Some(field), descending);
                    walks(&table.page(std::slice::from_ref(&other), order, start.clone(), &[MANY]), INDEXES[field], false);
                    walks(&table.page(&[other], order, start.clone(), &[10]), INDEXES[1 - field], true);
                }
            }
        }
    }
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_field_that_is_the_key_uses_the_keys_index() {
    for (known, name) in [(true, "key"), (false, "key_stale")] {
        let mut table = Explained::with(60_000, known, name);
        for descending in [false, true] {
            for start in [START, after(IndexValue::Null)] {
                let one = table.page(&[is(2, "k7")], by(None, descending), start.clone(), &[]);
                assert!(one.contains("using s__t_pkey") && one.contains("Index Cond: (key ="), "{one}");
            }
            walks(&table.page(&[], by(Some(2), descending), START, &[]), KEYS, false);
            walks(&table.page(&[is(0, "1")], by(Some(2), descending), START, &[10]), INDEXES[0], true);
            walks(&table.page(&[], by(Some(2), descending), after("k7".into()), &[]), KEYS, false);
            walks(&table.page(&[is(0, "1")], by(Some(2), descending), after("k7".into()), &[MANY]), KEYS, false);
        }
    }
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn of_several_predicates_the_leading_ones_index_is_used() {
    for (known, name) in [(true, "lead"), (false, "lead_stale")] {
        let mut table = Explained::with(60_000, known, name);
        let both = [is(0, "1"), is(1, "x")];
        for lead in [0, 1] {
            let select = counting(&table.layout, &both, lead);
            walks(&table.plan(&select), INDEXES[lead], false);
            let one = counting(&table.layout, &both[lead..=lead], 0);
            let plan = table.plan(&one);
            walks(&plan, INDEXES[lead], false);
        }
        let period = (0, Condition::Within(Some(1), Some(9)));
        walks(&table.page(&[both[1].clone(), period.clone()], by(None, false), START, &[MANY, 9]), INDEXES[0], true);
        walks(&table.page(&[period], by(None, true), START, &[MANY]), IDS, false);
    }
}
