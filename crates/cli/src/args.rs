//! The command line, as it is read and as `--help` shows it.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::Flags;

/// Business messages and orders as event-driven services, in one binary.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    /// The settings' file [default: pabal.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run all systems, or some of them
    Run(Run),
    /// Run services of a cluster in this process, with Apache Kafka and PostgreSQL
    #[cfg(feature = "cluster")]
    Serve(Serve),
    /// Copy consumer offsets between groups, when a service replaces an existing one on its topic
    #[cfg(feature = "cluster")]
    Handover(Handover),
    /// Draw the event-storming board of what runs
    Map(Map),
    /// Read the log of events
    Events(Events),
    /// List, redrive or discard parked events
    DeadLetters(DeadLetters),
    /// Rebuild a view from the log, while the old one serves
    Replay(Replay),
    /// Show the configuration in effect, and where each value comes from
    Config(Config),
    /// Check data directory, disk, ports, clock and zone
    Doctor(Doctor),
    /// Probe a running instance; the exit code is the answer
    Health(Health),
    /// Print completions for a shell
    Completions {
        /// Which one
        shell: clap_complete::Shell,
    },
}

/// Flags that are settings.
#[derive(Debug, Clone, Default, Args)]
pub struct Settings {
    /// Where the data is
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The gateway's port; 0 takes any free one
    #[arg(long)]
    pub port: Option<u16>,
    /// The address to listen on
    #[arg(long)]
    pub host: Option<String>,
    /// Development mode
    #[arg(long)]
    pub dev: bool,
}

impl Settings {
    /// For the configuration.
    pub fn flags(&self, file: Option<&Path>) -> Flags {
        Flags { file: file.map(Path::to_owned), data: self.data.clone(), host: self.host.clone(), port: self.port, dev: self.dev }
    }
}

/// `run`
#[derive(Debug, Args)]
pub struct Run {
    /// Which systems; of a single one, each service also listens on its own port [default: all]
    #[arg(value_name = "SYSTEM")]
    pub systems: Vec<String>,
    /// What is set
    #[command(flatten)]
    pub settings: Settings,
}

/// `serve`
#[cfg(feature = "cluster")]
#[derive(Debug, Args)]
pub struct Serve {
    /// Which services, e.g. rcs/message; `gateway` forwards to those in other processes
    #[arg(value_name = "SYSTEM/SERVICE", required = true)]
    pub services: Vec<String>,
    /// What is set
    #[command(flatten)]
    pub settings: Settings,
}

/// `handover`
#[cfg(feature = "cluster")]
#[derive(Debug, Args)]
pub struct Handover {
    /// The service, e.g. rcs/validator
    #[arg(value_name = "SYSTEM/SERVICE")]
    pub service: String,
    /// From this group [default: ours]
    #[arg(long)]
    pub from: Option<String>,
    /// To this group [default: ours]
    #[arg(long)]
    pub to: Option<String>,
    /// What is set
    #[command(flatten)]
    pub settings: Settings,
}

/// `map`
#[derive(Debug, Args)]
pub struct Map {
    /// Which systems [default: all]
    #[arg(value_name = "SYSTEM")]
    pub systems: Vec<String>,
    /// In which form [default: as the file's name says, else mermaid]
    #[arg(long)]
    pub format: Option<Format>,
    /// Into a file instead of the terminal
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// The forms of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for a README
    Mermaid,
    /// A picture
    Svg,
    /// A page
    Html,
}

/// `events`
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own on the command line
pub struct Events {
    /// Of one topic, as its consumers read it: one record value a line
    #[arg(long)]
    pub topic: Option<String>,
    /// From the first event [default: the last 50; with a filter, all that match]
    #[arg(long)]
    pub from_beginning: bool,
    /// Wait for more
    #[arg(long)]
    pub follow: bool,
    /// Of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// Of this correlation key
    #[arg(long)]
    pub key: Option<String>,
    /// Caused by this request (X-Request-Id)
    #[arg(long)]
    pub request: Option<String>,
    /// From this time on: an instant, a date, or how long ago (10m)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before this time: an instant, a date, or how long ago
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// With all metadata, one JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Where the data is
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

impl Events {
    /// The settings among the flags.
    pub fn settings(&self) -> Settings {
        Settings { data: self.data.clone(), ..Settings::default() }
    }
}

/// Which running instance.
#[derive(Debug, Clone, Args)]
pub struct Instance {
    /// Its URL
    #[arg(long, env = "PABAL_URL", default_value = "http://127.0.0.1:8088")]
    pub url: String,
}

/// `dead-letters`
#[derive(Debug, Args)]
pub struct DeadLetters {
    /// What to do with them
    #[command(subcommand)]
    pub action: LetterAction,
}

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub enum LetterAction {
    /// Show them
    List {
        /// Also parked events that are still retried, or that wait behind another
        #[arg(long)]
        all: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Which instance
        #[command(flatten)]
        instance: Instance,
    },
    /// Retry one now, then the events that are parked behind it
    Redrive {
        /// Which one
        #[command(flatten)]
        letter: Letter,
        /// Which instance
        #[command(flatten)]
        instance: Instance,
    },
    /// Discard one; the events that are parked behind it go on
    Discard {
        /// Which one
        #[command(flatten)]
        letter: Letter,
        /// Its place in the list, so that nothing newer is discarded by mistake
        place: u64,
        /// Which instance
        #[command(flatten)]
        instance: Instance,
    },
}

/// A dead letter, as the list names it.
#[derive(Debug, Clone, Args)]
pub struct Letter {
    /// The subscription, e.g. rcs.device
    pub subscription: String,
    /// Its key
    pub key: String,
}

/// `replay`
#[derive(Debug, Args)]
pub struct Replay {
    /// The view, e.g. myMessages or rcs/myMessages
    pub view: String,
    /// Which instance
    #[command(flatten)]
    pub instance: Instance,
}

/// `config`
#[derive(Debug, Args)]
pub struct Config {
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// What is set
    #[command(flatten)]
    pub settings: Settings,
}

/// `doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// What is set
    #[command(flatten)]
    pub settings: Settings,
}

/// `health`
#[derive(Debug, Args)]
pub struct Health {
    /// What is asked
    pub what: Probe,
    /// Which instance
    #[command(flatten)]
    pub instance: Instance,
}

/// What a probe asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Probe {
    /// Does it make progress? If not, restart it
    Live,
    /// Can it take requests?
    Ready,
}
