//! The start-up sequence of a process, the same for `pabal run` and `pabal serve`.
//!
//! ```text
//! sockets ─ engines ─ routes ─ seeds ─ consumers ─ "running" ─ until a signal ─ requests end ─ engines stop
//!              ↑
//!        EngineSource: embedded (one SQLite file a system) or a cluster (PostgreSQL and Kafka, a service at a time)
//! ```

mod disk;
mod engines;
mod gauges;
mod greeting;
mod http;
mod landing;
mod seeds;
mod shutdown;
mod sockets;
mod source;
mod warm_up;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::config::Config;
use crate::failed::Failed;
use crate::logs;
use engines::Engines;
use gauges::Recorder;
use http::HttpServer;
use shutdown::ShutdownSignal;
use sockets::Sockets;
use source::EngineSource;
#[cfg(feature = "cluster")]
pub use source::cluster::{ClusterSource, Services};
pub use source::embedded::EmbeddedSource;

/// The longest wait for threads that still run when everything is stopped: a handler that hangs must not keep the process.
const THREADS_END: Duration = Duration::from_secs(1);

/// Runs the engines of a source behind HTTP until SIGTERM or Ctrl-C, and stops them in order.
pub fn run_until_shutdown(config: &Config, source: impl EngineSource) -> Result<u8, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("pabal-io").build()?;
    let ended = runtime.block_on(serve(config, Arc::new(source)));
    runtime.shutdown_timeout(THREADS_END);
    ended.map(|()| 0)
}

async fn serve(config: &Config, source: Arc<impl EngineSource>) -> Result<(), Failed> {
    logs::start(&config.log)?;
    let mut shutdown = ShutdownSignal::listen()?;
    // Before anything is started: a port in use is the most likely fault.
    let sockets = Sockets::open(&config.http.host, config.http.port, &source.own_ports()).await?;
    let addresses = sockets.addresses.clone();
    let recorder = Recorder::install()?;
    let Some(engines) = start(source.clone(), &mut shutdown).await? else { return Ok(()) };
    let server = HttpServer::new(config, sockets, &engines, &*source, recorder)?;
    if config.seed {
        seeds::post_all(&engines.running).await;
    }
    // After the seeds: what they hold may decide what becomes of an event.
    engines.consume()?;
    greeting::warn(config, &addresses);
    source.announce(&engines, &addresses);
    warm_up::spawn(&engines.running);
    let ended = server.serve(shutdown.wait()).await;
    engines.stop(Duration::from_millis(config.gateway.grace_period_ms)).await;
    tracing::info!("stopped");
    ended
}

/// Starts the engines on a thread that may block; none where a signal came first.
async fn start(source: Arc<impl EngineSource>, shutdown: &mut ShutdownSignal) -> Result<Option<Engines>, Failed> {
    let cancelled = Arc::new(AtomicBool::new(false));
    let starting = tokio::task::spawn_blocking({
        let cancelled = cancelled.clone();
        move || source.start(&cancelled)
    });
    tokio::select! {
        started = starting => started.map_err(|error| Failed::unavailable(error.to_string()))?.map(Some),
        () = shutdown.wait() => {
            cancelled.store(true, Ordering::Release);
            Ok(None)
        }
    }
}
