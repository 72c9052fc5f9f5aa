//! The sums that must agree, whatever has happened: what clients know, messages, view, totals, events.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::chance::Chance;
use super::{Answer, Running, answered, said};

/// Handsets whose answer comes at once, good or bad.
const NUMBERS: [&str; 8] =
    ["01012341234", "01000000001", "01000000002", "01000000005", "01000000009", "01000000010", "01000000011", "no number at all"];

/// What clients know.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    /// Everything that was ever sent, by `messageId`.
    pub sent: BTreeMap<String, Value>,
    /// What was answered with 201 or 200, and its id.
    pub accepted: BTreeMap<String, u64>,
    /// What was answered with a refusal that says that nothing has changed.
    pub refused: BTreeSet<String>,
    /// Cancels that were answered with 204.
    pub canceled: BTreeSet<String>,
    /// Cancels that were sent, whatever came of them.
    pub canceling: BTreeSet<String>,
}

/// A ledger that several clients keep.
pub type Shared = Arc<Mutex<Ledger>>;

/// One client: sends messages and takes some of them back, until the connection breaks or `end` of them are sent.
pub async fn client(client: Client, url: String, ledger: Shared, mut chance: Chance, name: String, end: u64) {
    for number in 0..end {
        let id = format!("{name}-{number}");
        let body = draft(&mut chance, &id);
        ledger.lock().unwrap().sent.insert(id.clone(), body.clone());
        let Ok(answer) = answered(client.post(format!("{url}/messages")).json(&body)).await else { return };
        note(&ledger, &id, &answer);
        if chance.percent(25) {
            let known = ledger.lock().unwrap().accepted.get(&id).copied();
            let Some(row) = known else { continue };
            ledger.lock().unwrap().canceling.insert(id.clone());
            let Ok(answer) = answered(client.request(Method::DELETE, format!("{url}/messages/{row}"))).await else { return };
            match answer.status {
                204 => drop(ledger.lock().unwrap().canceled.insert(id)),
                409 | 503 => {}
                _ => panic!("{answer:?}"),
            }
        }
    }
}

fn draft(chance: &mut Chance, id: &str) -> Value {
    let chatbot = if chance.percent(90) { "0801234567" } else { "0809999999" };
    let number = chance.one_of(&NUMBERS);
    let text = "가".repeat(usize::try_from(chance.below(60)).unwrap());
    json!({"messageId": id, "userContact": number, "mno": "kt", "chatbotId": chatbot, "description": format!("{id} {text}")})
}

fn note(ledger: &Shared, id: &str, answer: &Answer) {
    let mut ledger = ledger.lock().unwrap();
    match answer.status {
        200 | 201 => drop(ledger.accepted.insert(id.to_owned(), answer.body["id"].as_u64().unwrap())),
        503 => {
            assert!(answer.is_problem(503) && !answer.header("retry-after").is_empty(), "{answer:?}");
            // A request that was in flight at the end may or may not have changed something.
            if answer.body["type"] == "/problems/unavailable" || answer.body["type"] == "/problems/overloaded" {
                ledger.refused.insert(id.to_owned());
            }
        }
        _ => panic!("{answer:?}"),
    }
}

impl Running {
    /// Waits until nothing is in flight: the status must be newer than all requests so far.
    pub async fn settled(&self) {
        let asked_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        self.until("/admin/subscriptions", |answer| {
            let status = &answer["systems"][0]["status"];
            let caught_up = |all: &Vec<Value>| all.iter().all(|subscription| subscription["lag"] == 0);
            let since = status["heartbeatMs"].as_u64().is_some_and(|heartbeat_ms| u128::from(heartbeat_ms) > asked_ms);
            since && status["effects"] == 0 && status["subscriptions"].as_array().is_some_and(caught_up)
        })
        .await;
        self.until("/myMessages?result=accepted", |answer| answer["page"]["totalElements"] == 0).await;
    }
}

