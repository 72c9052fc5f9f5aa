//! Both systems in one process: a message that is delivered earns its reader a point.
#![allow(clippy::unwrap_used)] // helpers of tests, too, may say what they expect

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

/// Starts the binary and reads from its log at which port it runs.
fn start(data: &std::path::Path) -> (Running, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_points"));
    let mut child =
        command.args(["run", "--port", "0", "--data"]).arg(data).env_remove("RUST_LOG").stdout(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"message\":\"running\"") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "it ended before it ran");
    }
    let said: Value = serde_json::from_str(&line).unwrap();
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    (Running(child), format!("http://127.0.0.1:{}", said["port"]))
}

#[test]
fn both_systems_are_well_declared_and_the_event_that_is_waited_for_is_published() {
    assert_eq!(ports::model::check_installation(&[rcs::system(), points::system()]), Ok(()));
}

#[tokio::test]
async fn a_delivered_message_earns_a_point_that_can_be_spent_once() {
    let dir = tempfile::tempdir().unwrap();
    let (_running, url) = start(dir.path());
    let http = reqwest::Client::new();
    let message =
        json!({"messageId": "msg-1", "userContact": "01012341234", "mno": "kt", "chatbotId": "0801234567", "description": "hi"});
    assert_eq!(http.post(format!("{url}/messages")).json(&message).send().await.unwrap().status(), 201);
    let search = format!("{url}/points/search/findByUserContact?userContact=01012341234");
    let mut points = Value::Null;
    for _ in 0..100 {
        let answer: Value = http.get(&search).send().await.unwrap().json().await.unwrap();
        points = answer["_embedded"]["points"][0].clone();
        if points["points"] == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(points["points"], 1, "{points}");
    let spend = points["_links"]["spend"]["href"].as_str().unwrap().to_owned();
    let spend = format!("{url}{}", &spend[spend.find("/points/").unwrap()..]);
    assert_eq!(http.put(&spend).json(&json!({"points": 1})).send().await.unwrap().status(), 200);
    let again = http.put(&spend).json(&json!({"points": 1})).send().await.unwrap().status();
    assert_eq!(again, 409);
}
