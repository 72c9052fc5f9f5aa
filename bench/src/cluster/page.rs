//! The results as tables, ratios first.

use std::fmt::Write;

use crate::numbers::{count, figure};
use crate::report::results::{Results, Spread};
use crate::report::table::{cell, rates};

const RATIOS: [(&str, &str); 11] = [
    ("sagas sustained: cluster : embedded", "ratio.sustained"),
    ("sagas that came through, drain time counted: cluster : embedded", "ratio.through"),
    ("messages accepted, everything behind held back: cluster : embedded", "ratio.held"),
    ("the same in the cluster: through the gateway : at the service's own port", "ratio.gateway"),
    ("sagas that came through : messages accepted, cluster", "ratio.through_to_held"),
    ("records a second of sagas : raw produce rate", "ratio.records_to_produced"),
    ("records a second that services read for sagas : raw consume rate", "ratio.read_to_consumed"),
    ("commits a second of sagas : raw one-row commits", "ratio.commits_to_raw"),
    ("rows a second of sagas : raw rows, 256 a commit", "ratio.rows_to_raw"),
    ("processor time of a saga, servers not counted: cluster : embedded", "ratio.cpu"),
    ("accepted → shown at 100 a second, p50: cluster : embedded", "ratio.latency"),
];

const RAW: [(&str, &str); 8] = [
    ("Kafka: records produced/s, 1,000 waited for at once (as a relay does)", "raw.kafka.produced.per_s"),
    ("Kafka: records produced/s, each waited for", "raw.kafka.singly.per_s"),
    ("Kafka: records consumed/s", "raw.kafka.consumed.per_s"),
    ("bytes of a record's value", "raw.kafka.bytes"),
    ("PostgreSQL: one-row commits/s, 4 connections", "raw.pg.commits.per_s"),
    ("PostgreSQL: one-row commits/s, 1 connection", "raw.pg.alone.per_s"),
    ("PostgreSQL: rows/s, 256 a commit in one round trip, 4 connections", "raw.pg.rows.per_s"),
    ("the disk: syncs of one appended page/s", "raw.sync.per_s"),
];

/// In the cluster and in one embedded process.
const BOTH: [(&str, &str); 14] = [
    ("messages accepted/s, everything behind held back, at the service's own port", "b.held.per_s"),
    ("the same through the gateway", "gateway.b.held.per_s"),
    ("what was held back/s, once it may go on", "b.held.drained_per_s"),
    ("messages accepted/s, the whole saga running", "b.saga.per_s"),
    ("**sagas/s that came through, drain time counted**", "c.through.per_s"),
    ("**sagas/s sustained, no growing backlog**", "c.sustained.per_s"),
    ("backlog at the end of that", "c.sustained.backlog"),
    ("processor time of 1,000 sagas, s, servers not counted", "saga.cpu_s"),
    ("memory idle, its own, MiB", "memory.idle.own_mib"),
    ("memory under load, its own, MiB", "memory.load.own_mib"),
    ("commits/s meanwhile", "commits.per_s"),
    ("rows written/s meanwhile", "rows.per_s"),
    ("records published/s meanwhile", "records.per_s"),
    ("records read/s meanwhile, all services", "read.per_s"),
];

const REST: [(&str, &str); 7] = [
    ("commits/s", "rest.pg.commits"),
    ("syncs of the write-ahead log/s", "rest.pg.syncs"),
    ("rows changed/s", "rest.pg.updated"),
    ("bytes of write-ahead log/s", "rest.pg.wal_bytes"),
    ("PostgreSQL, of one processor", "rest.cpu.postgres"),
    ("Kafka, of one processor", "rest.cpu.kafka"),
    ("the five processes, of one processor", "rest.cpu.services"),
];

const SAGA: [(&str, &str); 10] = [
    ("commits", "pg.commits"),
    ("commits that failed", "pg.rollbacks"),
    ("rows inserted", "pg.inserted"),
    ("rows updated", "pg.updated"),
    ("rows deleted", "pg.deleted"),
    ("bytes of write-ahead log", "pg.wal_bytes"),
    ("syncs of the write-ahead log", "pg.syncs"),
    ("milliseconds in these syncs", "pg.sync_s"),
    ("records on the topic", "topic.records"),
    ("bytes on the topic", "topic.bytes"),
];

/// All tables.
pub fn tables(results: &Results) -> String {
    let mut text = String::new();
    rows(&mut text, results, "Ratios within a round", "", &RATIOS);
    rows(&mut text, results, "Alone", "", &RAW);
    both(&mut text, results);
    latencies(&mut text, results);
    found(&mut text, results, "Processor time of 1,000 sagas, s", "cluster.saga.cpu.", 0.0);
    found(
        &mut text,
        results,
        "The whole machine meanwhile, s for 1,000 sagas (busy − ours: somebody else)",
        "cluster.saga.machine.",
        0.0,
    );
    found(&mut text, results, "By thread, s for 1,000 sagas", "cluster.saga.thread.", 0.01);
    rows(&mut text, results, "One saga in PostgreSQL and Kafka", "cluster.saga.", &SAGA);
    by_table(&mut text, results);
    found(&mut text, results, "What each connection is seen doing, part of all looks", "cluster.looks.", 0.02);
    rows(&mut text, results, "A second at rest", "cluster.", &REST);
    text
}

