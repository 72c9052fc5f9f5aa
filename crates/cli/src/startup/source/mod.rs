//! Where the engines of a process come from: embedded stores, or a cluster's PostgreSQL and Kafka.

#[cfg(feature = "cluster")]
pub mod cluster;
pub mod embedded;
mod settings;

use std::sync::atomic::AtomicBool;

use gateway::Forwarding;
use http_api::HttpOptions;
use jiff::tz::TimeZone;

use super::engines::Engines;
use super::sockets::Addresses;
use crate::failed::Failed;

/// What differs between `pabal run` and `pabal serve`.
pub trait EngineSource: Send + Sync + 'static {
    /// The zone of bare dates.
    fn zone(&self) -> &TimeZone;

    /// Services that listen at a port of their own, beside the gateway's.
    fn own_ports(&self) -> Vec<(&'static str, u16)> {
        Vec::new()
    }

    /// Opens the stores and starts the engines. Blocks; must be called within a tokio runtime. Servers that do not answer are
    /// waited for until `cancelled`.
    fn start(&self, cancelled: &AtomicBool) -> Result<Engines, Failed>;

    /// The routes to services that run in other processes.
    fn forwarding(&self, _local: &HttpOptions) -> Result<Option<Forwarding>, Failed> {
        Ok(None)
    }

    /// Logs that everything runs: a line with the message `running` and the gateway's port.
    fn announce(&self, engines: &Engines, addresses: &Addresses);
}
