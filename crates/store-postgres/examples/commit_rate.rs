//! How many items a second are committed, by one writer and by several, beside what the server does with bare inserts.
//!
//! `PABAL_TEST_POSTGRES=postgres://… cargo run --release -p store-postgres --example commit_rate`
#![allow(clippy::expect_used, clippy::print_stdout, reason = "an example that measures")]

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kernel::event::Cause;
use kernel::{Domain, Event, IndexValue, Row, Service, System, view};
use ports::model::TableId;
use ports::{Commit, CounterDelta, Model, Outbox, Query, Reader, Record, RowRef, RowWrite, Store};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store_postgres::{PostgresOptions, PostgresReader, PostgresStore};
use tokio_postgres::NoTls;

const EACH: Duration = Duration::from_secs(4);
const LINES: TableId = TableId(0);

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

fn model() -> Arc<Model> {
    let lines = view::<Line>("lines", "Lines.").on::<Happened>(|_, _, _| {});
    let lines = lines.counted("state", |line| IndexValue::from(&line.state));
    let lines = lines.filter("owner", |line| IndexValue::from(&line.owner));
    let service = Service::new("first", 8080, Domain::Core, "Keeps lines.").follows("elsewhere").view(lines);
    Model::new(System::new("rate", "events", "Lines.").service(service)).expect("well declared")
}

/// Keys that come in no order, as those of clients do.
fn key(id: u64) -> String {
    format!("{:016x}", id.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A row of about 400 bytes and an event of about 300, as accepting a message makes them.
fn put(commit: &mut Commit, model: &Model, id: u64, old_version: u64) {
    let state = if old_version == 0 { "accepted" } else { "sent" };
    let line = Line { id, state: state.into(), owner: format!("owner {}", id % 1_000), text: "text ".repeat(60) };
    let row: kernel::context::Opaque = Arc::new(line);
    let declared = model.table_of(LINES);
    let (index, data) = (declared.index(&row), declared.encode(&row).expect("writes"));
    commit.log.push(Record {
        seq: 0,
        id: format!("event-{id:020}-{old_version}"),
        source: "service".into(),
        event_type: "Happened".into(),
        version: 1,
        key: key(id),
        time_ms: 1_700_000_000_000,
        data: format!(r#"{{"eventType":"Happened","text":"{}"}}"#, "text ".repeat(40)).into_bytes(),
        cause: Cause { request: format!("request-{id}"), ..Cause::default() },
    });
    let counters = declared.counters(&index).into_iter().take(1 + usize::from(old_version == 0));
    commit.counters.extend(counters.map(|counter| CounterDelta { table: LINES, counter, delta: 1 }));
    let (key, version) = (key(id), old_version + 1);
    commit.rows.push(RowWrite { table: LINES, key, id: Some(id), old_version, version, schema: 1, data: Some(data), index });
}

fn per_second(rows: u64, took: Duration) -> u64 {
    rows * 1_000_000 / u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1)
}

/// One process: commits of new rows, then changes of them.
fn write(store: &mut PostgresStore, model: &Model, size: u64, first: u64, old_version: u64, most: u64) -> u64 {
    let (started, mut id) = (Instant::now(), first);
    while started.elapsed() < EACH && id + size <= first + most {
        let mut commit = Commit { number: store.last_commit().expect("knows") + 1, ..Commit::default() };
        for _ in 0..size {
            id += 1;
            put(&mut commit, model, id, old_version);
        }
        commit.rows.sort_by(|one, other| one.key.cmp(&other.key));
        store.commit(&commit).expect("commits");
    }
    id - first
}

/// So many processes at once; a relay may take the events meanwhile.
fn batches(options: &PostgresOptions, size: u64, writers: u64, relaying: bool) {
    let model = model();
    let mut stores: Vec<_> = (0..writers)
        .map(|_| {
            let mut store = PostgresStore::connect(options, &model).expect("connects").0;
            store.recover().expect("recovers");
            store
        })
        .collect();
    let (_, reader, mut outbox) = PostgresStore::connect(options, &model).expect("connects");
    let (done, relayed) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut rates = Vec::new();
    let mut most = vec![u64::MAX >> 32; stores.len()];
    std::thread::scope(|scope| {
        if relaying {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let after = outbox.lease().expect("answers").expect("alone");
                    let some = outbox.unsent(after, 2_000).expect("reads");
                    let Some(last) = some.last().map(|(number, _)| *number) else {
                        std::thread::sleep(Duration::from_millis(5));
                        continue;
                    };
                    outbox.sent(last).expect("marks");
                    relayed.fetch_add(some.len() as u64, Ordering::SeqCst);
                }
            });
        }
        for old_version in [0, 1] {
            let started = Instant::now();
            // A scope of their own, within that of the relay.
            most = std::thread::scope(|scope| {
                let writers = stores.iter_mut().zip(0..).zip(&most);
                let writing: Vec<_> = writers
                    .map(|((store, writer), most)| {
                        let model = &model;
                        scope.spawn(move || write(store, model, size, writer << 32, old_version, *most))
                    })
                    .collect();
                writing.into_iter().map(|writing| writing.join().expect("writes")).collect()
            });
            rates.push(per_second(most.iter().sum(), started.elapsed()));
        }
        done.store(true, Ordering::SeqCst);
    });
    let relay = if relaying { format!(", {} relayed", relayed.load(Ordering::SeqCst)) } else { String::new() };
    println!("{writers} × {size:>3} a commit: {:>6} new rows/s, {:>6} changed rows/s{relay}", rates[0], rates[1]);
    if size == 256 && writers == 1 && !relaying {
        read(&mut stores[0], &reader, most[0]);
    }
}

