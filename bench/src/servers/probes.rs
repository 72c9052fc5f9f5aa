//! Watches single messages until they are final in `myMessages`: the latency of the whole saga, as its sender sees it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::failed::{Failed, failed};
use crate::load::Sampled;
use crate::load::connection::Connection;
use crate::load::tally::{histogram, micros};

/// Messages watched at once.
const EYES: usize = 16;
/// A message that is not final by then is counted with this.
const PATIENCE: Duration = Duration::from_mins(1);
/// About so many messages a second are watched: enough for percentiles, and little beside the load.
const A_SECOND: u32 = 100;

/// Those who watch.
pub struct Probes {
    eyes: JoinSet<Result<Histogram<u64>, Failed>>,
}

/// Every so-manieth message is watched at a rate.
pub fn every(rate: u32) -> u64 {
    u64::from(rate.div_ceil(A_SECOND).max(1))
}

impl Probes {
    /// Begins to watch what it is told.
    pub async fn start(address: SocketAddr) -> Result<(Self, UnboundedSender<Sampled>), Failed> {
        let (sender, receiver) = unbounded_channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let mut eyes = JoinSet::new();
        for _ in 0..EYES {
            eyes.spawn(watch(Connection::open(address).await?, receiver.clone()));
        }
        Ok((Self { eyes }, sender))
    }

    /// Everything that was seen, once all senders have gone.
    pub async fn seen(mut self) -> Result<Histogram<u64>, Failed> {
        let mut all = histogram()?;
        while let Some(ended) = self.eyes.join_next().await {
            all.add(ended.map_err(failed)??).map_err(failed)?;
        }
        Ok(all)
    }
}

async fn watch(mut connection: Connection, told: Arc<Mutex<UnboundedReceiver<Sampled>>>) -> Result<Histogram<u64>, Failed> {
    let mut seen = histogram()?;
    loop {
        let next = told.lock().await.recv().await;
        let Some((id, due)) = next else { return Ok(seen) };
        let path = format!("/myMessages/{id}");
        while due.elapsed() < PATIENCE {
            // Not there yet is not final either.
            if connection.get(&path).await?.says(r#""result":"send succeed""#) {
                break;
            }
            // Right to a tenth: who waits for long is not asked about a thousand times a second.
            tokio::time::sleep((due.elapsed() / 10).max(Duration::from_millis(1))).await;
        }
        seen.saturating_record(micros(Instant::now().duration_since(due)));
    }
}
