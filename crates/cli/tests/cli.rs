//! The commands, as a person and a script use them, beside an instance that runs and without one.
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

mod binary;

use std::path::Path;

use binary::{Running, message, pabal, said};
use serde_json::{Value, json};
use tempfile::TempDir;

/// An instance with a message that was delivered, one that was refused, and one that was canceled too late.
async fn with_traffic() -> (TempDir, Running) {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    for (id, chatbot) in [("msg-1", "0801234567"), ("msg-2", "0809999999"), ("msg-3", "0801234567")] {
        let mut body = message(id);
        body["chatbotId"] = json!(chatbot);
        body["sendTime"] = json!("2024-09-23");
        assert_eq!(running.post("/messages", &body).await.status, 201);
    }
    // Delivered before it is canceled, so that the events are the same in every run.
    running.settled().await;
    assert_eq!(running.delete("/messages/3").await.status, 204);
    running.settled().await;
    (dir, running)
}

fn topic(dir: &Path) -> Vec<Value> {
    let events = said(dir, &["events", "--topic", "messagesenderlhg", "--from-beginning"]);
    assert_eq!((events.code, events.err.as_str()), (0, ""));
    events.lines()
}

#[tokio::test]
async fn the_topic_is_printed_as_its_consumers_read_it() {
    let (dir, running) = with_traffic().await;
    let beside = topic(dir.path());
    assert_eq!(running.terminate(), 0);
    assert_eq!(topic(dir.path()), beside, "also while no process runs");
    for event in &beside {
        assert!(event["eventType"].is_string() && event["timestamp"].as_u64().unwrap() > 1_700_000_000_000, "{event}");
    }
    let letter = ["messageId", "userContact", "mno", "sendTime", "chatbotId", "description"];
    let contract = [
        ("SendSuccess", 3, &letter[..], &[][..]),
        ("ValidateSucceed", 2, &letter[..], &["policyInfo"][..]),
        ("ValidateFailed", 1, &letter[..], &["policyInfo"][..]),
        ("SendSucceed", 2, &letter[..], &["result"][..]),
        ("Canceled", 1, &["messageId"][..], &[][..]),
    ];
    for (kind, times, texts, more) in contract {
        let found: Vec<_> = beside.iter().filter(|event| event["eventType"] == kind).collect();
        assert_eq!(found.len(), times, "{kind}: {found:?}");
        for event in found {
            assert!(event["id"].is_u64(), "{event}");
            assert!(texts.iter().chain(more).all(|field| event[field].is_string()), "{event}");
        }
    }
    let sent = beside.iter().find(|event| event["eventType"] == "SendSucceed").unwrap();
    assert_eq!((&sent["result"], &sent["sendTime"], &sent["id"]), (&json!("send succeed"), &json!("2024-09-23"), &json!(1)));
}

#[tokio::test]
async fn a_line_begins_with_its_type_and_its_time() {
    let (dir, _running) = with_traffic().await;
    let events = said(dir.path(), &["events", "--topic", "messagesenderlhg", "--key", "msg-1", "--type", "SendSuccess"]);
    let value = &events.lines()[0];
    assert!(events.out.starts_with(&format!("{{\"eventType\":\"SendSuccess\",\"timestamp\":{},\"", value["timestamp"])));
    assert!(!events.out.contains(": ") && events.out.lines().count() == 1, "{}", events.out);
}

#[tokio::test]
async fn events_are_filtered_by_their_metadata() {
    let (dir, running) = with_traffic().await;
    let of = |args: &[&str]| {
        let events = said(dir.path(), &[&["events", "--json"], args].concat());
        assert_eq!(events.code, 0, "{events:?}");
        events.lines()
    };
    let all = of(&["--from-beginning"]);
    let seqs: Vec<_> = all.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=all.len() as u64).collect::<Vec<_>>(), "in order, without gaps");

    let mine = of(&["--key", "msg-1"]);
    let kinds: Vec<_> = mine.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["SendSuccess", "ValidateSucceed", "SendSucceed"]);
    for event in &mine {
        assert!(event["key"] == "msg-1" && event["system"] == "rcs" && event["value"]["messageId"] == "msg-1", "{event}");
        assert_eq!(event["value"]["eventType"], event["type"]);
        assert_eq!(event["cause"]["request"], mine[0]["cause"]["request"], "one request has caused them all");
    }
    let request = mine[0]["cause"]["request"].as_str().unwrap();
    assert_eq!(of(&["--request", request]), mine);
    assert_eq!(of(&["--key", "nobody"]), Vec::<Value>::new());
    assert_eq!(of(&["--from-beginning", "--limit", "2"]), all[..2]);
    assert_eq!(of(&["--limit", "2"]), all[all.len() - 2..]);
    assert_eq!(of(&["--since", "1h"]), all);
    assert_eq!(of(&["--until", "1h"]), Vec::<Value>::new());
    assert_eq!(running.terminate(), 0);
    assert_eq!(of(&["--key", "msg-1"]), mine);
}

