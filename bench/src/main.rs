#![doc = include_str!("../README.md")]

mod args;
mod book;
mod chart;
mod cluster;
mod cycle;
mod echo;
mod failed;
mod letters;
mod levels;
mod load;
mod machine;
mod overload;
mod pace;
mod plain;
mod preload;
mod probes;
mod proc;
mod process;
mod raw;
mod recorder;
mod report;
mod saga;
mod site;
mod table;
mod tally;
mod watch;
mod wire;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use book::Book;
use failed::{Failed, failed};

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
        let mut book = Book::new(args);
        let levels = levels::prepare(args, &mut book)?;
        for round in 1..=args.rounds {
            for level in &levels {
                eprintln!("round {round} of {}, {} stored", args.rounds, level.stored);
                // What has been measured until then is worth writing down.
                if let Err(error) = cycle::run(args, level, round, &mut book).await {
                    book.complain(format!("round {round}, {} stored: {error}", level.stored));
                }
            }
            if args.does('d') {
                eprintln!("round {round} of {}, raw commits", args.rounds);
                raw::run(args, round, &mut book)?;
            }
        }
        if args.does_overload() {
            overload::run(args, &mut book).await?;
        }
        book.compare(&book::RATIOS);
        report::write(args, &book)?;
        book.complaints().map_or(Ok(()), |why| Err(failed(why)))
    })
}
