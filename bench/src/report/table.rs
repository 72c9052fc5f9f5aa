//! The results as Markdown tables.

use std::fmt::Write;

use super::results::{GROWING, Results};
use crate::numbers::{count, figure};

/// Rows that are there once for each level of stored messages: what, and its name in the results.
const THROUGHPUT: [(&str, &str); 11] = [
    ("(a) bare server: parses JSON, echoes it", "a.per_s"),
    ("(b) `POST /messages`, everything behind it held back", "b.held.per_s"),
    ("(b) the same with an `Idempotency-Key`", "b.keyed.per_s"),
    ("what was held back, once it may go on", "b.held.drained_per_s"),
    ("(b) `POST /messages`, the whole saga running", "b.saga.per_s"),
    ("of these accepted and final in the end, drain time counted", "c.through.per_s"),
    ("(c) the whole saga, sustained, no growing backlog", "c.sustained.per_s"),
    ("(e) one message", "e.one.per_s"),
    ("(e) a page of `myMessages` by result, latest first, 20 rows", "e.page.per_s"),
    ("(e) a page of one recipient's, latest first", "e.person.per_s"),
    ("filling a store through the core, without HTTP", "preload.per_s"),
];

const RATIOS: [(&str, &str); 11] = [
    ("(b) held back : (a)", "ratio.b_held_to_a"),
    ("(b) with an `Idempotency-Key` : (b) held back", "ratio.b_keyed_to_b_held"),
    ("(b) with the saga : (a)", "ratio.b_saga_to_a"),
    ("(c) : (a)", "ratio.c_to_a"),
    ("(c) : (b) held back", "ratio.c_to_b_held"),
    ("(e) one message : (a)", "ratio.e_one_to_a"),
    ("(e) page by result : (a)", "ratio.e_page_to_a"),
    ("(e) page of a recipient : (a)", "ratio.e_person_to_a"),
    ("(b) held back : (d) acceptances, 64 a commit", "ratio.b_held_to_d_accept"),
    ("(c) : (d) sagas, 64 a commit", "ratio.c_to_d_saga"),
    ("processor time of one (b) held back : of one (a)", "ratio.cpu_b_held_to_a"),
];

const SIZES: [(&str, &str); 17] = [
    ("start to ready, ms", "start.ready_ms"),
    ("told to stop to ended, s", "stop.s"),
    ("memory idle, resident, MiB", "memory.idle.resident_mib"),
    ("memory idle, its own, MiB", "memory.idle.own_mib"),
    ("memory under load, resident, MiB", "memory.load.resident_mib"),
    ("memory under load, its own, MiB", "memory.load.own_mib"),
    ("bytes on disk per message", "disk.bytes_per_message"),
    ("bytes on disk per further message", "disk.more_bytes_per_message"),
    ("processor time of one (a), µs", "a.cpu_us"),
    ("processor time of one (b) held back, µs", "b.held.cpu_us"),
    ("processor time of one (b) with its saga, µs", "b.saga.cpu_us"),
    ("(b) held back: drain time, s", "b.held.drain_s"),
    ("(b) with the saga: backlog at the end", "b.saga.backlog"),
    ("(b) with the saga: drain time, s", "b.saga.drain_s"),
    ("(c) sustained: backlog at the end", "c.sustained.backlog"),
    ("(c) sustained: drain time, s", "c.sustained.drain_s"),
    ("messages there when reads were measured", "e.among"),
];

const OVERLOAD: [(&str, &str); 17] = [
    ("what it can take, messages/s", "overload.capacity_per_s"),
    ("asked, requests/s", "overload.asked_per_s"),
    ("accepted/s", "overload.accepted_per_s"),
    ("accepted : what it can take", "overload.accepted_to_capacity"),
    ("refused (429, 503)/s", "overload.refused_per_s"),
    ("finished/s meanwhile", "overload.finished_per_s"),
    ("backlog at the end", "overload.backlog"),
    ("drain time, s", "overload.drain_s"),
    ("accepted: p50 to the answer, ms", "overload.accepted.p50_ms"),
    ("accepted: p99, ms", "overload.accepted.p99_ms"),
    ("accepted: longest, ms", "overload.accepted.max_ms"),
    ("refused: p50 to the answer, ms", "overload.refused.p50_ms"),
    ("refused: p99, ms", "overload.refused.p99_ms"),
    ("refused: longest, ms", "overload.refused.max_ms"),
    ("memory at half time, resident, MiB", "memory.overload_half.resident_mib"),
    ("memory at most, resident, MiB", "memory.overload.resident_mib"),
    ("memory at most, its own, MiB", "memory.overload.own_mib"),
];

