//! rcs with a Java service instead of `validator`, of each generation in turn; then ours replaces it by a handover.
//!
//! Needs what `tests/distributed` needs, and what `tests/interop/build` builds.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects")]

#[path = "../../../cli/tests/binary/mod.rs"]
mod binary;
#[path = "../distributed/cluster.rs"]
mod cluster;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use binary::{Said, message};
use cluster::Cluster;
use serde_json::Value;

/// A JVM on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_mins(2);

/// The group of the Java service, as existing ones call themselves.
const GROUP: &str = "validator";

fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop")
}

/// A Java service at work; it ends with the test.
struct Java(Child);

impl Java {
    async fn start(generation: &str, port: u16) -> Self {
        let kafka = std::env::var("KAFKA").unwrap();
        let mut command = Command::new(home().join("run"));
        command.arg(generation).env("BROKERS", kafka).env("GROUP", GROUP).env("PORT", port.to_string());
        let java = Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let url = format!("http://127.0.0.1:{port}/validators");
        let end = Instant::now() + PATIENCE;
        while reqwest::get(&url).await.is_err() {
            assert!(Instant::now() < end, "the Java service does not start");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        java
    }

    fn end(mut self) {
        let sent = Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        assert!(sent.success());
        self.0.wait().unwrap();
    }
}

impl Drop for Java {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends so many messages and waits until each has arrived at its handset.
async fn send(cluster: &Cluster, name: &str, messages: usize) {
    for number in 0..messages {
        let answer = cluster.gateway().post("/messages", &message(&format!("{name}-{number}"))).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    let end = Instant::now() + PATIENCE;
    loop {
        let shown = cluster.gateway().get("/myMessages?size=1000").await;
        let rows = shown["_embedded"]["myMessages"].as_array().cloned().unwrap_or_default();
        let mine = |row: &&Value| row["messageId"].as_str().is_some_and(|id| id.starts_with(name));
        if rows.iter().filter(mine).filter(|row| row["result"] == "send succeed").count() == messages {
            return;
        }
        assert!(Instant::now() < end, "{name}: {shown:#}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// A consumer that knows nothing of ours reads every record.
fn a_plain_consumer_reads_everything() {
    let python = home().join("target/venv/bin/python");
    let kafka = std::env::var("KAFKA").unwrap();
    let read = Command::new(python)
        .arg(home().join("consumer.py"))
        .args(["--bootstrap", &kafka, "--topic", "messagesenderlhg", "--timeout", "60"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&read.stdout).lines().count();
    assert!(read.status.success() && said > 0, "{}", String::from_utf8_lossy(&read.stderr));
    println!("a plain consumer read {said} lines");
}

fn validations(cluster: &Cluster, name: &str) -> Vec<String> {
    cluster.sql(&format!("SELECT key FROM rcs_device.device__device WHERE key LIKE '{name}%' ORDER BY key"))
}

#[ignore = "needs Kafka, PostgreSQL and the Java services: make test-distributed"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_of_each_generation_works_beside_us_and_is_replaced_by_a_handover() {
    let mut cluster = Cluster::of(&["message", "device", "dashboard"]).await;
    for (generation, port) in [("boot23", 18_083), ("boot21", 18_084)] {
        let java = Java::start(generation, port).await;
        send(&cluster, generation, 5).await;
        println!("{generation}: five messages came through");
        java.end();
    }
    // What comes meanwhile waits, and is read once: by ours, which goes on where the Java service stood.
    for number in 0..3 {
        assert_eq!(cluster.gateway().post("/messages", &message(&format!("between-{number}"))).await.status, 201);
    }
    let handed: Said = cluster.command(&["handover", "rcs/validator", "--from", GROUP]).output().unwrap().into();
    assert_eq!(handed.code, 0, "{handed:?}");
    println!("{}", handed.out);
    cluster.add("validator").await;
    send(&cluster, "ours", 5).await;
    let end = Instant::now() + PATIENCE;
    while validations(&cluster, "between-").len() < 3 {
        assert!(Instant::now() < end, "what came in between is lost");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let again = cluster.sql("SELECT count(*) FROM rcs_validator.validator__validator WHERE key LIKE 'boot%'");
    assert_eq!(again, ["0"], "what the Java services had validated was validated again");
    a_plain_consumer_reads_everything();
    cluster.end();
}