/// Everything agrees with everything; the instance must be settled.
pub async fn agree(running: &Running, ledger: &Ledger) {
    let (messages, view) = (by_message(&running.all("messages").await), by_message(&running.all("myMessages").await));
    assert_eq!(messages.keys().collect::<Vec<_>>(), view.keys().collect::<Vec<_>>(), "a message has one row, a row its message");
    for (id, row) in &ledger.accepted {
        let message = messages.get(id).unwrap_or_else(|| panic!("{id} was answered with 201 and is lost"));
        assert_eq!(message["id"], *row, "{id}");
    }
    for (id, message) in &messages {
        let sent = ledger.sent.get(id).unwrap_or_else(|| panic!("{id} was never sent"));
        assert!(!ledger.refused.contains(id), "{id} was refused because nothing could change, and is there");
        one_agrees(sent, message, &view[id]);
        let canceled = message["status"] == "CANCELED";
        assert!(!canceled || ledger.canceling.contains(id), "{id} was canceled without a request");
        let given_back = canceled || message["tooLate"].is_string();
        assert!(given_back || !ledger.canceled.contains(id), "the cancel of {id} was answered with 204 and is lost: {message}");
    }
    totals_agree(running, &view).await;
    let letters = running.get("/admin/dead-letters?parked=true").await;
    assert_eq!(letters["_embedded"]["deadLetters"], json!([]));
}

fn by_message(rows: &[Value]) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for row in rows {
        let twice = found.insert(row["messageId"].as_str().unwrap().to_owned(), row.clone());
        assert!(twice.is_none(), "twice: {row}");
    }
    found
}

fn one_agrees(sent: &Value, message: &Value, row: &Value) {
    for field in ["messageId", "userContact", "mno", "chatbotId", "description"] {
        assert_eq!(message[field], sent[field], "{message}");
        assert_eq!(row[field], sent[field], "{row}");
    }
    assert_eq!(message["id"], row["id"], "{row}");
    let canceled = row["result"] == "CANCEL";
    assert_eq!(canceled, message["status"] == "CANCELED", "{message} {row}");
    assert!(["validate failed", "send succeed", "send failed", "CANCEL"].iter().any(|word| row["result"] == *word), "{row}");
    let good = sent["chatbotId"] == "0801234567";
    let expected = match sent["userContact"].as_str().unwrap() {
        "no number at all" => "validate failed",
        _ if !good => "validate failed",
        "01000000001" | "01000000002" => "send failed",
        _ => "send succeed",
    };
    assert!(canceled || row["result"] == expected, "{row}");
}

async fn totals_agree(running: &Running, view: &BTreeMap<String, Value>) {
    let totals = running.get("/myMessages/totals").await;
    for field in ["result", "chatbotId"] {
        let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
        for row in view.values() {
            *counted.entry(row[field].as_str().unwrap()).or_default() += 1;
        }
        let shown = totals["by"][field].as_array().unwrap_or_else(|| panic!("{totals}")).iter();
        let shown = shown.map(|one| (one["value"].as_str().unwrap(), one["rows"].as_u64().unwrap())).collect();
        assert_eq!(counted, shown, "totals of {field}");
    }
    assert_eq!(totals["total"], view.len());
}

/// In the log, too, nothing has happened twice, and everything that is shown has happened.
pub fn happened_once(dir: &Path, messages: usize) {
    let events = said(dir, &["events", "--topic", "messagesenderlhg", "--from-beginning"]);
    assert_eq!(events.code, 0, "{}", events.err);
    let mut seen: BTreeMap<(String, String), u32> = BTreeMap::new();
    for event in events.lines() {
        let text = |field: &str| event[field].as_str().map(str::to_owned);
        // The registers, too, have events.
        let Some(id) = text("messageId") else { continue };
        *seen.entry((text("eventType").unwrap(), id)).or_default() += 1;
    }
    let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(seen.keys().filter(|(kind, _)| kind == "SendSuccess").count(), messages);
}
