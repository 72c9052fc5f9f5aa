//! What the kernel counts: processor time of processes, of their threads and children, and of the whole machine.

use std::collections::BTreeMap;

use crate::failed::{Failed, failed};
use crate::machine;
use crate::numbers::to_f64;

/// One line of `/proc/<pid>/stat`, as far as anybody asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// What it calls itself, at most fifteen characters.
    pub name: String,
    /// Who has started it.
    pub parent: u32,
    /// Its time on processors, in ticks.
    pub own: u64,
    /// That of its children that have ended, in ticks.
    pub ended: u64,
}

/// Seconds of all processors of the machine since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Whole {
    /// At work, for whomever.
    pub busy: f64,
    /// With nothing to do.
    pub idle: f64,
    /// With nothing to do but wait for a disk.
    pub waiting: f64,
    /// Taken by other machines on the same hardware.
    pub stolen: f64,
}

impl Stat {
    /// Reads a line. The name, in brackets, may hold spaces and brackets.
    pub fn read(line: &str) -> Option<Self> {
        let (head, tail) = line.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        // The state is the third of all fields; the times are the 14th to 17th.
        let number = |place: usize| fields.get(place - 3)?.parse::<u64>().ok();
        Some(Self {
            name: name.to_owned(),
            parent: u32::try_from(number(4)?).ok()?,
            own: number(14)? + number(15)?,
            ended: number(16)? + number(17)?,
        })
    }

    /// Of a process.
    pub fn of(pid: u32) -> Result<Self, Failed> {
        let line = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Self::read(&line).ok_or_else(|| failed(format!("process {pid} cannot be read in /proc")))
    }
}

impl Whole {
    /// Of `/proc/stat`.
    pub fn read(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<f64> = line.split_whitespace().filter_map(|ticks| ticks.parse::<u64>().ok()).map(seconds).collect();
        // user, nice, system, idle, waiting, interrupts, the same soft, stolen
        let at = |place: usize| ticks.get(place).copied().unwrap_or(0.0);
        let busy = [0, 1, 2, 5, 6].map(at).iter().sum();
        Some(Self { busy, idle: at(3), waiting: at(4), stolen: at(7) })
    }

    /// By now.
    pub fn now() -> Result<Self, Failed> {
        Self::read(&std::fs::read_to_string("/proc/stat")?).ok_or_else(|| failed("/proc/stat has no line of all processors"))
    }
}

/// Seconds of a process.
pub fn seconds_of(pid: u32) -> Result<f64, Failed> {
    Ok(seconds(Stat::of(pid)?.own))
}

/// Seconds of a process and of all that it has started, those that have ended included.
pub fn seconds_of_tree(pid: u32) -> Result<f64, Failed> {
    let root = Stat::of(pid)?;
    let mut ticks = root.own + root.ended;
    for other in numbers_in("/proc")? {
        // Who ends while this is read counts with the next reading, as one that has ended.
        if let Ok(stat) = Stat::of(other)
            && stat.parent == pid
        {
            ticks += stat.own;
        }
    }
    Ok(seconds(ticks))
}

/// Seconds of each thread of a process, those of one name together.
pub fn seconds_by_thread(pid: u32) -> Result<BTreeMap<String, f64>, Failed> {
    let mut threads = BTreeMap::new();
    for thread in numbers_in(&format!("/proc/{pid}/task"))? {
        let Ok(line) = std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/stat")) else { continue };
        let Some(stat) = Stat::read(&line) else { continue };
        *threads.entry(stat.name).or_default() += seconds(stat.own);
    }
    Ok(threads)
}

fn numbers_in(directory: &str) -> Result<Vec<u32>, Failed> {
    let entries = std::fs::read_dir(directory)?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

fn seconds(ticks: u64) -> f64 {
    to_f64(ticks) / to_f64(machine::ticks_per_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "4711 (a (name) of 2) S 17 4711 4711 0 -1 4194560 2077 9 0 0 150 50 30 7 20 0 9 0 1234 1 2";

    #[test]
    fn a_name_may_hold_anything() {
        let stat = Stat::read(LINE).unwrap();
        assert_eq!(stat, Stat { name: "a (name) of 2".to_owned(), parent: 17, own: 200, ended: 37 });
        assert_eq!((Stat::read("4711 (cut"), Stat::read("")), (None, None));
    }

    #[test]
    fn the_whole_machine_is_read() {
        let whole = Whole::read("cpu  100 0 100 1000 50 10 10 10 0 0\ncpu0 1 2 3\n").unwrap();
        let expected = Whole { busy: seconds(220), idle: seconds(1_000), waiting: seconds(50), stolen: seconds(10) };
        assert!((whole.busy - expected.busy).abs() < 1e-9 && Whole { busy: expected.busy, ..whole } == expected);
        assert_eq!(Whole::read("cpu0 1 2 3\n"), None);
    }

    #[test]
    fn this_process_has_threads() {
        let threads = seconds_by_thread(std::process::id()).unwrap();
        assert!(!threads.is_empty() && seconds_of_tree(std::process::id()).unwrap() >= 0.0);
    }
}
