//! The results in files: tables, a picture, and every sample.

use crate::args::Run;
use crate::book::Book;
use crate::failed::{Failed, failed};
use crate::{chart, table};

/// Writes them, and prints the tables.
pub fn write(args: &Run, book: &Book) -> Result<(), Failed> {
    let date = book.began.split('T').next().unwrap_or_default();
    let name = format!("{date}-{}", book.commit);
    std::fs::create_dir_all(&args.results)?;
    let text = page(args, book, &name);
    println!("{text}");
    std::fs::write(args.results.join(format!("{name}.md")), text)?;
    std::fs::write(args.results.join(format!("{name}.svg")), chart::draw(book))?;
    let json = args.json.clone().unwrap_or_else(|| args.results.join(format!("{name}.json")));
    std::fs::write(&json, serde_json::to_string_pretty(book).map_err(failed)?)?;
    eprintln!("written: {}/{name}.md, .svg; {}", args.results.display(), json.display());
    Ok(())
}

fn page(args: &Run, book: &Book, name: &str) -> String {
    let machine = &book.machine;
    let quick = if args.quick { "\n**A quick run, to see that everything works: the figures mean nothing.**\n" } else { "" };
    let trouble: Vec<String> = book.trouble.iter().map(|what| format!("- **trouble:** {what}\n")).collect();
    format!(
        "# Measurements of {commit}, {began}\n{quick}\n\
         {cores} cores ({processor}), {memory} MiB of memory, Linux {kernel}; load when it began: {load}.\n\
         {rounds} rounds of {seconds} s each, {connections} connections, keys {keys:?}; client and servers share the machine.\n\
         Median, and in brackets the range of the rounds. What is measured how: [bench/README.md](../README.md).\n\n\
         ![the same as a chart]({name}.svg)\n\n{trouble}{tables}",
        commit = book.commit,
        began = book.began,
        cores = machine.cores,
        processor = machine.processor,
        memory = table::count(machine.memory_mib),
        kernel = machine.kernel,
        load = machine.load,
        rounds = args.rounds,
        seconds = args.seconds,
        connections = args.connections,
        keys = args.keys,
        trouble = trouble.concat(),
        tables = table::tables(book),
    )
}
