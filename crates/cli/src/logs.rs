//! Logs on the standard output: readable on a terminal, one JSON object a line elsewhere.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};
use crate::failed::Failed;

/// Starts logging. `RUST_LOG` wins over the settings.
pub fn start(log: &Log) -> Result<(), Failed> {
    let (whose, filter) = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.trim().is_empty() => ("RUST_LOG", filter),
        _ => ("log.level", log.level.clone()),
    };
    let filter = EnvFilter::try_new(&filter).map_err(|error| Failed::config(format!("{whose}: `{filter}`: {error}")))?;
    let text = match log.format {
        LogFormat::Auto => std::io::stdout().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stdout);
    let started = if text {
        logs.with_ansi(std::io::stdout().is_terminal()).with_target(false).try_init()
    } else {
        logs.json().flatten_event(true).with_current_span(false).try_init()
    };
    // A program that embeds this may have a subscriber already; that one stays.
    drop(started);
    Ok(())
}
