//! An event that cannot be handled is parked with its cause, does not block other keys, and is redriven or discarded.
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

mod binary;

use std::path::Path;

use binary::{Running, Said, message, pabal, said};
use rusqlite::Connection;

/// The state of a delivery becomes unreadable, as a fault of a program or of a disk might make it.
fn spoil(dir: &Path, data: &[u8]) -> Vec<u8> {
    let conn = Connection::open(dir.join("pabal-data/rcs.db")).unwrap();
    let before = conn.query_row("SELECT data FROM device__device WHERE key = 'msg-1'", [], |row| row.get(0)).unwrap();
    assert_eq!(conn.execute("UPDATE device__device SET data = ?1 WHERE key = 'msg-1'", [data]).unwrap(), 1);
    before
}

/// An instance with a short backoff, so that an event is soon a dead letter.
fn start(dir: &Path) -> Running {
    let mut command = pabal(dir, &["run", "--port", "0"]);
    command.env("PABAL_LIMITS__EVENT_RETRIES_MS", "1,1");
    Running::of(command)
}

fn letters(dir: &Path, running: &Running, args: &[&str]) -> Said {
    said(dir, &[&["dead-letters"], args, &["--url", &running.url]].concat())
}

#[tokio::test]
async fn an_event_that_cannot_be_handled_is_a_dead_letter_until_it_is_redriven() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    assert_eq!(running.post("/messages", &message("msg-1")).await.status, 201);
    running.settled().await;
    let none = letters(dir.path(), &running, &["list"]);
    assert_eq!((none.code, none.out.as_str()), (0, "there are no dead letters"));
    assert_eq!(running.terminate(), 0);

    let sound = spoil(dir.path(), b"{\"spoilt\":true}");
    let running = start(dir.path());
    assert_eq!(running.delete("/messages/1").await.status, 204);
    let listed =
        running.until("/admin/dead-letters", |answer| !answer["_embedded"]["deadLetters"].as_array().unwrap().is_empty()).await;
    let letter = &listed["_embedded"]["deadLetters"][0];
    let listed = letters(dir.path(), &running, &["list", "--json"]);
    assert_eq!(listed.json()[0]["event"]["type"], "Canceled", "{listed:?}");
    let shown = letters(dir.path(), &running, &["list"]);
    assert!(["rcs.device", "msg-1", "Canceled", "dead"].iter().all(|word| shown.out.contains(word)), "{shown:?}");

    // It does not block other keys.
    assert_eq!(running.post("/messages", &message("msg-2")).await.status, 201);
    running.until("/myMessages?messageId=msg-2", |answer| answer.to_string().contains("send succeed")).await;
    assert_eq!(running.get("/readyz").await["status"], "UP");

    let unknown = letters(dir.path(), &running, &["redrive", "rcs.device", "no-such"]);
    assert!(unknown.code == 1 && unknown.err.contains("no event of rcs.device is parked under the key no-such"), "{unknown:?}");
    let place = letter["position"].as_u64().unwrap();
    assert_eq!(running.terminate(), 0);

    // It outlives the process, and is handled once its row can be read.
    spoil(dir.path(), &sound);
    let running = start(dir.path());
    assert_eq!(letters(dir.path(), &running, &["list", "--json"]).json()[0]["position"], place);
    let redriven = letters(dir.path(), &running, &["redrive", "rcs.device", "msg-1"]);
    assert_eq!(redriven.code, 0, "{redriven:?}");
    running.until("/devices", |answer| answer["_embedded"]["devices"][0]["result"] == "CANCEL").await;
    running
        .until("/admin/dead-letters?parked=true", |answer| answer["_embedded"]["deadLetters"].as_array().unwrap().is_empty())
        .await;
    assert_eq!(letters(dir.path(), &running, &["list", "--all"]).out, "no events are parked");
}

#[tokio::test]
async fn a_discarded_event_is_gone_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    assert_eq!(running.post("/messages", &message("msg-1")).await.status, 201);
    running.settled().await;
    assert_eq!(running.terminate(), 0);
    let sound = spoil(dir.path(), b"not even JSON");
    let running = start(dir.path());
    assert_eq!(running.delete("/messages/1").await.status, 204);
    running.until("/admin/dead-letters", |answer| !answer["_embedded"]["deadLetters"].as_array().unwrap().is_empty()).await;
    let place = letters(dir.path(), &running, &["list", "--json"]).json()[0]["position"].to_string();
    let discarded = letters(dir.path(), &running, &["discard", "rcs.device", "msg-1", &place]);
    assert_eq!(discarded.code, 0, "{discarded:?}");
    running.until("/admin/dead-letters", |answer| answer["_embedded"]["deadLetters"].as_array().unwrap().is_empty()).await;
    assert_eq!(running.terminate(), 0);
    spoil(dir.path(), &sound);
    let running = start(dir.path());
    assert_eq!(running.get("/devices").await["_embedded"]["devices"][0]["result"], "send succeed");
}
