//! Read-only access: beside a writing process, and after one.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it expects")]

mod support;

use std::path::{Path, PathBuf};

use ports::{Query, Reader, Store};
use rusqlite::Connection;
use store_sqlite::{OpenError, SqliteReader, SqliteStore};
use support::NOTES;
use tempfile::TempDir;

fn file() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    (dir, path)
}

fn written(path: &Path, commits: u64) -> SqliteStore {
    let model = support::model("desk", &["colour"]);
    let (mut store, _reader) = SqliteStore::open(path, &model).unwrap();
    for number in 1..=commits {
        let notes: Vec<_> =
            support::notes(10 * commits).into_iter().skip(usize::try_from(10 * (number - 1)).unwrap()).take(10).collect();
        store.commit(&support::commit(&model, number, &notes)).unwrap();
    }
    store
}

fn reader(path: &Path) -> SqliteReader {
    SqliteReader::open(path, &support::model("desk", &["colour"])).unwrap()
}

fn refusal(path: &Path, system: &'static str) -> OpenError {
    SqliteReader::open(path, &support::model(system, &["colour"])).map(drop).unwrap_err()
}

fn rows(reader: &SqliteReader) -> u64 {
    reader.total(NOTES, &Query::first(1)).unwrap().rows
}

#[test]
fn a_reader_beside_a_writer_sees_its_commits() {
    let (_dir, path) = file();
    let mut store = written(&path, 1);
    let reader = reader(&path);
    assert_eq!(rows(&reader), 10);
    let model = support::model("desk", &["colour"]);
    let more: Vec<_> = support::notes(30).into_iter().skip(10).collect();
    store.commit(&support::commit(&model, 2, &more)).unwrap();
    assert_eq!(rows(&reader), 30);
}

#[test]
fn a_clean_shutdown_leaves_one_complete_file_even_if_readers_close_last() {
    let (dir, path) = file();
    let model = support::model("desk", &["colour"]);
    let (mut store, beside) = SqliteStore::open(&path, &model).unwrap();
    store.commit(&support::commit(&model, 1, &support::notes(20))).unwrap();
    assert_eq!(rows(&beside), 20);
    drop(store);
    drop(beside);
    let moved = dir.path().join("moved.db");
    std::fs::copy(&path, &moved).unwrap();
    assert_eq!(rows(&reader(&moved)), 20);
    let before = std::fs::read(&path).unwrap();
    assert_eq!(rows(&reader(&path)), 20);
    assert_eq!(std::fs::read(&path).unwrap(), before, "reading changes nothing");
}

#[test]
fn the_files_of_a_killed_process_are_readable() {
    let (dir, path) = file();
    let store = written(&path, 3);
    for end in ["", "-wal"] {
        std::fs::copy(dir.path().join(format!("desk.db{end}")), dir.path().join(format!("killed.db{end}"))).unwrap();
    }
    drop(store);
    let killed = dir.path().join("killed.db");
    assert_eq!(rows(&reader(&killed)), 30);
    // A later writer finds the file unchanged.
    let (mut store, _reader) = SqliteStore::open(&killed, &support::model("desk", &["colour"])).unwrap();
    assert_eq!(store.last_commit().unwrap(), 3);
}

#[test]
fn a_reader_does_not_create_a_missing_file() {
    let (_dir, path) = file();
    assert!(matches!(refusal(&path, "desk"), OpenError::Unreachable { .. }));
    assert!(!path.exists());
}

#[test]
fn a_reader_refuses_an_empty_or_older_file_until_it_is_migrated() {
    let (_dir, path) = file();
    std::fs::write(&path, "").unwrap();
    assert!(matches!(refusal(&path, "desk"), OpenError::Older { found: 0, .. }));
    drop(written(&path, 1));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 0).unwrap();
    assert!(matches!(refusal(&path, "desk"), OpenError::Older { found: 0, .. }));
}

#[test]
fn files_of_other_programs_and_systems_are_refused_to_a_reader_too() {
    let (dir, path) = file();
    drop(written(&path, 1));
    assert!(matches!(refusal(&path, "office"), OpenError::OtherSystem { .. }));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(refusal(&path, "desk"), OpenError::Newer { found: 99, .. }));
    let foreign = dir.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE bookmark (a)").unwrap();
    assert!(matches!(refusal(&foreign, "desk"), OpenError::External { .. }));
    let text = dir.path().join("text.db");
    std::fs::write(&text, "hello ".repeat(1_000)).unwrap();
    assert!(matches!(refusal(&text, "desk"), OpenError::NotADatabase { .. }));
}
