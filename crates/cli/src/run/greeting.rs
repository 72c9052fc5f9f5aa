//! What a person reads who has just started it: what runs where, and what to try first.

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use driver::Engine;
use kernel::System;

use super::sockets::Door;
use crate::config::Config;

/// The door's port in the printed commands of the systems.
const PRINTED_DOOR: u16 = 8088;

/// Everything that is said.
pub struct Greeting<'a> {
    pub config: &'a Config,
    pub engines: &'a [Arc<Engine>],
    pub doors: &'a [Door],
    pub dir: &'a Path,
}

impl Greeting<'_> {
    /// Says it: to a person in words, to a log in fields.
    pub fn say(&self) {
        if self.config.is_open_to_all() {
            tracing::warn!(
                host = self.config.http.host,
                "OPEN TO EVERYBODY: there is no authentication, and whoever reaches this port may do everything"
            );
        }
        if self.config.dev {
            tracing::warn!("development mode: pages of any origin may ask");
        }
        if std::io::stdout().is_terminal() {
            // Not into the log, should that be kept.
            eprintln!("\n{}", self.words());
        } else {
            let systems: Vec<_> = self.engines.iter().map(|engine| engine.model().system.name).collect();
            let port = self.doors.first().map_or(0, |door| door.port);
            tracing::info!(systems = systems.join(","), host = self.config.http.host, port, data = %self.dir.display(), "running");
        }
    }

    fn words(&self) -> String {
        let host = shown_host(&self.config.http.host);
        let door = self.doors.first().map_or(PRINTED_DOOR, |door| door.port);
        let mut words =
            format!("  Pabal runs at http://{host}:{door}   (board: /board, API: /docs, data: {})\n", self.dir.display());
        for engine in self.engines {
            let system = &engine.model().system;
            let _ = writeln!(words, "\n  {} — {}", system.name, system.sentence);
            for service in &system.services {
                let own = self.doors.iter().find(|door| door.service == Some(service.name));
                let own = own.map(|door| format!("{:<24}", format!("http://{host}:{}", door.port))).unwrap_or_default();
                let _ = writeln!(words, "    {:<18} {own}{}", service.name, service.sentence);
            }
        }
        words.push_str("\n  Try first:\n");
        for engine in self.engines {
            for line in try_first(&engine.model().system, self.doors).lines() {
                let _ = writeln!(words, "    {line}");
            }
        }
        words.push_str("\n  Ctrl-C stops it.\n");
        words
    }
}

/// The printed commands as they work here: services without a port of their own are behind the door.
pub fn try_first(system: &System, doors: &[Door]) -> String {
    let door = doors.first().map_or(PRINTED_DOOR, |door| door.port);
    let mut text = system.try_first.to_owned();
    for service in &system.services {
        if doors.iter().all(|own| own.service != Some(service.name)) {
            text = text.replace(&format!("localhost:{}/", service.port), &format!("localhost:{door}/"));
        }
    }
    text.replace(&format!("localhost:{PRINTED_DOOR}/"), &format!("localhost:{door}/"))
}

/// Every network is this machine, too.
pub fn shown_host(host: &str) -> &str {
    if crate::config::bind::is_loopback(host) || matches!(host, "0.0.0.0" | "::" | "[::]") { "localhost" } else { host }
}
