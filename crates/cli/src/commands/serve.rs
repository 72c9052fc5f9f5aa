//! `pabal serve`: services of a cluster, and its gateway, in one process.

use kernel::System;

use crate::args::Serve;
use crate::channels::Channels;
use crate::config::Config;
use crate::failed::Failed;
use crate::services;
use crate::startup::{ClusterSource, Services, run_until_shutdown};

/// Runs those that are named.
pub fn serve(serve: &Serve, config: &Config, systems: Vec<System>, channels: Channels) -> Result<u8, Failed> {
    run_until_shutdown(config, ClusterSource::new(config, named(&serve.services, systems)?, channels)?)
}

fn named(names: &[String], systems: Vec<System>) -> Result<Services, Failed> {
    let services = names.iter().filter(|name| *name != "gateway");
    let run = services.map(|name| services::find(&systems, name)).collect::<Result<_, _>>()?;
    Ok(Services { run, gateway: names.iter().any(|name| name == "gateway").then_some(systems) })
}