#[tokio::test]
async fn followed_events_are_printed_as_they_are_committed() {
    use std::io::{BufRead, BufReader};
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let mut command =
        pabal(dir.path(), &["events", "--topic", "messagesenderlhg", "--follow", "--type", "SendSucceed", "--limit", "2"]);
    let mut following = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(following.stdout.take().unwrap()).lines();
    for id in ["msg-1", "msg-2"] {
        assert_eq!(running.post("/messages", &message(id)).await.status, 201);
    }
    let seen: Vec<Value> =
        tokio::task::spawn_blocking(move || lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect())
            .await
            .unwrap();
    let ids: Vec<_> = seen.iter().map(|event| event["messageId"].as_str().unwrap()).collect();
    assert_eq!(ids, ["msg-1", "msg-2"]);
    assert!(following.wait().unwrap().success(), "so many were asked for, and came");
}

#[test]
fn reading_a_missing_log_fails_and_creates_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let events = said(dir.path(), &["events"]);
    assert!(events.code == 3 && events.err.contains("there is no log in pabal-data yet"), "{events:?}");
    let unknown = said(dir.path(), &["events", "--topic", "nothing"]);
    assert!(unknown.code == 2 && unknown.err.contains("there is messagesenderlhg"), "{unknown:?}");
    assert!(!dir.path().join("pabal-data").exists());
}

#[tokio::test]
async fn a_view_that_is_replayed_is_the_same_as_before() {
    let (dir, running) = with_traffic().await;
    let before = (running.all("myMessages").await, running.get("/myMessages/totals").await);
    let url = ["--url", running.url.as_str()];
    for view in ["myMessages", "rcs/myMessages"] {
        let replayed = said(dir.path(), &[&["replay", view], &url[..]].concat());
        assert_eq!((replayed.code, replayed.out.as_str()), (0, "myMessages is rebuilt"), "{replayed:?}");
        for (row, same) in running.all("myMessages").await.iter().zip(&before.0) {
            assert_eq!(row, same);
        }
        assert_eq!((running.all("myMessages").await.len(), running.get("/myMessages/totals").await), (3, before.1.clone()));
    }
    let unknown = said(dir.path(), &[&["replay", "nothing"], &url[..]].concat());
    assert!(unknown.code == 1 && unknown.err.contains("nothing"), "{unknown:?}");
}

#[tokio::test]
async fn health_is_an_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let url = running.url.clone();
    let asked = |what| said(dir.path(), &["health", what, "--url", &url]);
    assert_eq!((asked("live").code, asked("live").out.as_str()), (0, "live"));
    assert_eq!((asked("ready").code, asked("ready").out.as_str()), (0, "ready"));
    let by_variable = pabal(dir.path(), &["health", "ready"]).env("PABAL_URL", &url).output().unwrap();
    assert!(by_variable.status.success());
    assert_eq!(running.terminate(), 0);
    let gone = asked("live");
    assert!(gone.code == 3 && gone.err.contains(&format!("{url} cannot be reached")), "{gone:?}");
    assert_eq!(said(dir.path(), &["health", "fine"]).code, 2);
}

#[test]
fn the_board_is_drawn_in_every_form() {
    let dir = tempfile::tempdir().unwrap();
    let drawn = |format| said(dir.path(), &["map", "rcs", "--format", format]).out;
    assert!(said(dir.path(), &["map"]).out.starts_with("flowchart LR"));
    assert!(drawn("mermaid").contains("SendSuccess"));
    assert!(drawn("svg").starts_with("<svg") && drawn("svg").ends_with("</svg>"));
    assert!(drawn("html").starts_with("<!doctype html>"));
    assert_eq!(said(dir.path(), &["map", "-o", "board.html"]).code, 0);
    assert!(std::fs::read_to_string(dir.path().join("board.html")).unwrap().contains("SendSuccess"));
    assert!(said(dir.path(), &["map", "-o", "-"]).out.starts_with("flowchart LR"));
    assert!(!dir.path().join("-").exists(), "`-` is the standard output");
    let nowhere = said(dir.path(), &["map", "-o", "no/such/board.svg"]);
    assert!(nowhere.code == 1 && nowhere.err.contains("no/such/board.svg cannot be written"), "{nowhere:?}");
    assert_eq!(said(dir.path(), &["map", "no-such"]).code, 2);
}

