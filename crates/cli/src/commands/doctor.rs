//! `pabal doctor`: checks of what running needs, each with its remedy.

use std::net::{TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use kernel::System;
use serde::Serialize;
use store_sqlite::{DataDir, DirError};

use crate::args;
use crate::config::Config;
use crate::failed::{Failed, NO};
use crate::show;

/// What came of one check.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    /// It runs, but should be looked at.
    Warning,
    /// It cannot run so.
    Bad,
}

/// Before that no copy of this program existed: a clock that says so is wrong.
const EPOCH: &str = "2025-01-01T00:00:00Z";

/// Checks everything, whatever fails.
pub fn doctor(args: &args::Doctor, config: &Config, systems: &[System]) -> Result<u8, Failed> {
    let mut findings = vec![sqlite(), clock(), zone(&config.zone)];
    let (dir, running) = data_dir(&config.data.dir);
    findings.push(dir);
    findings.push(disk(&config.data.dir, config.limits.min_free_disk_bytes));
    findings.push(port("port of the gateway", &config.http.host, config.http.port, running));
    for service in systems.iter().flat_map(|system| &system.services) {
        // Needed only where a system runs alone, hence never worse than a warning.
        let finding = port("port of a service", &config.http.host, service.port, running);
        if finding.verdict != Verdict::Ok {
            let detail = format!("{} ({})", finding.detail, service.name);
            findings.push(Finding { verdict: Verdict::Warning, detail, ..finding });
        }
    }
    print(args, &findings)?;
    Ok(if findings.iter().any(|finding| finding.verdict == Verdict::Bad) { NO } else { 0 })
}

fn print(args: &args::Doctor, findings: &[Finding]) -> Result<(), Failed> {
    if args.json {
        return show::print(&serde_json::to_string_pretty(findings).unwrap_or_default());
    }
    let rows = findings.iter().map(|finding| {
        let verdict = match finding.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Bad => "BAD",
        };
        [verdict.to_owned(), finding.check.to_owned(), finding.detail.clone()]
    });
    show::print(&show::table(["", "check", "finding"], rows))
}

fn sqlite() -> Finding {
    // The store opens with no older one: before 3.51.3 a restart of the write-ahead log could lose commits.
    let verdict = if rusqlite::version_number() >= 3_051_003 { Verdict::Ok } else { Verdict::Bad };
    Finding { check: "SQLite", verdict, detail: format!("{} (built in)", rusqlite::version()) }
}

fn clock() -> Finding {
    let now = Timestamp::now();
    let wrong = EPOCH.parse().is_ok_and(|epoch: Timestamp| now < epoch);
    let detail = if wrong { format!("{now}: that is past; set the machine's clock") } else { now.strftime("%FT%TZ").to_string() };
    Finding { check: "clock", verdict: if wrong { Verdict::Bad } else { Verdict::Ok }, detail }
}

fn zone(name: &str) -> Finding {
    match TimeZone::get(name) {
        Ok(zone) => {
            let there = Timestamp::now().to_zoned(zone).strftime("%F %H:%M").to_string();
            Finding { check: "zone", verdict: Verdict::Ok, detail: format!("{name}, where it is {there}") }
        }
        Err(_) => Finding { check: "zone", verdict: Verdict::Bad, detail: format!("there is no time zone `{name}`") },
    }
}

/// Also tells whether an instance holds the directory: then its ports are rightly taken.
fn data_dir(path: &Path) -> (Finding, bool) {
    let fine = |detail| Finding { check: "data directory", verdict: Verdict::Ok, detail };
    if !path.exists() {
        // Locking it would make it; a check leaves nothing behind.
        let parent = existing(path);
        let writable = tempfile_in(&parent);
        let verdict = if writable { Verdict::Ok } else { Verdict::Bad };
        let word = if writable { "is made at the first run" } else { "cannot be made there: this user may not write" };
        return (Finding { check: "data directory", verdict, detail: format!("{} {word}", path.display()) }, false);
    }
    match DataDir::lock(path) {
        Ok(_) => (fine(format!("{} is writable and free", path.display())), false),
        Err(DirError::InUse { pid, .. }) => (fine(format!("{} is in use by process {pid}", path.display())), true),
        Err(error) => (Finding { check: "data directory", verdict: Verdict::Bad, detail: error.to_string() }, false),
    }
}

/// The nearest directory above that exists.
fn existing(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.ancestors().find(|path| path.is_dir()).map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

fn tempfile_in(dir: &Path) -> bool {
    let path = dir.join(format!(".pabal-doctor-{}", std::process::id()));
    let written = std::fs::write(&path, b"").is_ok();
    written && std::fs::remove_file(&path).is_ok()
}

fn disk(path: &Path, least: u64) -> Finding {
    let check = "free disk";
    match fs4::available_space(existing(path)) {
        Ok(free) if free < least => {
            let detail = format!("{} left, less than {}", show::bytes(free), show::bytes(least));
            Finding { check, verdict: Verdict::Warning, detail }
        }
        Ok(free) => Finding { check, verdict: Verdict::Ok, detail: show::bytes(free) },
        Err(error) => Finding { check, verdict: Verdict::Warning, detail: format!("cannot be measured: {error}") },
    }
}

fn port(check: &'static str, host: &str, port: u16, running: bool) -> Finding {
    let addresses = (host.trim_start_matches('[').trim_end_matches(']'), port).to_socket_addrs();
    let Some(address) = addresses.ok().and_then(|mut found| found.next()) else {
        return Finding { check, verdict: Verdict::Bad, detail: format!("{host} is no address of this machine") };
    };
    match TcpListener::bind(address) {
        Ok(_) => Finding { check, verdict: Verdict::Ok, detail: format!("{port} is free") },
        Err(_) if running => Finding { check, verdict: Verdict::Ok, detail: format!("{port} is open already") },
        Err(error) => Finding { check, verdict: Verdict::Bad, detail: format!("{port} cannot be opened: {error}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_bad_unless_it_is_our_own_that_runs() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let number = taken.local_addr().unwrap().port();
        assert_eq!(port("p", "127.0.0.1", number, false).verdict, Verdict::Bad);
        assert_eq!(port("p", "127.0.0.1", number, true).verdict, Verdict::Ok);
    }

    #[test]
    fn looking_at_a_directory_that_is_not_there_does_not_make_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("not/yet");
        let (finding, running) = data_dir(&path);
        assert_eq!((finding.verdict, running, path.exists()), (Verdict::Ok, false, false));
    }

    #[test]
    fn a_directory_that_runs_says_whose_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let _held = DataDir::lock(dir.path()).unwrap();
        let (finding, running) = data_dir(dir.path());
        assert!(running && finding.detail.contains(&std::process::id().to_string()), "{finding:?}");
    }
}
