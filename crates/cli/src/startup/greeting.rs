//! What is printed once everything runs: addresses and first commands on a terminal, one line with fields in a log.

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use driver::Engine;

use super::sockets::Addresses;
use crate::config::{AuthMode, Config};

/// Warns of settings that are meant for one's own machine.
pub fn warn(config: &Config, addresses: &Addresses) {
    if config.auth.mode == AuthMode::Demo && !addresses.is_loopback {
        tracing::warn!(
            host = addresses.host,
            "OPEN TO EVERYBODY: there is no authentication, every client that reaches this port may do everything"
        );
    }
    if config.dev {
        tracing::warn!("development mode: requests from any web origin are answered");
    }
}

/// Announces systems that run embedded, with their data in `dir`.
pub fn announce(engines: &[Arc<Engine>], addresses: &Addresses, dir: &Path) {
    if std::io::stdout().is_terminal() {
        // To stderr: no log keeps it.
        eprintln!("\n{}", text(engines, addresses, dir));
        return;
    }
    let systems: Vec<_> = engines.iter().map(|engine| engine.model().system.name).collect();
    tracing::info!(
        systems = systems.join(","),
        host = addresses.host,
        port = addresses.port,
        data = %dir.display(),
        "running"
    );
}

fn text(engines: &[Arc<Engine>], addresses: &Addresses, dir: &Path) -> String {
    let mut text = format!("  Pabal runs at {}   (board: /board, API: /docs, data: {})\n", addresses.url(), dir.display());
    for engine in engines {
        let system = &engine.model().system;
        let _ = writeln!(text, "\n  {} — {}", system.name, system.sentence);
        for service in &system.services {
            let url = addresses.url_of(service.name).map(|url| format!("{url:<24}")).unwrap_or_default();
            let _ = writeln!(text, "    {:<18} {url}{}", service.name, service.sentence);
        }
    }
    text.push_str("\n  Try first:\n");
    for engine in engines {
        for line in addresses.try_first(&engine.model().system).lines() {
            let _ = writeln!(text, "    {line}");
        }
    }
    text.push_str("\n  Ctrl-C stops it.\n");
    text
}