#[test]
fn settings_are_shown_with_their_source() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pabal.toml"), "[log]\nlevel = \"debug\"").unwrap();
    let shown = pabal(dir.path(), &["config", "--json", "--port", "9"]).env("PABAL_ZONE", "UTC").output().unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["log.level"], json!({"value": "debug", "source": "pabal.toml"}));
    assert_eq!(shown["zone"], json!({"value": "UTC", "source": "PABAL_ZONE"}));
    assert_eq!(shown["http.port"], json!({"value": 9, "source": "--port"}));
    assert_eq!(shown["rcs.night"], json!({"value": "hold", "source": "default"}));
}

#[test]
fn an_invalid_setting_is_named_with_its_source() {
    let dir = tempfile::tempdir().unwrap();
    let with = |name: &str, value: &str| {
        let said: binary::Said = pabal(dir.path(), &["run", "--port", "0"]).env(name, value).output().unwrap().into();
        (said.code, said.err)
    };
    let (code, why) = with("PABAL_HTTP__PROT", "1");
    assert_eq!((code, why.as_str()), (2, "error: PABAL_HTTP__PROT: there is no setting `http.prot`; did you mean `http.port`?"));
    for (name, value) in [
        ("PABAL_LIMITS__QUEUE", "many"),
        ("PABAL_ZONE", "Asia/Soul"),
        ("PABAL_RCS__NIGHT", "sleep"),
        ("PABAL_HTTP__HOST", "0.0.0.0"),
    ] {
        let (code, why) = with(name, value);
        assert!(code == 2 && why.starts_with("error: ") && why.lines().count() == 1, "{name}: {why}");
    }
    std::fs::write(dir.path().join("pabal.toml"), "[log]\nlevel = \n").unwrap();
    let broken = said(dir.path(), &["config"]);
    assert!(broken.code == 2 && broken.err.starts_with("error: pabal.toml, line 2: "), "{broken:?}");
    assert!(!dir.path().join("pabal-data").exists());
}

#[tokio::test]
async fn the_doctor_tells_sound_from_broken() {
    let dir = tempfile::tempdir().unwrap();
    let healthy = said(dir.path(), &["doctor", "--json", "--port", "0"]);
    let findings = healthy.json();
    assert_eq!(healthy.code, 0, "{findings}");
    assert!(findings.as_array().unwrap().iter().any(|finding| finding["check"] == "SQLite" && finding["verdict"] == "ok"));
    assert!(!dir.path().join("pabal-data").exists(), "looking leaves nothing behind");
    let running = Running::start(dir.path());
    let beside = said(dir.path(), &["doctor", "--port", running.url.rsplit(':').next().unwrap()]);
    assert!(beside.code == 0 && beside.out.contains(&format!("in use by process {}", running.pid())), "{beside:?}");
    assert_eq!(running.terminate(), 0);
    std::fs::write(dir.path().join("file"), "").unwrap();
    let ill = said(dir.path(), &["doctor", "--port", "0", "--data", "file"]);
    assert!(ill.code == 1 && ill.out.contains("BAD") && ill.out.contains("is not a directory"), "{ill:?}");
}

#[test]
fn completions_are_for_the_name_of_the_binary() {
    let dir = tempfile::tempdir().unwrap();
    for (shell, word) in [("bash", "complete -F _pabal"), ("zsh", "#compdef pabal"), ("fish", "complete -c pabal")] {
        assert!(said(dir.path(), &["completions", shell]).out.contains(word), "{shell}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let run = said(dir.path(), &["run", "--port", &port]);
    assert!(run.code == 3 && run.err.starts_with(&format!("error: port {port} of 127.0.0.1 is in use")), "{run:?}");
}

#[tokio::test]
async fn links_name_the_bound_port_where_a_request_names_no_host() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let authority = running.url.trim_start_matches("http://");
    let mut raw = tokio::net::TcpStream::connect(authority).await.unwrap();
    raw.write_all(b"GET /messages HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    raw.read_to_string(&mut answer).await.unwrap();
    let port = authority.rsplit(':').next().unwrap();
    assert!(answer.contains(&format!("http://localhost:{port}/messages")), "{answer}");
}

#[tokio::test]
async fn a_second_start_seeds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let seeded = running.get("/chatbots").await["page"]["totalElements"].as_u64().unwrap();
    assert_eq!(running.terminate(), 0);
    let running = Running::start(dir.path());
    assert!(seeded > 0);
    assert_eq!(running.get("/chatbots").await["page"]["totalElements"], seeded);
}

#[tokio::test]
async fn the_board_of_a_running_process_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let board = running.get("/board.json").await;
    assert!(board["nodes"].as_array().unwrap().iter().any(|node| node["name"] == "SendSuccess"));
    assert!(running.get("/board").await.as_str().unwrap().starts_with("<!doctype html>"));
}
