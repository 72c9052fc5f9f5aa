//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures Pabal beside a bare server and a bare store, in one run on one machine.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// Something else than measuring
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to measure
    #[command(flatten)]
    pub run: Run,
}

/// What is not a measurement.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server that only parses JSON and echoes it
    Echo {
        /// Its port; 0 takes one that is free and says which
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
}

/// How it is measured.
#[derive(Debug, Clone, Args)]
pub struct Run {
    /// The binary to measure
    #[arg(long, default_value = "target/release/pabal")]
    pub pabal: PathBuf,
    /// Its port; the default is the one that it ships with
    #[arg(long, default_value_t = 8088)]
    pub port: u16,
    /// Seconds in all, to see that everything works; the figures mean nothing
    #[arg(long)]
    pub quick: bool,
    /// One process for each service, over real Kafka and PostgreSQL with nothing in them, beside these two alone and beside
    /// the embedded mode. What `scripts/infra` has stored so far is removed
    #[arg(long)]
    pub distributed: bool,
    /// The script that starts and stops Kafka and PostgreSQL
    #[arg(long, default_value = "scripts/infra")]
    pub infra: PathBuf,
    /// Partitions of the cluster's topic
    #[arg(long, default_value_t = 4)]
    pub partitions: u32,
    /// How often everything is measured, the variants in turn
    #[arg(long, default_value_t = 3)]
    pub rounds: u32,
    /// Seconds of each load
    #[arg(long, default_value_t = 8.0)]
    pub seconds: f64,
    /// Messages that are there before, one or several
    #[arg(long, value_delimiter = ',', default_value = "0,1000000,5000000")]
    pub stored: Vec<u64>,
    /// Only these: a (echo), b (accepting), c (saga), d (commits), e (reads), overload; distributed: a (what stands beside the
    /// cluster), b, c
    #[arg(long, value_delimiter = ',', default_value = "a,b,c,d,e,overload")]
    pub only: Vec<String>,
    /// Fixed rates at which latencies are measured, a second [default: 500,1000,2000,5000; distributed: 100,200]
    #[arg(long, value_delimiter = ',', default_value = "500,1000,2000,5000", hide_default_value = true)]
    #[arg(default_value_if("distributed", "true", "100,200"))]
    pub rates: Vec<u32>,
    /// Connections of the load
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Connections of the overload: more than the commands that Pabal lets wait
    #[arg(long, default_value_t = 6_000)]
    pub overload_connections: usize,
    /// How messages' keys follow each other
    #[arg(long, value_enum, default_value_t = Keys::Scattered)]
    pub keys: Keys,
    /// Where data directories are made
    #[arg(long, default_value = "target/bench")]
    pub work: PathBuf,
    /// Use preloaded data of an earlier run, also if another commit made it
    #[arg(long)]
    pub reuse: bool,
    /// Where the results go
    #[arg(long, default_value = "bench/results")]
    pub results: PathBuf,
    /// Every sample, as JSON; beside the table if not said
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// The order of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Keys {
    /// In no order, as random ids of clients are: the hard case for an index
    Scattered,
    /// One after the other, as ids that sort by time are
    Ordered,
}

impl Run {
    /// With what `--quick` changes.
    pub fn settled(mut self) -> Self {
        if self.quick {
            self.rounds = 1;
            self.seconds = 1.0;
            self.stored = vec![0];
            self.rates = if self.distributed { vec![50, 100] } else { vec![200, 500] };
        }
        if self.distributed {
            self.stored = vec![0];
        }
        self.partitions = self.partitions.max(1);
        self.stored.sort_unstable();
        self.stored.dedup();
        self
    }

    /// Whether a variant is asked for.
    pub fn does(&self, variant: char) -> bool {
        self.only.iter().any(|only| only.chars().eq([variant]))
    }

    /// Whether the overload is asked for.
    pub fn does_overload(&self) -> bool {
        self.only.iter().any(|only| only == "overload")
    }

    /// How long each load lasts.
    pub fn lasts(&self) -> Duration {
        Duration::from_secs_f64(self.seconds.clamp(0.1, 3_600.0))
    }
}
