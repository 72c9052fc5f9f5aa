//! How many rows a second are committed, and what one file per system gains over one per service.
//!
//! `cargo run --release -p store-sqlite --example commit_rate [directory]`
#![allow(clippy::expect_used, clippy::print_stdout, reason = "an example that measures")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kernel::event::Cause;
use kernel::{Domain, Event, IndexValue, Row, Service, System, view};
use ports::model::TableId;
use ports::{Commit, CounterDelta, Model, Query, Reader, Record, RowRef, RowWrite, Store};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store_sqlite::SqliteStore;

const SERVICES: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];
const EACH: Duration = Duration::from_secs(3);

#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
struct Line {
    id: u64,
    state: String,
    owner: String,
    text: String,
}

impl Row for Line {
    fn id(&self) -> Option<u64> {
        Some(self.id)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Happened {}

impl Event for Happened {
    const TYPE: &'static str = "Happened";
}

fn model(services: &[&'static str]) -> Arc<Model> {
    let service = |name| {
        let lines = view::<Line>("lines", "Lines.").on::<Happened>(|_, _, _| {});
        let lines = lines.counted("state", |line| IndexValue::from(&line.state));
        let lines = lines.filter("owner", |line| IndexValue::from(&line.owner));
        Service::new(name, 8080, Domain::Core, "Keeps lines.").follows("elsewhere").view(lines)
    };
    let system = services.iter().fold(System::new("rate", "events", "Lines."), |system, name| system.service(service(name)));
    Model::new(system).expect("well declared")
}

/// Keys that come in no order, as those of clients do.
fn key(id: u64) -> String {
    format!("{:016x}", id.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A row of about 400 bytes and an event of about 300, as accepting a message makes them.
fn put(commit: &mut Commit, model: &Model, table: TableId, id: u64, seq: u64, old_version: u64) {
    let state = if old_version == 0 { "accepted" } else { "sent" };
    let line = Line { id, state: state.into(), owner: format!("owner {}", id % 1_000), text: "text ".repeat(60) };
    let row: kernel::context::Opaque = Arc::new(line);
    let declared = model.table_of(table);
    let (index, data) = (declared.index(&row), declared.encode(&row).expect("writes"));
    commit.log.push(Record {
        seq,
        id: format!("event-{seq:020}"),
        source: "service".into(),
        event_type: "Happened".into(),
        version: 1,
        key: key(id),
        time_ms: 1_700_000_000_000,
        data: format!(r#"{{"eventType":"Happened","text":"{}"}}"#, "text ".repeat(40)).into_bytes(),
        cause: Cause { request: format!("request-{id}"), ..Cause::default() },
    });
    commit.counters.extend(
        declared
            .counters(&index)
            .into_iter()
            .map(|counter| CounterDelta { table, counter, delta: 1 })
            .take(1 + usize::from(old_version == 0)),
    );
    commit.rows.push(RowWrite {
        table,
        key: key(id),
        id: Some(id),
        old_version,
        version: old_version + 1,
        schema: 1,
        data: Some(data),
        index,
    });
}

/// Counters once each, as the core adds them up.
fn add_up(commit: &mut Commit) {
    let mut sums: Vec<CounterDelta> = Vec::new();
    for change in commit.counters.drain(..) {
        match sums.iter_mut().find(|sum| sum.table == change.table && sum.counter == change.counter) {
            Some(sum) => sum.delta += change.delta,
            None => sums.push(change),
        }
    }
    commit.counters = sums;
}

fn per_second(rows: u64, took: Duration) -> u64 {
    rows * 1_000_000 / u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1)
}

/// Commits of rows to one file, then changes of them; then what was written is read.
fn batches(dir: &Path, size: u64) {
    let model = model(&SERVICES[..1]);
    let (mut store, reader) = SqliteStore::open(dir.join(format!("batch-{size}.db")), &model).expect("opens");
    let (mut number, mut id, mut seq) = (0, 0, 0);
    let started = Instant::now();
    while started.elapsed() < EACH {
        let mut commit = Commit { number: number + 1, ..Commit::default() };
        for _ in 0..size {
            (id, seq) = (id + 1, seq + 1);
            put(&mut commit, &model, TableId(0), id, seq, 0);
        }
        add_up(&mut commit);
        store.commit(&commit).expect("commits");
        number += 1;
    }
    let inserted = per_second(id, started.elapsed());
    let (started, mut changed) = (Instant::now(), 0);
    while started.elapsed() < EACH && changed + size <= id {
        let mut commit = Commit { number: number + 1, ..Commit::default() };
        for _ in 0..size {
            (changed, seq) = (changed + 1, seq + 1);
            put(&mut commit, &model, TableId(0), changed, seq, 1);
        }
        add_up(&mut commit);
        store.commit(&commit).expect("commits");
        number += 1;
    }
    let updated = per_second(changed, started.elapsed());
    println!("batches of {size:>3}: {inserted:>7} new rows/s, {updated:>7} changed rows/s, each with its event");
    let wanted: Vec<RowRef> = (0..2_560).map(|position| RowRef { table: TableId(0), key: key(1 + position * 7 % id) }).collect();
    let started = Instant::now();
    for some in wanted.chunks(256) {
        assert!(store.load(some).expect("loads").iter().all(Option::is_some));
    }
    println!("    {:>7} rows/s loaded by key, 256 at a time", per_second(2_560, started.elapsed()));
    let started = Instant::now();
    let pages = (0..500).map(|_| reader.page(TableId(0), &Query::first(20)).expect("reads").rows.len()).sum::<usize>();
    println!("    {:>7} pages/s of 20 rows", per_second(pages as u64 / 20, started.elapsed()));
    println!("    {:>7} MB on disk for {id} rows and {seq} events", reader.size_bytes() / 1_000_000);
}

/// One saga: a row in each of five services; five commits to five files, or one commit to one.
fn sagas(dir: &Path, size: u64, one_file: bool) {
    let models: Vec<Arc<Model>> =
        if one_file { vec![model(&SERVICES)] } else { SERVICES.iter().map(|name| model(&[name])).collect() };
    let path = |position: usize| -> PathBuf { dir.join(format!("saga-{size}-{one_file}-{position}.db")) };
    let open = |(position, model): (usize, &Arc<Model>)| SqliteStore::open(path(position), model).expect("opens");
    let mut stores: Vec<_> = models.iter().enumerate().map(open).collect();
    let (mut number, mut id, mut seq) = (0, 0, 0);
    let started = Instant::now();
    while started.elapsed() < EACH {
        for (model, (store, _)) in models.iter().zip(&mut stores) {
            let mut commit = Commit { number: number + 1, ..Commit::default() };
            let tables = model.tables.iter().filter(|table| table.shadow.is_some());
            let mut at = if one_file { seq } else { id };
            for table in tables {
                for saga in 1..=size {
                    at += 1;
                    put(&mut commit, model, table.id, id + saga, at, 0);
                }
            }
            add_up(&mut commit);
            store.commit(&commit).expect("commits");
        }
        id += size;
        seq += size * SERVICES.len() as u64;
        number += 1;
    }
    let files = if one_file { "one file, one commit  " } else { "five files, five in turn" };
    println!("sagas of five rows, {size:>3} at a time, {files}: {:>6}/s", per_second(id, started.elapsed()));
}

fn main() {
    let dir = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from).join(format!("rate-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    for size in [1, 16, 256] {
        batches(&dir, size);
    }
    for size in [1, 16, 256] {
        sagas(&dir, size, true);
        sagas(&dir, size, false);
    }
    std::fs::remove_dir_all(&dir).expect("removed");
}
