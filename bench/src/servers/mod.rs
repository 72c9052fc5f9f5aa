//! What is under measurement: where it is asked, where it shows what became of it, and the processes that it consists of.

pub mod echo;
pub mod probes;
pub mod saga;
pub mod server;
pub mod watch;

use std::net::SocketAddr;
use std::time::Duration;

use crate::failed::Failed;
use crate::machine::memory::Memory;
use crate::machine::processes;

/// One process, or several that belong together.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where messages are posted.
    pub door: SocketAddr,
    /// Where services are paused.
    pub admin: SocketAddr,
    /// Where `myMessages` is asked for.
    pub view: SocketAddr,
    /// Its processes.
    pub pids: Vec<u32>,
}

impl Target {
    /// Time on processors so far, all of them together.
    pub fn busy(&self) -> Result<Duration, Failed> {
        let seconds = self.pids.iter().map(|pid| processes::seconds_of(*pid)).sum::<Result<f64, Failed>>()?;
        Ok(Duration::from_secs_f64(seconds))
    }

    /// Memory, all of them together.
    pub fn memory(&self) -> Result<Memory, Failed> {
        let each = self.pids.iter().map(|pid| Memory::of(*pid)).collect::<Result<Vec<_>, Failed>>()?;
        let sum = |of: fn(&Memory) -> u64| each.iter().map(of).sum();
        Ok(Memory { resident: sum(|memory| memory.resident), own: sum(|memory| memory.own) })
    }
}
