//! rcs as a cluster of real processes over real Kafka and PostgreSQL, while everything that can die dies.
//!
//! Needs `KAFKA` (bootstrap) and `POSTGRES` (URL) in the environment, and `INFRA` (the script that kills and starts these
//! servers): `make test-distributed` sets them, and runs these tests, which are ignored otherwise.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects")]

#[path = "../../../cli/tests/binary/mod.rs"]
mod binary;
mod cluster;
mod load;
mod sums;

use std::time::{Duration, Instant};

use binary::chance::Chance;
use cluster::{Cluster, SERVICES};
use load::Load;

/// How long a quiet moment of the load is.
fn moments(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[ignore = "needs Kafka and PostgreSQL: make test-distributed"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_loses_nothing_and_does_nothing_twice_whatever_dies() {
    let mut cluster = Cluster::start().await;
    let mut chance = Chance::new(std::env::var("SEED").ok().map_or(1, |seed| seed.parse().unwrap()));
    let load = Load::start(&cluster, 4);
    println!("more replicas under load");
    for service in ["validator", "validator", "device", "device", "message"] {
        cluster.add(service).await;
    }
    tokio::time::sleep(moments(5)).await;
    let rounds = std::env::var("ROUNDS").ok().map_or(2, |rounds| rounds.parse().unwrap());
    for round in 0..rounds {
        println!("round {round}: {} sent, {} answered", load.sent(), load.accepted());
        for service in SERVICES {
            cluster.kill_one(service, &mut chance).await;
            tokio::time::sleep(Duration::from_millis(500 + chance.below(2_500))).await;
        }
        cluster.kill_gateway();
        // Longer than a lease and a session timeout: they come back as zombies.
        cluster.hold_each_up(moments(14), &mut chance).await;
        cluster.infra(&["kill", "kafka"]);
        tokio::time::sleep(moments(3)).await;
        cluster.infra(&["start", "kafka"]);
        tokio::time::sleep(moments(3)).await;
        cluster.infra(&["kill", "postgres"]);
        tokio::time::sleep(moments(2)).await;
        cluster.infra(&["start", "postgres"]);
        tokio::time::sleep(moments(3)).await;
        for server in ["kafka", "postgres"] {
            cluster.infra(&["stop", server]);
            tokio::time::sleep(moments(4)).await;
            cluster.infra(&["cont", server]);
        }
        cluster.remove("device", &mut chance);
        tokio::time::sleep(moments(2)).await;
        cluster.add("device").await;
    }
    let ledger = load.stop().await;
    sums::agree(&cluster, &ledger).await;
    assert!(ledger.accepted.len() > 100, "there was hardly any load: {}", ledger.accepted.len());
    cluster.end();
}

#[ignore = "needs Kafka and PostgreSQL: make test-distributed"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_service_may_be_dead_for_the_whole_of_a_load() {
    let mut cluster = Cluster::start().await;
    for dead in SERVICES {
        cluster.kill_all(dead);
        let load = Load::start(&cluster, 2);
        tokio::time::sleep(moments(4)).await;
        let ledger = load.stop_without(dead == "message").await;
        println!("{dead} dead: {} sent, {} answered", ledger.sent.len(), ledger.accepted.len());
        if dead == "message" {
            assert_eq!(ledger.accepted.len(), 0, "commands were accepted while all processes of the service were dead");
        } else {
            assert!(ledger.accepted.len() > 20, "the other services did not go on: {}", ledger.accepted.len());
        }
        cluster.add(dead).await;
        sums::agree(&cluster, &ledger).await;
    }
    cluster.end();
}

/// The gateway with two services in its process, one service alone, and two that share a process; `validator` runs twice.
#[ignore = "needs Kafka and PostgreSQL: make test-distributed"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_mix_of_services_in_processes_works() {
    let cluster = Cluster::mixed(&[&["message", "dashboard"], &["validator"], &["device", "validator"]]).await;
    let load = Load::start(&cluster, 2);
    tokio::time::sleep(moments(4)).await;
    let ledger = load.stop().await;
    sums::agree(&cluster, &ledger).await;
    assert!(ledger.accepted.len() > 20, "there was hardly any load: {}", ledger.accepted.len());
    let health = cluster.gateway().get("/actuator/health").await;
    for engine in ["rcs.message", "rcs.dashboard"] {
        assert_eq!(health["components"][engine]["details"]["relay"]["status"], "UP", "{health}");
    }
    let wanted =
        ["pabal_up{service=\"rcs.message\"} 1", "pabal_relay_published_total{service=\"rcs.message\"}", "pabal_kafka_lag{"];
    let end = Instant::now() + moments(60);
    loop {
        let metrics = cluster.gateway().client.get(format!("{}/metrics", cluster.gateway().url)).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let missing: Vec<_> = wanted.iter().filter(|name| !metrics.contains(**name)).collect();
        // The client counts what it is behind every ten seconds.
        if missing.is_empty() {
            break;
        }
        assert!(Instant::now() < end, "{missing:?} not in\n{metrics}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    cluster.end();
}
