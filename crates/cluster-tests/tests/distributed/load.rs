//! Clients that send messages through the gateway, and send each again until it is answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Client;
use tokio::task::JoinSet;

use super::binary::{answered, message};
use super::cluster::Cluster;

/// What clients know.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    /// `messageId`s that were sent, at least once.
    pub sent: Vec<String>,
    /// Those that were answered with 200 or 201, with their ids.
    pub accepted: Vec<(String, u64)>,
}

/// Clients at work.
pub struct Load {
    ledger: Arc<Mutex<Ledger>>,
    stopping: Arc<AtomicBool>,
    giving_up: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

/// A client's pause between two messages, and before it sends one again.
const PAUSE: Duration = Duration::from_millis(15);
const AGAIN: Duration = Duration::from_millis(200);

impl Load {
    /// So many clients.
    pub fn start(cluster: &Cluster, clients: u64) -> Self {
        static LOADS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let load = LOADS.fetch_add(1, Ordering::Relaxed);
        let mut started =
            Self { ledger: Arc::default(), stopping: Arc::default(), giving_up: Arc::default(), clients: JoinSet::new() };
        for client in 0..clients {
            let name = format!("load-{}-{load}-{client}", std::process::id());
            let (ledger, stopping, giving_up) = (started.ledger.clone(), started.stopping.clone(), started.giving_up.clone());
            let url = format!("{}/messages", cluster.gateway().url);
            let http = cluster.gateway().client.clone();
            started.clients.spawn(async move {
                for number in 0.. {
                    if stopping.load(Ordering::Relaxed) {
                        return;
                    }
                    let id = format!("{name}-{number}");
                    ledger.lock().unwrap().sent.push(id.clone());
                    if let Some(row) = accepted(&http, &url, &id, &giving_up).await {
                        ledger.lock().unwrap().accepted.push((id, row));
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        started
    }

    pub fn sent(&self) -> usize {
        self.ledger.lock().unwrap().sent.len()
    }

    pub fn accepted(&self) -> usize {
        self.ledger.lock().unwrap().accepted.len()
    }

    /// Until the last message is answered.
    pub async fn stop(self) -> Ledger {
        self.stop_without(false).await
    }

    /// The same; or what is not answered by now never will be.
    pub async fn stop_without(mut self, giving_up: bool) -> Ledger {
        self.giving_up.store(giving_up, Ordering::Relaxed);
        self.stopping.store(true, Ordering::Relaxed);
        while self.clients.join_next().await.is_some() {}
        self.ledger.lock().unwrap().clone()
    }
}

/// Sends it until it is taken.
async fn accepted(http: &Client, url: &str, id: &str, giving_up: &AtomicBool) -> Option<u64> {
    while !giving_up.load(Ordering::Relaxed) {
        if let Ok(answer) = answered(http.post(url).json(&message(id))).await {
            match answer.status {
                200 | 201 => return Some(answer.body["id"].as_u64().unwrap()),
                429 | 502..=504 | 409 => {}
                _ => panic!("{answer:?}"),
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
    None
}
