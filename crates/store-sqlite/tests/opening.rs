//! Files that are refused at opening, and the messages.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it expects")]

mod support;

use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

use ports::Store;
use rusqlite::Connection;
use store_sqlite::{DataDir, DirError, OpenError, SqliteStore};
use tempfile::TempDir;

fn file() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    (dir, path)
}

fn refusal(path: &PathBuf) -> OpenError {
    SqliteStore::open(path, &support::model("desk", &[])).map(drop).unwrap_err()
}

fn filled(path: &PathBuf) {
    let model = support::model("desk", &["colour"]);
    let (mut store, _reader) = SqliteStore::open(path, &model).unwrap();
    store.commit(&support::commit(&model, 1, &support::notes(2_000))).unwrap();
}

#[test]
fn a_second_process_learns_the_owner_of_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let first = DataDir::lock(dir.path()).unwrap();
    let refused = DataDir::lock(dir.path()).unwrap_err();
    assert!(matches!(refused, DirError::InUse { .. }), "{refused}");
    assert!(refused.to_string().contains(&dir.path().display().to_string()), "{refused}");
    assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
    drop(first);
    DataDir::lock(dir.path()).unwrap();
}

#[test]
fn a_missing_directory_is_created_and_names_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let data = DataDir::lock(dir.path().join("a/b")).unwrap();
    assert_eq!(data.file_of("desk"), dir.path().join("a/b/desk.db"));
}

#[test]
fn a_file_is_no_data_directory() {
    let (_dir, path) = file();
    std::fs::write(&path, "hello").unwrap();
    assert!(matches!(DataDir::lock(&path).unwrap_err(), DirError::NotADirectory { .. }));
    assert!(matches!(DataDir::lock(path.join("below")).unwrap_err(), DirError::NotADirectory { .. }));
}

#[cfg(unix)]
#[test]
fn a_directory_without_write_permission_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    // Root may write everywhere; the message itself is tested with the lock.
    if std::fs::write(dir.path().join("probe"), "").is_err() {
        assert!(matches!(DataDir::lock(dir.path()).unwrap_err(), DirError::NotWritable { .. }));
    }
}

#[test]
fn a_file_in_no_directory_cannot_be_opened() {
    let (_dir, path) = file();
    let refused = refusal(&path.join("desk.db"));
    assert!(matches!(refused, OpenError::Unreachable { .. }), "{refused}");
}

#[test]
fn an_empty_file_is_a_new_store() {
    let (_dir, path) = file();
    std::fs::write(&path, "").unwrap();
    filled(&path);
}

#[test]
fn a_text_file_is_no_database() {
    let (_dir, path) = file();
    std::fs::write(&path, "hello, this is no database at all").unwrap();
    assert!(matches!(refusal(&path), OpenError::NotADatabase { .. }));
    std::fs::write(&path, "hello ".repeat(1_000)).unwrap();
    assert!(matches!(refusal(&path), OpenError::NotADatabase { .. }));
}

#[test]
fn another_programs_database_is_not_touched() {
    let (_dir, path) = file();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE bookmark (a)").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(refusal(&path), OpenError::External { .. }));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn another_systems_store_is_not_touched() {
    let (_dir, path) = file();
    filled(&path);
    let refused = SqliteStore::open(&path, &support::model("office", &[])).map(drop).unwrap_err();
    assert!(matches!(&refused, OpenError::OtherSystem { found, .. } if found == "desk"), "{refused}");
}

#[test]
fn a_store_of_a_newer_version_is_not_touched() {
    let (_dir, path) = file();
    filled(&path);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refused = refusal(&path);
    assert!(matches!(refused, OpenError::Newer { found: 99, .. }), "{refused}");
}

#[test]
fn a_store_from_before_the_first_release_is_refused() {
    let (_dir, path) = file();
    filled(&path);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 3).unwrap();
    let refused = refusal(&path);
    assert!(matches!(refused, OpenError::Unsupported { found: 3, first: 4, .. }), "{refused}");
}

#[test]
fn a_store_shorter_than_its_header_states_is_corrupt() {
    let (_dir, path) = file();
    filled(&path);
    let length = std::fs::metadata(&path).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length / 2).unwrap();
    let refused = refusal(&path);
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
}

#[test]
fn a_store_whose_schema_is_overwritten_is_corrupt() {
    let (_dir, path) = file();
    filled(&path);
    let mut bytes = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    bytes.seek(SeekFrom::Start(100)).unwrap();
    bytes.write_all(&[0xa5; 3_996]).unwrap();
    drop(bytes);
    let refused = refusal(&path);
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
}
