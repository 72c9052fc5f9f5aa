//! Memory of a process, as the kernel counts it.

use crate::failed::Failed;

/// Resident memory, bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Everything that is resident, pages of mapped files included.
    pub resident: u64,
    /// What is its own: without files.
    pub own: u64,
}

impl Memory {
    /// Of a process.
    pub fn of(pid: u32) -> Result<Self, Failed> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
        };
        Ok(Self { resident: bytes("VmRSS:").unwrap_or(0), own: bytes("RssAnon:").unwrap_or(0) })
    }

    /// The larger of both.
    pub fn max(self, other: Self) -> Self {
        Self { resident: self.resident.max(other.resident), own: self.own.max(other.own) }
    }
}
