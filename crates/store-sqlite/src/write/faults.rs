//! What the store does when the disk does not do what it should, and when its process is killed.

use std::path::Path;
use std::sync::Arc;

use kernel::event::Cause;
use kernel::{Domain, Service, System};
use ports::{Commit, CommitError, Model, Reader, Record, Store};

use crate::SqliteReader;
use crate::SqliteStore;
use crate::write::commit;

fn model() -> Arc<Model> {
    let desk = Service::new("desk", 8080, Domain::General, "Nothing but a log.");
    Model::new(System::new("desk", "events", "Nothing but a log.").service(desk)).unwrap()
}

fn open(path: &Path) -> (SqliteStore, SqliteReader) {
    SqliteStore::open(path, &model()).unwrap()
}

fn record(seq: u64, bytes: usize) -> Record {
    Record {
        seq,
        id: format!("event-{seq}"),
        source: "desk".into(),
        event_type: "Happened".into(),
        version: 1,
        key: "key".into(),
        time_ms: 0,
        data: vec![b'x'; bytes],
        cause: Cause::default(),
    }
}

fn next(number: u64, bytes: usize) -> Commit {
    Commit { number, log: vec![record(number, bytes)], ..Commit::default() }
}

fn page_count(store: &SqliteStore) -> i64 {
    store.conn.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap()
}

fn bound(store: &SqliteStore, pages: i64) {
    store.conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
}

#[test]
fn a_full_disk_refuses_commits_until_there_is_room_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, reader) = open(&dir.path().join("desk.db"));
    store.commit(&next(1, 10)).unwrap();
    let pages = page_count(&store);
    bound(&store, pages + 3);
    for _ in 0..3 {
        let refused = store.commit(&next(2, 100_000)).unwrap_err();
        assert!(matches!(refused, CommitError::Unavailable(_)), "{refused}");
        assert_eq!(store.last_commit().unwrap(), 1);
        assert_eq!(reader.last_seq().unwrap(), 1);
        assert_eq!(store.log_after(0, 10).unwrap().len(), 1);
    }
    bound(&store, 1_000_000);
    store.commit(&next(2, 100_000)).unwrap();
    assert_eq!(reader.last_seq().unwrap(), 2);
}

#[test]
fn a_commit_that_fits_succeeds_after_one_that_filled_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _reader) = open(&dir.path().join("desk.db"));
    store.commit(&next(1, 10)).unwrap();
    let pages = page_count(&store);
    bound(&store, pages + 3);
    store.commit(&next(2, 100_000)).unwrap_err();
    store.commit(&next(2, 10)).unwrap();
    assert_eq!(store.last_commit().unwrap(), 2);
}

#[test]
fn a_commit_in_doubt_is_resolved_before_the_last_number_is_returned() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    let (mut store, _reader) = open(&path);
    store.commit(&next(1, 10)).unwrap();
    store.in_doubt = true;
    let wal = || std::fs::metadata(crate::files::wal_of(&path)).unwrap().len();
    let before = wal();
    assert_eq!(store.last_commit().unwrap(), 1);
    assert!(wal() > before, "a commit of nothing was written");
    assert!(!store.in_doubt);
    store.commit(&next(2, 10)).unwrap();
}

/// The files as a kill would leave them.
fn leave(dir: &Path, from: &str, to: &str) {
    for end in ["", "-wal"] {
        std::fs::copy(dir.join(format!("{from}.db{end}")), dir.join(format!("{to}.db{end}"))).unwrap();
    }
}

#[test]
fn a_commit_in_doubt_is_truncated_if_the_disk_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let wal = |name: &str| dir.path().join(format!("{name}.db-wal"));
    let (mut first, _reader) = open(&dir.path().join("first.db"));
    first.commit(&next(1, 10)).unwrap();
    let length = std::fs::metadata(wal("first")).unwrap().len();
    leave(dir.path(), "first", "desk");
    first.commit(&next(2, 10)).unwrap();

    // The first store's second commit is complete in this log, but its last write is reported as failed.
    let (mut store, reader) = open(&dir.path().join("desk.db"));
    let whole = std::fs::read(wal("first")).unwrap();
    let appended = std::fs::OpenOptions::new().append(true).open(wal("desk"));
    std::io::Write::write_all(&mut appended.unwrap(), &whole[usize::try_from(length).unwrap()..]).unwrap();
    store.in_doubt = true;
    leave(dir.path(), "desk", "doubtful");
    let (mut doubtful, _reader) = open(&dir.path().join("doubtful.db"));
    assert_eq!(doubtful.last_commit().unwrap(), 2, "a kill would have made it true");

    store
        .conn
        .execute_batch("CREATE TEMP TRIGGER full BEFORE UPDATE ON store_meta BEGIN SELECT RAISE(FAIL, 'full'); END")
        .unwrap();
    assert_eq!(store.last_commit().unwrap(), 1);
    assert_eq!(std::fs::metadata(wal("desk")).unwrap().len(), length);
    leave(dir.path(), "desk", "killed");
    let (mut killed, _reader) = open(&dir.path().join("killed.db"));
    assert_eq!(killed.last_commit().unwrap(), 1);

    store.conn.execute_batch("DROP TRIGGER full").unwrap();
    store.commit(&next(2, 10)).unwrap();
    assert_eq!(reader.last_seq().unwrap(), 2);
}

