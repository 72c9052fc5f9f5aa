//! `pabal run`: systems with embedded stores, all in one process.

use kernel::System;

use crate::args::Run;
use crate::channels::Channels;
use crate::config::Config;
use crate::failed::Failed;
use crate::startup::{EmbeddedSource, run_until_shutdown};

/// Runs them. A system that is named alone also listens at each service's own port.
pub fn run(run: &Run, config: &Config, systems: Vec<System>, channels: Channels) -> Result<u8, Failed> {
    let own_ports = !run.systems.is_empty() && systems.len() == 1;
    run_until_shutdown(config, EmbeddedSource::open(config, systems, own_ports, channels)?)
}
