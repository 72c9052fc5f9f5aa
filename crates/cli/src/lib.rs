#![doc = include_str!("../README.md")]

mod admin;
mod args;
mod channels;
mod commands;
pub mod config;
mod failed;
mod instants;
mod logfile;
mod logs;
#[cfg(feature = "cluster")]
mod services;
mod show;
mod startup;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, FromArgMatches};
use kernel::System;
pub use ports::Channel;
use ports::model::check_installation;

use args::{Cli, Command};
use channels::Channels;
pub use channels::{ChannelContext, ChannelError};
use config::EffectiveConfig;
use failed::Failed;

/// A binary: its systems, and the real adapters of their effects.
#[derive(Default)]
pub struct Pabal {
    systems: Vec<System>,
    channels: Channels,
}

/// A binary of these systems, with the effect handlers that they declare. The same as `Pabal::new(systems).main()`.
pub fn main(systems: impl IntoIterator<Item = System>) -> ExitCode {
    Pabal::new(systems).main()
}

impl Pabal {
    /// These systems, in the order in which they are shown.
    pub fn new(systems: impl IntoIterator<Item = System>) -> Self {
        Self { systems: systems.into_iter().collect(), channels: Channels::default() }
    }

    /// Puts a real adapter behind a port of effects, in place of the handler that the system declares. `open` is called at the
    /// start of `run` and `serve`, once for each system that has the port; an error ends the start.
    pub fn channel<F>(mut self, port: &'static str, open: F) -> Self
    where
        F: Fn(ChannelContext<'_>) -> Result<Arc<dyn Channel>, ChannelError> + Send + Sync + 'static,
    {
        self.channels.insert(port, open);
        self
    }

    /// Parses the command line and carries it out.
    pub fn main(self) -> ExitCode {
        let cli = match Cli::from_arg_matches(&command().get_matches()) {
            Ok(cli) => cli,
            Err(error) => error.exit(),
        };
        match dispatch(cli, self) {
            Ok(code) => ExitCode::from(code),
            Err(failed) => {
                eprintln!("error: {failed}");
                ExitCode::from(failed.code)
            }
        }
    }
}

fn dispatch(cli: Cli, Pabal { mut systems, channels }: Pabal) -> Result<u8, Failed> {
    check_installation(&systems).map_err(|error| Failed::config(error.to_string()))?;
    channels.check(&systems)?;
    let file = cli.config.as_deref();
    match cli.command {
        Command::Run(run) => {
            let config = load(&run.settings, file, &mut systems)?.config;
            commands::run::run(&run, &config, chosen(systems, &run.systems)?, channels)
        }
        #[cfg(feature = "cluster")]
        Command::Serve(serve) => {
            let config = load(&serve.settings, file, &mut systems)?.config;
            commands::serve::serve(&serve, &config, systems, channels)
        }
        #[cfg(feature = "cluster")]
        Command::Handover(handover) => {
            let config = load(&handover.settings, file, &mut systems)?.config;
            commands::handover::handover(&handover, &config, &systems)
        }
        Command::Map(map) => commands::map::map(&map, &chosen(systems, &map.systems)?),
        Command::Events(events) => {
            let config = load(&events.settings(), file, &mut systems)?.config;
            commands::events::events(&events, &config, &systems)
        }
        Command::DeadLetters(letters) => commands::dead_letters::dead_letters(&letters),
        Command::Replay(replay) => commands::replay::replay(&replay),
        Command::Config(config) => {
            let effective = load(&config.settings, file, &mut systems)?;
            commands::config::config(&config, &effective)
        }
        Command::Doctor(doctor) => {
            let config = load(&doctor.settings, file, &mut systems)?.config;
            commands::doctor::doctor(&doctor, &config, &systems)
        }
        Command::Health(health) => commands::health::health(&health),
        Command::Completions { shell } => {
            let mut command = command();
            let name = command.get_bin_name().unwrap_or("pabal").to_owned();
            clap_complete::generate(shell, &mut command, name, &mut std::io::stdout());
            Ok(0)
        }
    }
}

/// The configuration from defaults, file, environment and flags.
fn load(settings: &args::Settings, file: Option<&Path>, systems: &mut [System]) -> Result<EffectiveConfig, Failed> {
    let variables: Vec<_> = std::env::vars().filter(|(name, _)| name.starts_with("PABAL_")).collect();
    config::load(&settings.flags(file), &variables, systems)
}

/// The command line, under the name of the executable.
fn command() -> clap::Command {
    let path = std::env::args_os().next().map(std::path::PathBuf::from);
    let name = path.as_deref().and_then(|path| path.file_stem()).and_then(|name| name.to_str()).unwrap_or("pabal").to_owned();
    Cli::command().bin_name(name)
}

/// The systems that are named, in the order of the binary; all of them where none is.
fn chosen(systems: Vec<System>, names: &[String]) -> Result<Vec<System>, Failed> {
    if let Some(unknown) = names.iter().find(|name| systems.iter().all(|system| system.name != name.as_str())) {
        let known: Vec<_> = systems.iter().map(|system| system.name).collect();
        return Err(Failed::config(format!("there is no system `{unknown}`; there is {}", known.join(", "))));
    }
    Ok(systems.into_iter().filter(|system| names.is_empty() || names.iter().any(|name| name == system.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_system_that_does_not_exist_is_named_with_those_that_do() {
        let error = chosen(vec![rcs::system()], &["rsc".to_owned()]).err().unwrap();
        assert_eq!((error.to_string().as_str(), error.code), ("there is no system `rsc`; there is rcs", failed::USAGE));
    }
}
