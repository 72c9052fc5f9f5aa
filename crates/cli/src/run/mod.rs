//! `pabal run`: the one place where things are wired together.

mod engines;
mod front;
mod gauges;
mod greeting;
mod ledger;
mod seeds;
mod serve;
#[cfg(feature = "cluster")]
pub mod served;
mod sockets;
mod warm;
mod watch;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use driver::Engine;
use jiff::tz::TimeZone;
use kernel::System;
use store_sqlite::DataDir;

use crate::config::Config;
use crate::failed::Failed;
use crate::logs;
use gauges::Gauges;

/// Runs systems until it is told to stop. A system that runs alone also opens each service on its own port.
pub fn run(config: &Config, systems: Vec<System>, named: bool) -> Result<u8, Failed> {
    until_told(config, wired(config, systems, named))
}

/// Runs services of a cluster until it is told to stop.
#[cfg(feature = "cluster")]
pub fn serve(config: &Config, chosen: served::Chosen) -> Result<u8, Failed> {
    until_told(config, served::wired(config, chosen))
}

fn until_told(config: &Config, work: impl Future<Output = Result<(), Failed>>) -> Result<u8, Failed> {
    logs::start(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("pabal-io").build()?;
    let ended = runtime.block_on(work);
    // A handler that hangs must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended.map(|()| 0)
}

async fn wired(config: &Config, systems: Vec<System>, named: bool) -> Result<(), Failed> {
    let told = serve::Told::listen()?;
    let alone = named && systems.len() == 1;
    let dir = DataDir::lock(&config.data.dir).map_err(|error| Failed::unavailable(error.to_string()))?;
    // Before anything is started: a port that is taken is the most likely thing to be wrong.
    let opened = sockets::open(config, &systems, alone).await?;
    let zone = TimeZone::get(&config.zone).map_err(|error| Failed::config(error.to_string()))?;
    let ready = Arc::new(AtomicBool::new(true));
    let engines = engines::start(config, &dir, &zone, systems)?;
    let options = serve::http_options(config, &opened, zone, &engines, Gauges::of(&engines, Vec::new()), ready.clone())?;
    watch::disk(config, &dir);
    if config.seed {
        for engine in &engines {
            seeds::sow(engine).await;
        }
    }
    greeting::Greeting { config, engines: &engines, doors: &opened, dir: dir.path() }.say();
    warm::up(&engines);
    let doors = serve::doors(opened, &engines, &options);
    let served = gateway::serve(doors, serve::gateway_options(config, ready), told.wait()).await;
    stop(engines, Duration::from_millis(config.gateway.grace_period_ms)).await;
    tracing::info!("stopped");
    served.map_err(|error| Failed::unavailable(error.to_string()))
}

/// Every engine answers what it has accepted and closes its store. What it does not manage in time it does at the next start.
async fn stop(engines: Vec<Arc<Engine>>, grace: Duration) {
    let mut stopping = tokio::task::JoinSet::new();
    for engine in engines {
        stopping.spawn(async move { engine.stop().await });
    }
    if tokio::time::timeout(grace, stopping.join_all()).await.is_err() {
        tracing::warn!("a system did not stop in time; nothing is lost, it goes on at the next start");
    }
}