/// All tables.
pub fn tables(results: &Results) -> String {
    let (mut text, levels) = (String::new(), results.levels.as_slice());
    by_level(&mut text, results, "A second", levels, &THROUGHPUT);
    by_level(&mut text, results, "Ratios within a round", levels, &RATIOS);
    let grown: Vec<(String, String)> = GROWING.iter().map(|name| (label_of(name), format!("grown.{name}"))).collect();
    let grown: Vec<(&str, &str)> = grown.iter().map(|(label, name)| (label.as_str(), name.as_str())).collect();
    by_level(&mut text, results, "Compared with the lowest level of stored messages", levels, &grown);
    commits(&mut text, results);
    latencies(&mut text, results);
    by_level(&mut text, results, "Sizes and times", levels, &SIZES);
    by_level(&mut text, results, "Overload", &[0], &OVERLOAD);
    text
}

/// What a rate is called in the tables.
pub fn label_of(name: &str) -> String {
    THROUGHPUT.iter().find(|(_, known)| *known == name).map_or_else(|| name.to_owned(), |(label, _)| (*label).to_owned())
}

fn by_level(text: &mut String, results: &Results, title: &str, levels: &[u64], rows: &[(&str, &str)]) {
    let there = |name: &str| levels.iter().any(|stored| results.spread(*stored, name).is_some());
    let rows: Vec<_> = rows.iter().filter(|(_, name)| there(name)).collect();
    if rows.is_empty() {
        return;
    }
    let head: Vec<String> = levels.iter().map(|stored| format!(" {} stored ", count(*stored))).collect();
    let _ = writeln!(text, "## {title}\n\n| |{}|\n|---|{}", head.join("|"), "---:|".repeat(head.len()));
    for (label, name) in rows {
        let cells: Vec<String> = levels.iter().map(|stored| cell(results, *stored, name)).collect();
        let _ = writeln!(text, "| {label} | {} |", cells.join(" | "));
    }
    text.push('\n');
}

/// Median, and the range where there are several rounds.
pub fn cell(results: &Results, stored: u64, name: &str) -> String {
    match results.spread(stored, name) {
        None => "–".to_owned(),
        Some(spread) if (spread.high - spread.low).abs() < f64::EPSILON => figure(spread.median),
        Some(spread) => format!("{} ({} – {})", figure(spread.median), figure(spread.low), figure(spread.high)),
    }
}

fn commits(text: &mut String, results: &Results) {
    if results.spread(0, "d.sync.per_s").is_none() {
        return;
    }
    let _ = writeln!(
        text,
        "## (d) Messages a second by messages in one commit\n\n| | 1 | 16 | 64 | 256 |\n|---|{}",
        "---:|".repeat(4)
    );
    let rows = [
        ("the store: acceptances as the core writes them", "accept"),
        ("the store: whole sagas as the core writes them", "saga"),
        ("SQLite alone: a row and an event of the same lengths", "plain"),
    ];
    for (label, what) in rows {
        let cells = [1, 16, 64, 256].map(|batch| cell(results, 0, &format!("d.{what}.{batch}.per_s")));
        let _ = writeln!(text, "| {label} | {} |", cells.join(" | "));
    }
    let _ = writeln!(text, "\nSyncs of one appended page a second: {}.\n", cell(results, 0, "d.sync.per_s"));
}

fn latencies(text: &mut String, results: &Results) {
    let mut rows = String::new();
    for stored in &results.levels {
        for (variant, what) in [("a", "(a) answer"), ("b", "(b) answer, saga running"), ("c", "(c) final in `myMessages`")] {
            for rate in rates(results, *stored, variant) {
                let at = |percentile: &str| cell(results, *stored, &format!("{variant}.at{rate}.{percentile}_ms"));
                let cells = ["p50", "p90", "p99", "p99_9", "max"].map(at);
                let _ = writeln!(rows, "| {what} | {} | {} | {} |", count(*stored), count(rate), cells.join(" | "));
            }
        }
    }
    if !rows.is_empty() {
        text.push_str("## Latency at fixed rates, ms from when a request was due\n\n");
        text.push_str("| | stored | a second | p50 | p90 | p99 | p99.9 | longest |\n|---|---:|---:|---:|---:|---:|---:|---:|\n");
        let _ = writeln!(text, "{rows}");
    }
}

/// The fixed rates at which a variant was measured.
pub fn rates(results: &Results, stored: u64, variant: &str) -> Vec<u64> {
    let own = results.samples.iter().filter(|sample| sample.stored == stored);
    let rate = |name: &str| name.strip_prefix(variant)?.strip_prefix(".at")?.strip_suffix(".p50_ms")?.parse().ok();
    let mut rates: Vec<u64> = own.filter_map(|sample| rate(&sample.name)).collect();
    rates.sort_unstable();
    rates.dedup();
    rates
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn only_what_was_measured_is_shown() {
        let mut results = Results::new(&crate::args::Cli::parse_from(["bench", "--stored", "0"]).run);
        results.record(1, 0, "a.per_s", 1000.0);
        results.record(2, 0, "a.per_s", 2000.0);
        results.record(1, 0, "c.at500.p50_ms", 1.5);
        let text = tables(&results);
        assert!(text.contains("| (a) bare server: parses JSON, echoes it | 1,500 (1,000 – 2,000) |"), "{text}");
        assert!(text.contains("| (c) final in `myMessages` | 0 | 500 | 1.50 | – |") && !text.contains("Overload"), "{text}");
    }
}
