//! The results in files: tables, a picture, and every sample.

use crate::args::Run;
use crate::book::Book;
use crate::failed::{Failed, failed};
use crate::{chart, table};

/// Writes them, and prints the tables.
pub fn write(args: &Run, book: &Book) -> Result<(), Failed> {
    let name = named(book, "");
    std::fs::create_dir_all(&args.results)?;
    std::fs::write(args.results.join(format!("{name}.svg")), chart::draw(book))?;
    let picture = format!("![the same as a chart]({name}.svg)\n\n");
    put(args, book, &name, &page(args, book, "", &format!("{picture}{}", trouble(book) + &table::tables(book))))
}

/// The same of a cluster, which has tables of its own.
pub fn write_distributed(args: &Run, book: &Book, tables: &str) -> Result<(), Failed> {
    let about = " Each service is a process of its own; Kafka and PostgreSQL, too, share the machine.";
    put(args, book, &named(book, "-distributed"), &page(args, book, about, &(trouble(book) + tables)))
}

fn named(book: &Book, what: &str) -> String {
    format!("{}-{}{what}", book.began.split('T').next().unwrap_or_default(), book.commit)
}

fn put(args: &Run, book: &Book, name: &str, text: &str) -> Result<(), Failed> {
    println!("{text}");
    std::fs::create_dir_all(&args.results)?;
    std::fs::write(args.results.join(format!("{name}.md")), text)?;
    let json = args.json.clone().unwrap_or_else(|| args.results.join(format!("{name}.json")));
    std::fs::write(&json, serde_json::to_string_pretty(book).map_err(failed)?)?;
    eprintln!("written: {}/{name}.md; {}", args.results.display(), json.display());
    Ok(())
}

/// What should not have happened, as a list.
fn trouble(book: &Book) -> String {
    let mut text = String::new();
    for what in &book.trouble {
        text.push_str("- **trouble:** ");
        text.push_str(what);
        text.push('\n');
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn page(args: &Run, book: &Book, about: &str, tables: &str) -> String {
    let machine = &book.machine;
    let quick = if args.quick { "\n**A quick run, to see that everything works: the figures mean nothing.**\n" } else { "" };
    format!(
        "# Measurements of {commit}, {began}\n{quick}\n\
         {cores} cores ({processor}), {memory} MiB of memory, Linux {kernel}; load when it began: {load}.\n\
         {rounds} rounds of {seconds} s each, {connections} connections, keys {keys:?}; client and servers share the machine.{about}\n\
         Median, and in brackets the range of the rounds. What is measured how: [bench/README.md](../README.md).\n\n{tables}",
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
    )
}
