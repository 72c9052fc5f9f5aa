//! The sums that must agree: counted from the databases and from the carrier's ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cluster::Cluster;
use super::load::Ledger;

/// The longest time that a backlog takes to drain, leases and retries of events included.
const PATIENCE: Duration = Duration::from_mins(4);

/// Waits until everything has come to an end, and compares.
pub async fn agree(cluster: &Cluster, ledger: &Ledger) {
    ended(cluster).await;
    let accepted: BTreeMap<String, u64> = ledger.accepted.iter().cloned().collect();
    let messages = rows(cluster, "rcs_message.message__message");
    let shown = rows(cluster, "rcs_dashboard.dashboard__my_messages");
    for (id, row) in &accepted {
        let message = messages.get(id).unwrap_or_else(|| panic!("{id} was answered and is lost"));
        assert_eq!(message["id"], *row, "{id}");
        assert_eq!(shown[id]["result"], "send succeed", "{}", shown[id]);
    }
    assert_eq!(messages.keys().collect::<Vec<_>>(), shown.keys().collect::<Vec<_>>(), "a message has one row, a row its message");
    let unknown = messages.keys().filter(|id| id.starts_with("load-") && !ledger.sent.contains(id));
    println!("  {} accepted, {} there, {} of earlier loads", accepted.len(), messages.len(), unknown.count());
    each_was_submitted_once(cluster, &accepted);
    each_event_happened_once(cluster, &shown);
    nothing_is_left(cluster);
}

async fn ended(cluster: &Cluster) {
    let end = Instant::now() + PATIENCE;
    loop {
        let open = "SELECT (SELECT count(*) FROM rcs_message.message__message) - \
                    (SELECT count(*) FROM rcs_dashboard.dashboard__my_messages \
                     WHERE convert_from(data, 'UTF8')::jsonb->>'result' <> 'accepted')";
        let left = cluster.sql(open);
        if left == ["0"] {
            return;
        }
        if Instant::now() > end {
            let parked = cluster.sql(
                "SELECT 'validator', key, attempts, dead, cause FROM rcs_validator.parked UNION ALL \
                 SELECT 'device', key, attempts, dead, cause FROM rcs_device.parked UNION ALL \
                 SELECT 'dashboard', key, attempts, dead, cause FROM rcs_dashboard.parked LIMIT 20",
            );
            panic!("{left:?} messages have not come to an end; parked: {parked:#?}");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn rows(cluster: &Cluster, table: &str) -> BTreeMap<String, Value> {
    let lines = cluster.sql(&format!("SELECT id, convert_from(data, 'UTF8') FROM {table} WHERE id IS NOT NULL"));
    let mut found = BTreeMap::new();
    for line in lines {
        let (id, data) = line.split_once('|').unwrap();
        let mut row: Value = serde_json::from_str(data).unwrap();
        row["id"] = id.parse::<u64>().unwrap().into();
        let key = ["messageId", "message_id"].iter().find_map(|name| find(&row, name)).unwrap_or_else(|| panic!("{row}"));
        assert!(found.insert(key, row).is_none(), "twice in {table}");
    }
    found
}

/// A text field, wherever in the row it stands.
fn find(row: &Value, name: &str) -> Option<String> {
    match row {
        Value::Object(fields) => fields
            .get(name)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .or_else(|| fields.values().find_map(|value| find(value, name))),
        _ => None,
    }
}

/// One submission per message and attempt, by the ledger.
fn each_was_submitted_once(cluster: &Cluster, accepted: &BTreeMap<String, u64>) {
    let mut submitted: BTreeMap<(String, String, u64), u32> = BTreeMap::new();
    for line in std::fs::read_to_string(&cluster.ledger).unwrap().lines() {
        let call: Value = serde_json::from_str(line).unwrap();
        let submit = &call["effect"]["submit"];
        let text = |name: &str| submit[name].as_str().unwrap().to_owned();
        if submit.is_object() {
            *submitted.entry((text("messageId"), text("channel"), submit["attempt"].as_u64().unwrap())).or_default() += 1;
        }
    }
    let twice: Vec<_> = submitted.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "submitted twice: {twice:?}");
    // Each delivered message was submitted: the carrier confirms only ids of its ledger.
    let reached: BTreeSet<&str> = submitted.keys().map(|(id, _, _)| id.as_str()).collect();
    let missing: Vec<_> = accepted.keys().filter(|id| !reached.contains(id.as_str())).collect();
    assert!(missing.is_empty(), "never submitted: {missing:?}");
}

fn each_event_happened_once(cluster: &Cluster, shown: &BTreeMap<String, Value>) {
    for row in shown.values() {
        let mut names: Vec<&str> = row["timeline"].as_array().unwrap().iter().filter_map(|at| at["event"].as_str()).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "an event twice: {row}");
    }
    for service in ["message", "validator", "device"] {
        let twice = cluster.sql(&format!("SELECT id FROM rcs_{service}.log GROUP BY id HAVING count(*) > 1 LIMIT 5"));
        assert!(twice.is_empty(), "committed twice by {service}: {twice:?}");
    }
}

fn nothing_is_left(cluster: &Cluster) {
    for service in super::cluster::SERVICES {
        for table in ["effect", "parked", "outbox"] {
            let left = cluster.sql(&format!("SELECT count(*) FROM rcs_{service}.{table}"));
            assert_eq!(left, ["0"], "rows are left in {table} of {service}");
        }
    }
}
