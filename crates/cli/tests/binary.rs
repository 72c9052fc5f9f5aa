//! The real binary, as a person, an orchestrator and a script use it.
#![allow(clippy::unwrap_used)] // helpers of tests, too, may say what they expect

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

fn pabal(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pabal"));
    command.current_dir(dir).args(args).env_remove("RUST_LOG");
    command
}

fn done(dir: &Path, args: &[&str]) -> Output {
    pabal(dir, args).output().unwrap()
}

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// An instance on a port that was free. It ends with the test, however that ends.
struct Running {
    child: Child,
    url: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

impl Running {
    fn start(dir: &Path) -> Self {
        let mut child = pabal(dir, &["run", "--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap());
        let port = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended before it ran");
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["message"] == "running" {
                break line["port"].clone();
            }
        };
        // A log that nobody reads would stop who writes it.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, url: format!("http://127.0.0.1:{port}") }
    }

    async fn post(&self, path: &str, body: &Value) -> u16 {
        let answer = reqwest::Client::new().post(format!("{}{path}", self.url)).json(body).send().await.unwrap();
        answer.status().as_u16()
    }

    async fn get(&self, path: &str) -> Value {
        reqwest::get(format!("{}{path}", self.url)).await.unwrap().json().await.unwrap()
    }

    /// Asks again until it is so; what is promised within a second is not waited for longer than ten.
    async fn until(&self, path: &str, so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..100 {
            let answer = self.get(path).await;
            if so(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{path} never came to what was expected");
    }

    fn terminate(mut self) -> i32 {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        self.child.wait().unwrap().code().unwrap()
    }
}

fn message(id: &str) -> Value {
    json!({"messageId": id, "userContact": "01012341234", "mno": "kt", "chatbotId": "0801234567", "description": "test"})
}

#[tokio::test]
async fn a_message_goes_all_the_way_and_every_command_sees_it() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    assert_eq!(running.post("/messages", &message("msg-1")).await, 201);
    let rows = running.until("/myMessages", |answer| answer["_embedded"]["myMessages"][0]["result"] == "send succeed").await;
    assert_eq!(rows["page"]["totalElements"], 1);

    let url = ["--url", running.url.as_str()];
    let (code, out, _) = said(&done(dir.path(), &["events", "--topic", "messagesenderlhg", "--from-beginning"]));
    let last: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!((code, &last["eventType"], &last["messageId"]), (0, &json!("SendSucceed"), &json!("msg-1")));
    assert!(
        last["timestamp"].is_u64() && out.lines().last().unwrap().starts_with("{\"eventType\":\"SendSucceed\",\"timestamp\":")
    );
    let (code, out, _) = said(&done(dir.path(), &["events", "--key", "msg-1", "--type", "SendSuccess", "--json"]));
    let only: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &only["key"], &only["value"]["mno"]), (0, &json!("msg-1"), &json!("kt")));

    assert_eq!(said(&done(dir.path(), &[&["health", "ready"], &url[..]].concat())).0, 0);
    let letters = said(&done(dir.path(), &[&["dead-letters", "list"], &url[..]].concat()));
    assert_eq!((letters.0, letters.1.as_str()), (0, "there are no dead letters"));
    let redrive = said(&done(dir.path(), &[&["dead-letters", "redrive", "rcs.device", "no-such"], &url[..]].concat()));
    assert!(redrive.0 == 1 && redrive.2.contains("nothing of rcs.device waits under the key no-such"), "{redrive:?}");
    let replayed = said(&done(dir.path(), &[&["replay", "rcs/myMessages"], &url[..]].concat()));
    assert_eq!((replayed.0, replayed.1.as_str()), (0, "myMessages is rebuilt"), "{replayed:?}");
    assert_eq!(running.get("/myMessages").await["page"]["totalElements"], 1);

