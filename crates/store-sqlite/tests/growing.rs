//! Declarations change, and the tables with them; and each service has tables of its own.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it expects")]

mod support;

use std::path::Path;

use ports::{Condition, Model, Query, Reader, Sort, Start, Store, Total};
use rusqlite::Connection;
use store_sqlite::{OpenError, SqliteReader, SqliteStore};
use support::{NOTES, commit, model, notes};

fn query(field: usize, value: &str) -> Query {
    let conditions = vec![(field, Condition::Is(value.into()))];
    Query { conditions, sort: Sort { field: None, descending: false }, start: Start::Offset(0), limit: 2_000 }
}

fn found(reader: &SqliteReader, field: usize, value: &str) -> (usize, Total) {
    let query = query(field, value);
    (reader.page(NOTES, &query).unwrap().rows.len(), reader.total(NOTES, &query).unwrap())
}

fn names(path: &Path, what: &str) -> Vec<String> {
    let conn = Connection::open(path).unwrap();
    let mut names = conn.prepare("SELECT name FROM sqlite_schema WHERE type = ?1 ORDER BY name").unwrap();
    names.query_map([what], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_newly_declared_field_finds_the_rows_that_were_there_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    let before = model("desk", &["at"]);
    SqliteStore::open(&path, &before).unwrap().0.commit(&commit(&before, 1, &notes(1_200))).unwrap();
    let (_store, reader) = SqliteStore::open(&path, &model("desk", &["at", "colour", "writer"])).unwrap();
    assert_eq!(found(&reader, 1, "red"), (400, Total { rows: 400, exact: true }));
    let colours = [("blue", 400), ("green", 400), ("red", 400)].map(|(colour, rows)| (colour.to_owned(), rows));
    assert_eq!(reader.counters(NOTES, "colour").unwrap(), colours);
    assert_eq!(reader.counters(NOTES, "").unwrap(), [(String::new(), 1_200)]);
    let pairs = reader.counters(NOTES, "colour*writer").unwrap();
    assert_eq!(pairs.iter().map(|(_, rows)| rows).sum::<u64>(), 1_200);
    // Recounting gives what counting all along would have.
    let fresh = dir.path().join("fresh.db");
    let after = model("desk", &["at", "colour", "writer"]);
    let (mut store, other) = SqliteStore::open(&fresh, &after).unwrap();
    store.commit(&commit(&after, 1, &notes(1_200))).unwrap();
    assert_eq!(other.counters(NOTES, "colour*writer").unwrap(), pairs);
}

#[test]
fn an_interrupted_backfill_is_resumed_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    let before = model("desk", &[]);
    SqliteStore::open(&path, &before).unwrap().0.commit(&commit(&before, 1, &notes(30))).unwrap();
    // The column exists, some rows have it, the index is missing.
    let half = "ALTER TABLE note__notes ADD COLUMN f_colour ANY; UPDATE note__notes SET f_colour = 'red' WHERE id < 20000";
    Connection::open(&path).unwrap().execute_batch(half).unwrap();
    let (_store, reader) = SqliteStore::open(&path, &model("desk", &["colour"])).unwrap();
    assert_eq!(found(&reader, 0, "red").0, 10);
    assert_eq!(found(&reader, 0, "blue").0, 10);
}

#[test]
fn a_removed_field_costs_nothing_and_may_be_declared_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    let with = model("desk", &["colour"]);
    SqliteStore::open(&path, &with).unwrap().0.commit(&commit(&with, 1, &notes(30))).unwrap();
    let without = model("desk", &[]);
    let (mut store, reader) = SqliteStore::open(&path, &without).unwrap();
    assert!(names(&path, "index").iter().all(|name| !name.contains("f_colour")));
    let mut more = notes(60).split_off(30);
    for note in &mut more {
        "red".clone_into(&mut note.colour);
    }
    store.commit(&commit(&without, 2, &more)).unwrap();
    drop((store, reader));
    let (_store, reader) = SqliteStore::open(&path, &with).unwrap();
    assert_eq!(found(&reader, 0, "red"), (40, Total { rows: 40, exact: true }));
}

