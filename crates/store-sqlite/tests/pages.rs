//! Pages and totals equal those of the store in memory, for every query.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it expects")]

mod support;

use in_memory::MemoryStore;
use kernel::IndexValue;
use ports::query::COUNT_LIMIT;
use ports::{Condition, Cursor, Query, Reader, Sort, Start, Store};
use store_sqlite::SqliteStore;
use support::{NOTES, commit, model, notes};

/// The fields of [`support::model`] below.
const FIELDS: [&str; 4] = ["colour", "author", "writer", "at"];

fn stores(rows: u64) -> (tempfile::TempDir, SqliteStore, impl Reader, MemoryStore) {
    let dir = tempfile::tempdir().unwrap();
    let model = model("desk", &FIELDS);
    let (mut store, reader) = SqliteStore::open(dir.path().join("desk.db"), &model).unwrap();
    let mut memory = MemoryStore::new(&model);
    let mut rows = notes(rows);
    rows.iter_mut().step_by(13).for_each(|note| note.id = None);
    let commit = commit(&model, 1, &rows);
    store.commit(&commit).unwrap();
    memory.commit(&commit).unwrap();
    (dir, store, reader, memory)
}

fn conditions() -> Vec<Vec<(usize, Condition)>> {
    let one = [
        (0, Condition::Is("red".into())),
        (0, Condition::Is("none such".into())),
        (1, Condition::Is("author 3".into())),
        (1, Condition::Is(IndexValue::Null)),
        (2, Condition::Is("author 3".into())),
        (3, Condition::Is(IndexValue::Int(5))),
        (3, Condition::Within(Some(20), Some(60))),
        (3, Condition::Within(Some(60), None)),
        (3, Condition::Within(None, Some(20))),
        (3, Condition::Within(None, None)),
        (1, Condition::Within(Some(0), None)),
    ];
    let mut all = vec![Vec::new()];
    for first in &one {
        all.push(vec![first.clone()]);
        all.extend(one.iter().map(|second| vec![first.clone(), second.clone()]));
    }
    all
}

fn sorts() -> impl Iterator<Item = Sort> {
    let fields = [None, Some(0), Some(1), Some(3)];
    fields.into_iter().flat_map(|field| [false, true].map(|descending| Sort { field, descending }))
}

/// All pages by cursor, then one by number, then from cursors that no page gave.
fn same(one: &impl Reader, other: &impl Reader, conditions: &[(usize, Condition)], sort: Sort, limit: u32) {
    let mut query = Query { conditions: conditions.to_vec(), sort, start: Start::Offset(0), limit };
    for _ in 0..6 {
        let page = one.page(NOTES, &query).unwrap();
        assert_eq!(page, other.page(NOTES, &query).unwrap(), "{query:?}");
        let Some(next) = page.next else { break };
        query.start = Start::After(next);
    }
    query.start = Start::Offset(7);
    assert_eq!(one.page(NOTES, &query).unwrap(), other.page(NOTES, &query).unwrap(), "{query:?}");
    let values = [IndexValue::Null, IndexValue::Int(20), IndexValue::Int(60), "green".into(), "author 3".into()];
    for value in values.into_iter().filter(|_| sort.field.is_some()) {
        query.start = Start::After(Cursor { value, id: 50_000 });
        assert_eq!(one.page(NOTES, &query).unwrap(), other.page(NOTES, &query).unwrap(), "{query:?}");
    }
    assert_eq!(one.total(NOTES, &query).unwrap(), other.total(NOTES, &query).unwrap(), "{query:?}");
}

#[test]
fn every_mixture_of_filters_and_orders_gives_the_same_pages() {
    let (_dir, _store, reader, memory) = stores(90);
    for conditions in conditions() {
        for sort in sorts() {
            same(&reader, &memory, &conditions, sort, 17);
        }
    }
}

#[test]
fn more_rows_than_are_counted_or_sorted_give_the_same_pages() {
    let (_dir, _store, reader, memory) = stores(COUNT_LIMIT + COUNT_LIMIT / 2);
    let red = (0, Condition::Is("red".into()));
    let long = (3, Condition::Within(Some(3), None));
    let short = (3, Condition::Within(Some(3), Some(5)));
    for conditions in [vec![long.clone()], vec![short.clone()], vec![red.clone(), long.clone()], vec![red, short, long]] {
        // The store in memory sorts all rows for each page: a few orders will do.
        for sort in sorts().filter(|sort| matches!(sort.field, None | Some(3)) && sort.descending) {
            same(&reader, &memory, &conditions, sort, 9);
        }
    }
}
