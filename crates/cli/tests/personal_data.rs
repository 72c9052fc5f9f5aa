//! Personal data is in no log, at any level and after any fault.
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

mod binary;

use binary::{Running, answered, pabal};
use reqwest::Method;
use rusqlite::Connection;
use serde_json::json;

const TEXT: &str = "우리끼리의 비밀 이야기";

/// Any form in which the number below could be written.
const NUMBER: [&str; 4] = ["01056781234", "010-5678-1234", "1056781234", "5678-1234"];

/// All that clients do, right and wrong, with personal data wherever it can stand.
async fn traffic(running: &Running) {
    for (id, number) in
        [("msg-1", "01056781234"), ("msg-2", "010-5678-1234"), ("msg-3", "+821056781234"), ("msg-4", "01056781234x")]
    {
        let body = json!({"messageId": id, "userContact": number, "mno": "kt", "chatbotId": "0801234567", "description": TEXT});
        assert_eq!(running.post("/messages", &body).await.status, 201);
    }
    let other = json!({"messageId": "msg-1", "userContact": "01056781234", "chatbotId": "0801234567", "description": TEXT});
    assert_eq!(running.post("/messages", &other).await.status, 409);
    let wrong = json!({"userContact": "01056781234", "chatbotId": 1, "mno": TEXT, "description": TEXT, "sendTime": TEXT});
    assert_eq!(running.post("/messages", &wrong).await.status, 400);
    let broken = format!("{{\"userContact\":\"01056781234\",\"description\":\"{TEXT}");
    let posted = running.request(Method::POST, "/messages").header("content-type", "application/json").body(broken);
    assert_eq!(answered(posted).await.unwrap().status, 400);
    let put = running.request(Method::PUT, "/messages/1").json(&other);
    assert_eq!(answered(put).await.unwrap().status, 409);
    assert_eq!(running.post("/consents", &json!({"userContact": "01056781234"})).await.status, 201);
    assert_eq!(running.post("/consents", &json!({"userContact": "01056781234x"})).await.status, 400);
    for (path, status) in [
        ("/consents/search/findByUserContact?userContact=01056781234", 200),
        ("/myMessages?userContact=01056781234", 200),
        ("/messages/01056781234", 404),
        ("/01056781234", 404),
        ("/messages/1/01056781234", 404),
        ("/admin/events?key=01056781234", 200),
    ] {
        assert_eq!(answered(running.request(Method::GET, path)).await.unwrap().status, status, "{path}");
    }
    assert_eq!(running.delete("/messages/1").await.status, 204);
    running.settled().await;
}

async fn logged(level: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let mut command = pabal(dir.path(), &["run", "--port", "0"]);
    command.env("PABAL_LOG__LEVEL", level);
    let running = Running::of(command);
    traffic(&running).await;
    running.signal("TERM");
    running.until_logged("stopped").await
}

fn says_nothing(log: &[String]) {
    assert!(log.len() > 10, "{log:?}");
    let leaked: Vec<_> =
        log.iter().filter(|line| line.contains(TEXT) || NUMBER.iter().any(|number| line.contains(number))).collect();
    assert!(leaked.is_empty(), "{leaked:#?}");
}

#[tokio::test]
async fn the_log_at_its_default_level_has_no_personal_data() {
    says_nothing(&logged("info").await);
}

#[tokio::test]
async fn the_log_at_its_finest_level_has_no_personal_data() {
    says_nothing(&logged("debug").await);
    says_nothing(&logged("trace").await);
}

/// An error about a row that cannot be read must not quote the row.
#[tokio::test]
async fn a_logged_fault_does_not_quote_the_row() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    traffic(&running).await;
    assert_eq!(running.terminate(), 0);
    let conn = Connection::open(dir.path().join("pabal-data/rcs.db")).unwrap();
    for table in ["device__device", "validator__validator", "message__message", "dashboard__my_messages"] {
        let spoilt = format!("{{\"letter\":\"{TEXT} 01056781234\",\"id\":\"{TEXT} 01056781234\"}}");
        assert!(conn.execute(&format!("UPDATE {table} SET data = ?1"), [spoilt.as_bytes()]).unwrap() > 0);
    }
    drop(conn);
    let mut command = pabal(dir.path(), &["run", "--port", "0"]);
    command.env("PABAL_LIMITS__EVENT_RETRIES_MS", "1");
    let running = Running::of(command);
    // A row of a view is shown as it is stored.
    for path in ["/myMessages/1", "/myMessages"] {
        assert_eq!(answered(running.request(Method::GET, path)).await.unwrap().status, 200, "{path}");
    }
    for path in ["/devices/1", "/validators/1", "/messages/1"] {
        let answer = answered(running.request(Method::GET, path)).await.unwrap();
        assert!(answer.is_problem(500) && !answer.body.to_string().contains(TEXT), "{path}: {answer:?}");
    }
    for id in 1..=4 {
        running.delete(&format!("/messages/{id}")).await;
    }
    assert_eq!(running.post("/messages", &json!({"userContact": "01056781234", "chatbotId": "1"})).await.status, 201);
    running.signal("TERM");
    says_nothing(&running.until_logged("stopped").await);
}
