//! A load: many connections, one pace, one tally.

pub mod connection;
pub mod pace;
pub mod requests;
pub mod tally;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use crate::failed::{Failed, failed};
use crate::load::connection::Connection;
use crate::load::pace::Pace;
use crate::load::requests::RequestTemplate;
use crate::load::tally::Tally;

/// A message that was accepted, and when it was due: its result is sampled.
pub type Sampled = (u64, Instant);

/// What is to be done.
#[derive(Clone)]
pub struct Load {
    /// Whom to ask.
    pub address: SocketAddr,
    /// What to ask.
    pub template: Arc<RequestTemplate>,
    /// Over how many connections.
    pub connections: usize,
    /// How long.
    pub lasts: Duration,
    /// How many a second; none: as many as are answered.
    pub rate: Option<f64>,
    /// Counts what is accepted, for who looks on.
    pub accepted: Arc<AtomicU64>,
    /// Where every so-manieth accepted message is told.
    pub samples: Option<(UnboundedSender<Sampled>, u64)>,
}

/// A second try to connect comes after this.
const CONNECT_AGAIN: Duration = Duration::from_millis(50);

impl Load {
    /// As many as are answered.
    pub fn closed(address: SocketAddr, template: RequestTemplate, connections: usize, lasts: Duration) -> Self {
        let (template, accepted) = (Arc::new(template), Arc::default());
        Self { address, template, connections, lasts, rate: None, accepted, samples: None }
    }

    /// So many a second.
    pub fn at(self, rate: f64) -> Self {
        Self { rate: Some(rate), ..self }
    }

    /// Carries it out. Connecting is not part of it.
    pub async fn run(self) -> Result<Tally, Failed> {
        let mut open = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            open.push(connect(self.address).await?);
        }
        let pace = match self.rate {
            Some(rate) => Pace::open(rate, self.lasts)?,
            None => Pace::closed(self.lasts),
        };
        let (pace, tally) = (Arc::new(pace), Arc::new(Mutex::new(Tally::new()?)));
        let started = Instant::now();
        let mut workers = JoinSet::new();
        for connection in open {
            workers.spawn(work(self.clone(), connection, pace.clone(), tally.clone()));
        }
        while let Some(ended) = workers.join_next().await {
            ended.map_err(failed)??;
        }
        let mut tally = Arc::into_inner(tally)
            .map(|tally| tally.into_inner().unwrap_or_else(PoisonError::into_inner))
            .ok_or_else(|| failed("a connection still counts"))?;
        tally.took = started.elapsed();
        tally.unsent = pace.unsent();
        Ok(tally)
    }
}

/// Under overload a listener may be slow to accept; that is not an error at once.
async fn connect(address: SocketAddr) -> Result<Connection, Failed> {
    for _ in 0..20 {
        match Connection::open(address).await {
            Ok(connection) => return Ok(connection),
            Err(_) => tokio::time::sleep(CONNECT_AGAIN).await,
        }
    }
    Ok(Connection::open(address).await?)
}

fn locked(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn work(load: Load, mut connection: Connection, pace: Arc<Pace>, tally: Arc<Mutex<Tally>>) -> Result<(), Failed> {
    let mut request = Vec::new();
    while let Some(due) = pace.next().await {
        load.template.fill(&mut request);
        let sent = Instant::now();
        let Ok(answer) = connection.ask(&request).await else {
            locked(&tally).broken += 1;
            connection = connect(load.address).await?;
            continue;
        };
        locked(&tally).record(answer.status, due, sent);
        if (200..300).contains(&answer.status) {
            let count = load.accepted.fetch_add(1, Ordering::Relaxed);
            if let Some((samples, _)) = load.samples.as_ref().filter(|(_, every)| count.is_multiple_of(*every))
                && let Some(id) = answer.created_id()
            {
                let _ = samples.send((id, due)); // a sampler that has ended samples nothing
            }
        }
    }
    Ok(())
}
