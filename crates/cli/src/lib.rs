#![doc = include_str!("../README.md")]

mod admin;
mod args;
mod commands;
pub mod config;
mod failed;
mod instants;
mod logfile;
mod logs;
mod run;
mod show;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use kernel::System;

use args::{Cli, Command};
use failed::Failed;

/// What the program is: parses the command line, and does what it says with these systems.
pub fn main(systems: impl IntoIterator<Item = System>) -> ExitCode {
    let command = command();
    let cli = match Cli::from_arg_matches(&command.get_matches()) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match obey(cli, systems.into_iter().collect()) {
        Ok(code) => ExitCode::from(code),
        Err(failed) => {
            eprintln!("error: {failed}");
            ExitCode::from(failed.code)
        }
    }
}

fn obey(cli: Cli, mut systems: Vec<System>) -> Result<u8, Failed> {
    let variables: Vec<_> = std::env::vars().filter(|(name, _)| name.starts_with("PABAL_")).collect();
    let mut load = |settings: &args::Settings| config::load(&settings.flags(cli.config.as_deref()), &variables, &mut systems);
    match cli.command {
        Command::Run(run) => {
            let force = load(&run.settings)?;
            let alone = !run.systems.is_empty();
            run::run(&force.config, chosen(systems, &run.systems)?, alone)
        }
        #[cfg(feature = "cluster")]
        Command::Serve(serve) => {
            let force = load(&serve.settings)?;
            run::serve(&force.config, run::served::Chosen::of(systems, &serve.services)?)
        }
        #[cfg(feature = "cluster")]
        Command::Handover(handover) => {
            let force = load(&handover.settings)?;
            commands::handover::handover(&handover, &force.config, &systems)
        }
        Command::Map(map) => commands::map::map(&map, &chosen(systems, &map.systems)?),
        Command::Events(events) => {
            let force = load(&events.settings())?;
            commands::events::events(&events, &force.config, &systems)
        }
        Command::DeadLetters(letters) => commands::dead_letters::dead_letters(&letters),
        Command::Replay(replay) => commands::replay::replay(&replay),
        Command::Config(config) => {
            let force = load(&config.settings)?;
            commands::config::config(&config, &force)
        }
        Command::Doctor(doctor) => {
            let force = load(&doctor.settings)?;
            commands::doctor::doctor(&doctor, &force.config, &systems)
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

/// The command line; an own binary goes by its own name.
fn command() -> clap::Command {
    let path = std::env::args_os().next().map(std::path::PathBuf::from);
    let name = path.as_deref().and_then(|path| path.file_stem()).and_then(|name| name.to_str()).unwrap_or("pabal").to_owned();
    Cli::command().bin_name(name)
}

/// The systems that were named, in the order of the binary; all of them where none was.
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