    let second = said(&done(dir.path(), &["run", "--port", "0"]));
    assert!(second.0 == 3 && second.2.contains("is in use by process"), "{second:?}");
    assert_eq!(running.terminate(), 0);
}

#[tokio::test]
async fn a_second_start_finds_everything_and_sows_nothing_again() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let sown = running.get("/chatbots").await["page"]["totalElements"].clone();
    assert_eq!(running.post("/messages", &message("msg-1")).await, 201);
    let delivered = |answer: &Value| answer["_embedded"]["myMessages"][0]["result"] == "send succeed";
    running.until("/myMessages", delivered).await;
    assert_eq!(running.terminate(), 0);
    let running = Running::start(dir.path());
    assert!(sown.as_u64().unwrap() > 0);
    assert_eq!(running.get("/chatbots").await["page"]["totalElements"], sown);
    assert!(delivered(&running.get("/myMessages").await));
    assert_eq!(running.terminate(), 0);
}

#[tokio::test]
async fn the_board_is_served_beside_what_runs() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let board = running.get("/board.json").await;
    assert!(board["nodes"].as_array().unwrap().iter().any(|node| node["name"] == "SendSuccess"));
    let page = reqwest::get(format!("{}/board", running.url)).await.unwrap().text().await.unwrap();
    assert!(page.starts_with("<!doctype html>"));
    assert_eq!(running.terminate(), 0);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, _, why) = said(&done(dir.path(), &["run", "--port", &port]));
    assert!(code == 3 && why.starts_with(&format!("error: port {port} of 127.0.0.1 is in use")), "{why}");
}

#[test]
fn everybody_is_let_in_from_elsewhere_only_if_somebody_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, why) = said(&done(dir.path(), &["run", "--host", "0.0.0.0"]));
    assert!(code == 2 && why.contains("auth.allow_remote"), "{why}");
}

#[test]
fn what_is_set_is_shown_with_where_it_comes_from() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pabal.toml"), "[log]\nlevel = \"debug\"").unwrap();
    let output = pabal(dir.path(), &["config", "--json", "--port", "9"]).env("PABAL_ZONE", "UTC").output().unwrap();
    let (code, out, _) = said(&output);
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0);
    assert_eq!(shown["log.level"], json!({"value": "debug", "source": "pabal.toml"}));
    assert_eq!(shown["zone"], json!({"value": "UTC", "source": "PABAL_ZONE"}));
    assert_eq!(shown["http.port"], json!({"value": 9, "source": "--port"}));
    assert_eq!(shown["rcs.night"], json!({"value": "hold", "source": "default"}));
}

#[test]
fn a_wrong_key_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let output = pabal(dir.path(), &["config"]).env("PABAL_HTTP__PROT", "1").output().unwrap();
    let (code, _, why) = said(&output);
    assert_eq!((code, why.as_str()), (2, "error: PABAL_HTTP__PROT: there is no setting `http.prot`; did you mean `http.port`?"));
}

#[test]
fn nobody_there_is_an_error_that_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, why) = said(&done(dir.path(), &["health", "live", "--url", "http://127.0.0.1:1"]));
    assert!(code == 3 && why.contains("http://127.0.0.1:1 cannot be reached"), "{why}");
    let (code, _, why) = said(&done(dir.path(), &["events"]));
    assert!(code == 3 && why.contains("there is no log in pabal-data yet"), "{why}");
}

#[test]
fn the_board_is_drawn_in_every_form() {
    let dir = tempfile::tempdir().unwrap();
    assert!(said(&done(dir.path(), &["map"])).1.starts_with("flowchart LR"));
    assert!(said(&done(dir.path(), &["map", "rcs", "--format", "svg"])).1.ends_with("</svg>"));
    assert_eq!(said(&done(dir.path(), &["map", "-o", "board.html"])).0, 0);
    assert!(std::fs::read_to_string(dir.path().join("board.html")).unwrap().contains("SendSuccess"));
    assert_eq!(said(&done(dir.path(), &["map", "no-such"])).0, 2);
}

#[test]
fn a_healthy_machine_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, _) = said(&done(dir.path(), &["doctor", "--json", "--port", "0"]));
    let findings: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0, "{findings}");
    assert!(findings.as_array().unwrap().iter().any(|finding| finding["check"] == "SQLite" && finding["verdict"] == "ok"));
    assert!(!dir.path().join("pabal-data").exists(), "looking leaves nothing behind");
}

#[test]
fn completions_are_for_the_name_it_goes_by() {
    let dir = tempfile::tempdir().unwrap();
    assert!(said(&done(dir.path(), &["completions", "bash"])).1.contains("complete -F _pabal"));
}