#[test]
fn a_restarted_wal_is_truncated_completely() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    let (mut store, reader) = open(&path);
    store.commit(&next(1, 100_000)).unwrap();
    store.conn.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
    crate::write::checkpoint::truncate_tail(&store.conn, &path).unwrap();
    assert_eq!(store.last_commit().unwrap(), 1);
    store.commit(&next(2, 10)).unwrap();
    assert_eq!(reader.last_seq().unwrap(), 2);
    leave(dir.path(), "desk", "killed");
    let (mut killed, _reader) = open(&dir.path().join("killed.db"));
    assert_eq!(killed.recover().unwrap().last_seq, 2);
}

#[test]
fn a_commit_that_fails_in_its_last_step_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _reader) = open(&dir.path().join("desk.db"));
    // A deferred constraint is checked by COMMIT itself.
    let spoilt = "PRAGMA foreign_keys = ON; CREATE TABLE parent (id INTEGER PRIMARY KEY); \
                  CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED); \
                  CREATE TRIGGER spoil AFTER INSERT ON log BEGIN INSERT INTO child VALUES (9); END";
    store.conn.execute_batch(spoilt).unwrap();
    let refused = store.commit(&next(1, 10)).unwrap_err();
    assert!(matches!(refused, CommitError::Refused(_)), "{refused}");
    assert_eq!(store.last_commit().unwrap(), 0);
    store.conn.execute_batch("DROP TRIGGER spoil").unwrap();
    store.commit(&next(1, 10)).unwrap();
}

#[test]
fn a_transaction_left_open_does_not_block_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _reader) = open(&dir.path().join("desk.db"));
    store.conn.execute_batch("BEGIN IMMEDIATE; UPDATE store_meta SET last_commit = 77").unwrap();
    store.commit(&next(1, 10)).unwrap();
    store.conn.execute_batch("BEGIN IMMEDIATE; UPDATE store_meta SET last_commit = 77").unwrap();
    commit::append_noop(&store.conn).unwrap();
    assert_eq!(store.last_commit().unwrap(), 1);
}

#[test]
fn committed_data_survives_a_kill_and_uncommitted_data_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    let (mut store, _reader) = open(&path);
    for number in 1..=50 {
        store.commit(&next(number, 1_000)).unwrap();
    }
    // In the middle of a commit that has spilled pages into the log: the files as a kill would leave them.
    store.conn.execute_batch("PRAGMA cache_size = 2; BEGIN IMMEDIATE; UPDATE store_meta SET last_commit = 77").unwrap();
    for seq in 51..=80 {
        crate::records::log::append(&store.conn, &record(seq, 5_000)).unwrap();
    }
    leave(dir.path(), "desk", "killed");
    let (mut killed, reader) = open(&dir.path().join("killed.db"));
    let recovered = killed.recover().unwrap();
    assert_eq!((recovered.last_commit, recovered.last_seq), (50, 50));
    assert_eq!(killed.log_after(0, 100).unwrap().len(), 50);
    killed.commit(&next(51, 10)).unwrap();
    assert_eq!(reader.last_seq().unwrap(), 51);
}

#[test]
fn a_wal_torn_in_its_last_commit_recovers_to_the_previous_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    let (mut store, _reader) = open(&path);
    store.commit(&next(1, 1_000)).unwrap();
    store.commit(&next(2, 1_000)).unwrap();
    std::fs::copy(&path, dir.path().join("cut.db")).unwrap();
    let wal = std::fs::read(crate::files::wal_of(&path)).unwrap();
    std::fs::write(dir.path().join("cut.db-wal"), &wal[..wal.len() - 100]).unwrap();
    let (mut cut, _reader) = open(&dir.path().join("cut.db"));
    assert_eq!(cut.last_commit().unwrap(), 1);
}

#[test]
fn a_backup_is_a_store_and_overwrites_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, reader) = open(&dir.path().join("desk.db"));
    store.commit(&next(1, 1_000)).unwrap();
    let copy = dir.path().join("copy.db");
    reader.backup(&copy).unwrap();
    store.commit(&next(2, 1_000)).unwrap();
    assert_eq!(open(&copy).0.last_commit().unwrap(), 1);
    reader.backup(&copy).unwrap_err();
    assert_eq!(open(&copy).0.last_commit().unwrap(), 1);
}

#[test]
fn its_size_is_that_of_the_file_and_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, reader) = open(&dir.path().join("desk.db"));
    let before = reader.size_bytes();
    store.commit(&next(1, 100_000)).unwrap();
    assert!(reader.size_bytes() >= before + 100_000);
}
