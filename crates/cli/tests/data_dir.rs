//! Data directories that cannot be used: the error names the fault and its remedy, and the files stay as they are.
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

mod binary;

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use binary::{Running, Said, message, pabal, said};
use rusqlite::Connection;
use tempfile::TempDir;

/// A directory with the data of an instance that has ended.
async fn used() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    assert_eq!(running.post("/messages", &message("msg-1")).await.status, 201);
    running.settled().await;
    assert_eq!(running.terminate(), 0);
    let file = dir.path().join("pabal-data/rcs.db");
    (dir, file)
}

fn run(dir: &Path) -> Said {
    said(dir, &["run", "--port", "0"])
}

/// It does not start, says so in one sentence that names what is wrong, and leaves the file as it is.
fn refused(dir: &Path, file: &Path, words: &str) {
    let before = std::fs::read(file).unwrap();
    let run = run(dir);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.err.starts_with("error: ") && run.err.lines().count() == 1, "{run:?}");
    assert!(run.err.contains("pabal-data/rcs.db") && run.err.contains(words), "{run:?}");
    assert_eq!(std::fs::read(file).unwrap(), before);
}

#[tokio::test]
async fn a_second_process_names_the_owner_of_the_directory_and_does_not_disturb_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = Running::start(dir.path());
    for second in [run(dir.path()), said(dir.path(), &["run", "rcs", "--data", "pabal-data"])] {
        assert_eq!(second.code, 3);
        let expected = format!("the data directory pabal-data is in use by process {}", first.pid());
        assert!(second.err.contains(&expected), "{second:?}");
    }
    assert_eq!(first.post("/messages", &message("msg-1")).await.status, 201);
    assert_eq!(first.terminate(), 0);
    let third = Running::start(dir.path());
    assert_eq!(third.get("/messages").await["page"]["totalElements"], 1);
}

#[tokio::test]
async fn the_lock_of_a_killed_process_does_not_prevent_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    assert_eq!(running.post("/messages", &message("msg-1")).await.status, 201);
    running.kill();
    let running = Running::start(dir.path());
    assert_eq!(running.get("/messages").await["page"]["totalElements"], 1);
}

#[test]
fn a_file_is_no_directory() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pabal-data"), "hello").unwrap();
    for data in ["pabal-data", "pabal-data/below"] {
        let run = said(dir.path(), &["run", "--port", "0", "--data", data]);
        assert!(run.code == 3 && run.err.contains(&format!("the data directory {data} is not a directory")), "{run:?}");
    }
    assert_eq!(std::fs::read(dir.path().join("pabal-data")).unwrap(), b"hello");
}

#[cfg(unix)]
#[test]
fn a_directory_without_write_permission_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("pabal-data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o555)).unwrap();
    let run = unprivileged(dir.path(), &["run", "--port", "0"]);
    assert!(run.code == 3 && run.err.contains("the data directory pabal-data cannot be written"), "{run:?}");
    let doctor = unprivileged(dir.path(), &["doctor", "--port", "0"]);
    assert!(doctor.code == 1 && doctor.out.contains("cannot be written"), "{doctor:?}");
}

/// Runs a command as a user whom permissions bind: root runs a copy of the binary as `nobody`.
#[cfg(unix)]
fn unprivileged(dir: &Path, args: &[&str]) -> Said {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    let mut command = pabal(dir, args);
    if std::fs::metadata(dir).unwrap().uid() == 0 {
        // The binary may be below a directory that only root may enter.
        let copy = dir.join("pabal");
        std::fs::copy(command.get_program(), &copy).unwrap();
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        command = std::process::Command::new(copy);
        command.current_dir(dir).args(args).env_remove("RUST_LOG").gid(NOBODY).uid(NOBODY);
    }
    // A test beside this one that starts a process holds the copy open for writing until its child has become a program.
    for _ in 0..100 {
        match command.output() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            said => return said.unwrap().into(),
        }
    }
    panic!("the copy of the binary stays busy");
}

#[test]
fn a_directory_in_place_of_the_file_is_no_store() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("pabal-data/rcs.db")).unwrap();
    let run = run(dir.path());
    assert!(run.code == 3 && run.err.contains("pabal-data/rcs.db cannot be opened"), "{run:?}");
}

#[test]
fn a_text_file_is_no_store() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pabal-data/rcs.db");
    std::fs::create_dir(dir.path().join("pabal-data")).unwrap();
    std::fs::write(&file, "hello ".repeat(10_000)).unwrap();
    refused(dir.path(), &file, "is not a SQLite database; move it away, or name another data directory");
}

#[test]
fn the_database_of_another_program_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pabal-data/rcs.db");
    std::fs::create_dir(dir.path().join("pabal-data")).unwrap();
    Connection::open(&file).unwrap().execute_batch("CREATE TABLE bookmark (a); INSERT INTO bookmark VALUES (1)").unwrap();
    refused(dir.path(), &file, "is a SQLite database of another program");
}

#[tokio::test]
async fn a_store_of_a_later_version_is_not_opened() {
    let (dir, file) = used().await;
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    refused(dir.path(), &file, "has schema version 99, newer than");
    let events = said(dir.path(), &["events"]);
    assert!(events.code == 3 && events.err.contains("has schema version 99"), "{events:?}");
}

#[tokio::test]
async fn a_truncated_or_overwritten_store_is_reported_as_damaged() {
    let (dir, file) = used().await;
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    refused(dir.path(), &file, "is damaged");
    std::fs::write(&file, &whole).unwrap();
    let mut spoilt = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    spoilt.seek(SeekFrom::Start(100)).unwrap();
    spoilt.write_all(&[0xa5; 3_996]).unwrap();
    drop(spoilt);
    refused(dir.path(), &file, "is damaged");
    std::fs::write(&file, &whole).unwrap();
    let running = Running::start(dir.path());
    assert_eq!(running.get("/messages").await["page"]["totalElements"], 1);
}

#[tokio::test]
async fn after_an_orderly_stop_the_store_is_one_file_that_can_be_moved() {
    let (dir, file) = used().await;
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::create_dir(elsewhere.path().join("pabal-data")).unwrap();
    std::fs::copy(&file, elsewhere.path().join("pabal-data/rcs.db")).unwrap();
    drop(dir);
    let running = Running::start(elsewhere.path());
    let rows = running.get("/myMessages").await;
    assert_eq!(rows["_embedded"]["myMessages"][0]["result"], "send succeed");
}

#[test]
fn a_missing_data_directory_is_created_with_its_parents() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::of(pabal(dir.path(), &["run", "--port", "0", "--data", "a/b/c"]));
    assert!(dir.path().join("a/b/c/rcs.db").exists());
    assert_eq!(running.terminate(), 0);
}
