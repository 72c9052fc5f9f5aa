#![doc = include_str!("../README.md")]

mod args;
mod cluster;
mod failed;
mod load;
mod machine;
mod numbers;
mod report;
mod rounds;
mod servers;
mod store;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use failed::{Failed, failed};
use report::results::{RATIOS, Results};
use rounds::{commits, cycle, overload};
use servers::echo;
use store::levels;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Echo { port }) => echo::run(port),
        None => measure(&cli.run.settled()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One thread for all connections: what the load costs is taken from the servers, which have the same few processors.
fn measure(args: &args::Run) -> Result<(), Failed> {
    machine::open_files();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if args.distributed {
        return runtime.block_on(cluster::run(args));
    }
    runtime.block_on(async {
        let mut results = Results::new(args);
        let levels = levels::prepare(args, &mut results)?;
        for round in 1..=args.rounds {
            for level in &levels {
                eprintln!("round {round} of {}, {} stored", args.rounds, level.stored);
                // What has been measured until then is worth writing down.
                if let Err(error) = cycle::run(args, level, round, &mut results).await {
                    results.fail(format!("round {round}, {} stored: {error}", level.stored));
                }
            }
            if args.does('d') {
                eprintln!("round {round} of {}, raw commits", args.rounds);
                commits::run(args, round, &mut results)?;
            }
        }
        if args.does_overload() {
            overload::run(args, &mut results).await?;
        }
        results.compare(&RATIOS);
        report::write(args, &results)?;
        results.failures().map_or(Ok(()), |why| Err(failed(why)))
    })
}