#[test]
fn a_field_declared_to_be_the_key_loses_its_index_and_may_get_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    let (with, without) = (model("desk", &["colour", "author"]), model("desk", &["colour", "author, the key"]));
    let put = |model: &Model, number, name: &str| {
        let mut notes = notes(3).split_off(2);
        (notes[0].id, notes[0].author) = (Some(number), Some(name.to_owned()));
        let mut commit = commit(model, number, &notes);
        name.clone_into(&mut commit.rows[0].key);
        commit
    };
    SqliteStore::open(&path, &with).unwrap().0.commit(&put(&with, 1, "kim")).unwrap();
    let (mut store, reader) = SqliteStore::open(&path, &without).unwrap();
    assert!(names(&path, "index").iter().all(|name| !name.contains("f_author")));
    store.commit(&put(&without, 2, "lee")).unwrap();
    let one = (1, Total { rows: 1, exact: true });
    assert_eq!((found(&reader, 1, "kim"), found(&reader, 1, "lee")), (one, one));
    drop((store, reader));
    let (_store, reader) = SqliteStore::open(&path, &with).unwrap();
    assert_eq!((found(&reader, 1, "kim"), found(&reader, 1, "lee")), (one, one));
}

#[test]
fn fields_may_be_added_after_two_tables_were_swapped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    let before = model("desk", &["colour"]);
    let shadow = before.table_of(NOTES).shadow.unwrap();
    let (mut store, reader) = SqliteStore::open(&path, &before).unwrap();
    store.commit(&commit(&before, 1, &notes(30))).unwrap();
    let mut swap = commit(&before, 2, &[]);
    swap.swap = Some((NOTES, shadow));
    store.commit(&swap).unwrap();
    drop((store, reader));
    let (mut store, reader) = SqliteStore::open(&path, &model("desk", &["colour", "author"])).unwrap();
    assert_eq!(reader.total(NOTES, &Query::first(1)).unwrap().rows, 0);
    assert_eq!(reader.total(shadow, &query(0, "red")).unwrap().rows, 10);
    assert_eq!(reader.total(shadow, &query(1, "author 1")).unwrap().rows, 3);
    swap.number = 3;
    store.commit(&swap).unwrap();
    assert_eq!(found(&reader, 1, "author 1").0, 3);
}

#[test]
fn a_start_without_changes_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    let model = model("desk", &["colour", "writer", "author", "at"]);
    SqliteStore::open(&path, &model).unwrap().0.commit(&commit(&model, 1, &notes(30))).unwrap();
    let before = std::fs::read(&path).unwrap();
    drop(SqliteStore::open(&path, &model).unwrap());
    assert!(std::fs::read(&path).unwrap() == before);
}

#[test]
fn every_table_is_the_stores_own_or_has_its_services_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    let model = model("desk", &["colour", "at"]);
    drop(SqliteStore::open(&path, &model).unwrap());
    let mut tables = names(&path, "table");
    tables.retain(|name| name.contains("__"));
    assert_eq!(tables, ["note__notes", "note__notes__rebuild"]);
    let mut indexes = names(&path, "index");
    indexes.retain(|name| name.contains("__f_"));
    assert!(indexes.iter().all(|name| name.starts_with("note__notes__")), "{indexes:?}");
    assert_eq!(indexes.len(), 4);
}

#[test]
fn a_row_that_cannot_be_read_for_a_new_field_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    let before = model("desk", &[]);
    SqliteStore::open(&path, &before).unwrap().0.commit(&commit(&before, 1, &notes(3))).unwrap();
    let spoil = "UPDATE note__notes SET data = x'00' WHERE key = 'note-1-00031'";
    Connection::open(&path).unwrap().execute_batch(spoil).unwrap();
    let refused = SqliteStore::open(&path, &model("desk", &["colour"])).map(drop).unwrap_err();
    assert!(matches!(&refused, OpenError::CodecError { key, .. } if key == "note-1-00031"), "{refused}");
    SqliteStore::open(&path, &before).unwrap();
}

#[test]
fn timers_of_an_aggregate_that_is_not_declared_any_more_refuse_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    let model = model("desk", &[]);
    drop(SqliteStore::open(&path, &model).unwrap());
    let timer = "INSERT INTO timer VALUES ('note__reminder', 'key', 'name', 5, 1, x'', '{}')";
    Connection::open(&path).unwrap().execute_batch(timer).unwrap();
    let refused = SqliteStore::open(&path, &model).map(drop).unwrap_err();
    assert!(matches!(&refused, OpenError::Orphaned { table, .. } if table == "note__reminder"), "{refused}");
}