fn rows(text: &mut String, results: &Results, title: &str, about: &str, rows: &[(&str, &str)]) {
    let there: Vec<(&str, String)> = rows
        .iter()
        .map(|(label, name)| (*label, format!("{about}{name}")))
        .filter(|(_, name)| results.spread(0, name).is_some())
        .collect();
    if there.is_empty() {
        return;
    }
    let _ = writeln!(text, "## {title}\n\n| | |\n|---|---:|");
    for (label, name) in there {
        let _ = writeln!(text, "| {label} | {} |", cell(results, 0, &name));
    }
    text.push('\n');
}

fn both(text: &mut String, results: &Results) {
    let _ = writeln!(text, "## The cluster beside one embedded process\n\n| | cluster | embedded |\n|---|---:|---:|");
    for (label, name) in BOTH {
        let cells = ["cluster", "embedded"].map(|of| cell(results, 0, &format!("{of}.{name}")));
        let _ = writeln!(text, "| {label} | {} |", cells.join(" | "));
    }
    text.push('\n');
}

fn latencies(text: &mut String, results: &Results) {
    let mut lines = String::new();
    for (variant, what) in [("b", "answer"), ("c", "final in `myMessages`")] {
        for of in ["cluster", "embedded"] {
            let variant = format!("{of}.{variant}");
            for rate in rates(results, 0, &variant) {
                let at = |percentile: &str| cell(results, 0, &format!("{variant}.at{rate}.{percentile}_ms"));
                let cells = ["p50", "p90", "p99", "max"].map(at);
                let _ = writeln!(lines, "| {what}, {of} | {} | {} |", count(rate), cells.join(" | "));
            }
        }
    }
    if !lines.is_empty() {
        text.push_str("## Latency at fixed rates, ms from when a request was due\n\n");
        text.push_str("| | a second | p50 | p90 | p99 | longest |\n|---|---:|---:|---:|---:|---:|\n");
        let _ = writeln!(text, "{lines}");
    }
}

/// Whatever was found under a name, the most first; what is less than `least` everywhere is in the other file only.
fn found(text: &mut String, results: &Results, title: &str, about: &str, least: f64) {
    let mut names: Vec<(&str, Spread)> =
        names(results, about).into_iter().filter_map(|name| Some((name, results.spread(0, name)?))).collect();
    names.retain(|(_, spread)| spread.high >= least);
    names.sort_by(|(_, one), (_, other)| other.median.total_cmp(&one.median));
    if names.is_empty() {
        return;
    }
    let _ = writeln!(text, "## {title}\n\n| | |\n|---|---:|");
    for (name, _) in names {
        let _ = writeln!(text, "| {} | {} |", &name[about.len()..], cell(results, 0, name));
    }
    text.push('\n');
}

/// Rows of each table, the most written first.
fn by_table(text: &mut String, results: &Results) {
    const ABOUT: &str = "cluster.saga.table.";
    let median = |name: &str| results.spread(0, name).map_or(0.0, |spread| spread.median);
    let mut tables: Vec<&str> = names(results, ABOUT)
        .into_iter()
        .filter_map(|name| name[ABOUT.len()..].rsplit_once('.').map(|(table, _)| table))
        .collect();
    tables.dedup();
    let mut lines: Vec<(f64, String)> = Vec::new();
    for table in tables {
        let figures = ["inserted", "updated", "deleted", "scans"].map(|what| median(&format!("{ABOUT}{table}.{what}")));
        let written: f64 = figures[..3].iter().sum();
        if figures.iter().any(|figure| *figure >= 0.01) {
            lines.push((written, format!("| {table} | {} |", figures.map(figure).join(" | "))));
        }
    }
    if lines.is_empty() {
        return;
    }
    lines.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    text.push_str("## Rows of one saga by table (medians), and searches of indexes\n\n");
    text.push_str("| | inserted | updated | deleted | searches |\n|---|---:|---:|---:|---:|\n");
    for (_, line) in lines {
        let _ = writeln!(text, "{line}");
    }
    text.push('\n');
}

/// Names of figures that begin so, each once, sorted.
fn names<'a>(results: &'a Results, about: &str) -> Vec<&'a str> {
    let mut names: Vec<&str> =
        results.samples.iter().map(|sample| sample.name.as_str()).filter(|name| name.starts_with(about)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn results(figures: &[(&str, f64)]) -> Results {
        let mut results = Results::new(&crate::args::Cli::parse_from(["bench", "--distributed"]).run);
        for (name, value) in figures {
            results.record(1, 0, *name, *value);
        }
        results
    }

    #[test]
    fn ratios_come_first_and_are_of_one_round() {
        let mut results = results(&[("cluster.c.through.per_s", 200.0), ("embedded.c.through.per_s", 1_000.0)]);
        results.compare(&super::super::RATIOS);
        let text = tables(&results);
        assert!(text.starts_with("## Ratios within a round"), "{text}");
        assert!(text.contains("drain time counted: cluster : embedded | 0.200 |"), "{text}");
        assert!(text.contains("| **sagas/s that came through, drain time counted** | 200 | 1,000 |"), "{text}");
    }

    #[test]
    fn what_was_found_is_listed_by_size() {
        let text = tables(&results(&[
            ("cluster.saga.cpu.kafka", 0.5),
            ("cluster.saga.cpu.postgres", 2.0),
            ("cluster.saga.thread.device a", 0.001),
            ("cluster.saga.table.rcs_device.log.inserted", 1.0),
            ("cluster.saga.table.rcs_device.log.scans", 3.0),
        ]));
        assert!(text.find("| postgres | 2.00 |").unwrap() < text.find("| kafka | 0.500 |").unwrap());
        assert!(!text.contains("device a"), "{text}");
        assert!(text.contains("| rcs_device.log | 1.00 | 0.000 | 0.000 | 3.00 |"), "{text}");
    }
}