fn read(store: &mut PostgresStore, reader: &PostgresReader, rows: u64) {
    let wanted: Vec<RowRef> = (0..2_560).map(|position| RowRef { table: LINES, key: key(1 + position * 7 % rows) }).collect();
    let started = Instant::now();
    for some in wanted.chunks(256) {
        assert!(store.load(some).expect("loads").iter().all(Option::is_some));
    }
    println!("    {:>6} rows/s loaded by key, 256 at a time", per_second(2_560, started.elapsed()));
    let started = Instant::now();
    (0..1_000).for_each(|id| assert!(reader.by_id(LINES, id + 1).expect("reads").is_some()));
    println!("    {:>6} rows/s by id, one at a time", per_second(1_000, started.elapsed()));
    let started = Instant::now();
    let pages = (0..500).map(|_| reader.page(LINES, &Query::first(20)).expect("reads").rows.len()).sum::<usize>();
    println!("    {:>6} pages/s of 20 rows", per_second(pages as u64 / 20, started.elapsed()));
    println!("    {:>6} MB on disk for {rows} rows", reader.size_bytes() / 1_000_000);
}

/// What the server does with the same bytes and nothing else: rows of one statement into one table with one key.
fn bare(url: &str, size: usize, writers: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let rows: u64 = runtime.block_on(async {
        let insert = (0..size).fold("INSERT INTO bare_rows (key, data) VALUES ".to_owned(), |mut sql, position| {
            let _ = write!(sql, "{}(${}, ${})", if position > 0 { ", " } else { "" }, position * 2 + 1, position * 2 + 2);
            sql
        });
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..writers {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connects");
            tokio::spawn(connection);
            if writer == 0 {
                let table = "DROP TABLE IF EXISTS bare_rows; CREATE TABLE bare_rows (key text PRIMARY KEY, data bytea)";
                client.batch_execute(table).await.expect("a table");
            }
            let statement = client.prepare(&insert).await.expect("prepares");
            tasks.spawn(async move {
                let (started, mut id) = (Instant::now(), (writer as u64) << 32);
                let data = vec![b'x'; 700];
                while started.elapsed() < EACH {
                    let keys: Vec<String> = (0..size as u64).map(|position| key(id + position)).collect();
                    id += size as u64;
                    let values: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
                        keys.iter().flat_map(|key| [key as &(dyn tokio_postgres::types::ToSql + Sync), &data]).collect();
                    client.execute(&statement, &values).await.expect("inserts");
                }
                id - ((writer as u64) << 32)
            });
        }
        tasks.join_all().await.into_iter().sum()
    });
    println!("{writers} × {size:>3} a commit: {:>6} rows/s, bare inserts", per_second(rows, EACH));
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connects");
        tokio::spawn(connection);
        client.batch_execute("DROP TABLE bare_rows").await.expect("dropped");
    });
}

fn main() {
    let url = std::env::var("PABAL_TEST_POSTGRES").expect("PABAL_TEST_POSTGRES=postgres://…");
    for (size, writers) in [(1, 1), (16, 1), (256, 1), (1, 4), (16, 4), (256, 4)] {
        bare(&url, usize::try_from(size).expect("small"), usize::try_from(writers).expect("small"));
        for relaying in [false, true] {
            let schema = format!("rate_{}_{size}_{writers}_{relaying}", std::process::id());
            let options = PostgresOptions::new(&url).expect("an address").in_schema(&schema);
            batches(&options, size, writers, relaying);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("connects");
                tokio::spawn(connection);
                client.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.expect("dropped");
            });
        }
    }
}
