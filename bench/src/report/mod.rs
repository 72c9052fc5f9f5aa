//! The results in files: tables, a picture, and every sample.

mod chart;
pub mod results;
pub mod table;

use crate::args::Run;
use crate::failed::{Failed, failed};
use crate::numbers::count;
use crate::report::results::Results;

/// Writes them, and prints the tables.
pub fn write(args: &Run, results: &Results) -> Result<(), Failed> {
    let name = named(results, "");
    std::fs::create_dir_all(&args.results)?;
    std::fs::write(args.results.join(format!("{name}.svg")), chart::draw(results))?;
    let picture = format!("![the same as a chart]({name}.svg)\n\n");
    put(args, results, &name, &page(args, results, "", &format!("{picture}{}", failures(results) + &table::tables(results))))
}

/// The same of a cluster, which has tables of its own.
pub fn write_distributed(args: &Run, results: &Results, tables: &str) -> Result<(), Failed> {
    let about = " Each service is a process of its own; Kafka and PostgreSQL, too, share the machine.";
    put(args, results, &named(results, "-distributed"), &page(args, results, about, &(failures(results) + tables)))
}

fn named(results: &Results, what: &str) -> String {
    format!("{}-{}{what}", results.began.split('T').next().unwrap_or_default(), results.commit)
}

fn put(args: &Run, results: &Results, name: &str, text: &str) -> Result<(), Failed> {
    println!("{text}");
    std::fs::create_dir_all(&args.results)?;
    std::fs::write(args.results.join(format!("{name}.md")), text)?;
    let json = args.json.clone().unwrap_or_else(|| args.results.join(format!("{name}.json")));
    std::fs::write(&json, serde_json::to_string_pretty(results).map_err(failed)?)?;
    eprintln!("written: {}/{name}.md; {}", args.results.display(), json.display());
    Ok(())
}

/// What should not have happened, as a list.
fn failures(results: &Results) -> String {
    let mut text = String::new();
    for what in &results.failures {
        text.push_str("- **failure:** ");
        text.push_str(what);
        text.push('\n');
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn page(args: &Run, results: &Results, about: &str, tables: &str) -> String {
    let machine = &results.machine;
    let quick = if args.quick { "\n**A quick run, to see that everything works: the figures mean nothing.**\n" } else { "" };
    format!(
        "# Measurements of {commit}, {began}\n{quick}\n\
         {cores} cores ({processor}), {memory} MiB of memory, Linux {kernel}; load when it began: {load}.\n\
         {rounds} rounds of {seconds} s each, {connections} connections, keys {keys:?}; client and servers share the machine.{about}\n\
         Median, and in brackets the range of the rounds. What is measured how: [bench/README.md](../README.md).\n\n{tables}",
        commit = results.commit,
        began = results.began,
        cores = machine.cores,
        processor = machine.processor,
        memory = count(machine.memory_mib),
        kernel = machine.kernel,
        load = machine.load,
        rounds = args.rounds,
        seconds = args.seconds,
        connections = args.connections,
        keys = args.keys,
    )
}
