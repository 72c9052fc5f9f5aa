//! `--distributed`: the services as processes of their own over real Kafka and PostgreSQL, beside what these two do alone, and
//! beside one embedded process, in one run.

mod bill;
mod database;
mod infra;
mod looks;
mod page;
mod services;
mod topic;

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::args::Run;
use crate::failed::{Failed, failed};
use crate::load::requests::RequestTemplate;
use crate::numbers::to_f64;
use crate::report;
use crate::report::results::Results;
use crate::rounds::cycle::Cycle;
use crate::rounds::{commits, sqlite};
use crate::servers::Target;
use crate::servers::saga::Saga;
use crate::servers::server::Server;
use crate::store::levels::Level;

use bill::Bill;
use database::{Database, ROWS, Writing};
use infra::Infra;
use looks::Looks;
use services::Cluster;

/// After its start it has settled.
const SETTLED: Duration = Duration::from_secs(1);
/// How long it is looked at while nothing is asked of it.
const AT_REST: Duration = Duration::from_secs(4);
/// By then each of PostgreSQL's connections has told what it has counted.
const TOLD: Duration = Duration::from_millis(1_300);
/// Messages a second before anything is measured, until all groups have their partitions.
const FIRST_RATE: f64 = 20.0;

/// What is divided by what, within one round.
pub const RATIOS: [(&str, &str, &str); 11] = [
    ("ratio.sustained", "cluster.c.sustained.per_s", "embedded.c.sustained.per_s"),
    ("ratio.through", "cluster.c.through.per_s", "embedded.c.through.per_s"),
    ("ratio.held", "cluster.b.held.per_s", "embedded.b.held.per_s"),
    ("ratio.gateway", "cluster.gateway.b.held.per_s", "cluster.b.held.per_s"),
    ("ratio.through_to_held", "cluster.c.through.per_s", "cluster.b.held.per_s"),
    ("ratio.records_to_produced", "cluster.records.per_s", "raw.kafka.produced.per_s"),
    ("ratio.read_to_consumed", "cluster.read.per_s", "raw.kafka.consumed.per_s"),
    ("ratio.commits_to_raw", "cluster.commits.per_s", "raw.pg.commits.per_s"),
    ("ratio.rows_to_raw", "cluster.rows.per_s", "raw.pg.rows.per_s"),
    ("ratio.cpu", "cluster.saga.cpu_s", "embedded.saga.cpu_s"),
    ("ratio.latency", "cluster.c.at100.p50_ms", "embedded.c.at100.p50_ms"),
];

/// Measures everything. Whoever ends it ends what it has started.
pub async fn run(args: &Run) -> Result<(), Failed> {
    let (mut end, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        done = all(args) => done,
        _ = end.recv() => Err(failed("told to stop")),
        _ = interrupted.recv() => Err(failed("interrupted")),
    }
}

async fn all(args: &Run) -> Result<(), Failed> {
    std::fs::create_dir_all(&args.work)?;
    let mut results = Results::new(args);
    for round in 1..=args.rounds {
        eprintln!("round {round} of {}", args.rounds);
        // What has been measured until then is worth writing down.
        if let Err(error) = one_round(args, round, &mut results).await {
            results.fail(format!("round {round}: {error}"));
        }
    }
    results.compare(&RATIOS);
    report::write_distributed(args, &results, &page::tables(&results))?;
    results.failures().map_or(Ok(()), |why| Err(failed(why)))
}

/// The servers alone, the cluster over them, and one embedded process while they are down.
async fn one_round(args: &Run, round: u32, results: &mut Results) -> Result<(), Failed> {
    let infra = Infra::fresh(&args.infra).await?;
    if args.does('a') {
        servers(args, &infra, round, results).await?;
    }
    let mut cycle = Cycle { args, results, round, stored: 0, about: "cluster." };
    cluster(&mut cycle, &infra).await?;
    drop(infra);
    if !args.does('a') {
        return Ok(());
    }
    let mut cycle = Cycle { args, results, round, stored: 0, about: "embedded." };
    embedded(&mut cycle).await
}

async fn servers(args: &Run, infra: &Infra, round: u32, results: &mut Results) -> Result<(), Failed> {
    let (theirs, kafka) = (args.clone(), infra.kafka.clone());
    let rates = tokio::task::spawn_blocking(move || topic::measure(&theirs, &kafka)).await.map_err(failed)??;
    results.record(round, 0, "raw.kafka.produced.per_s", rates.produced);
    results.record(round, 0, "raw.kafka.singly.per_s", rates.singly);
    results.record(round, 0, "raw.kafka.consumed.per_s", rates.consumed);
    results.record(round, 0, "raw.kafka.bytes", rates.bytes);
    // A row is as long as a message's state.
    let commits = commits::record(args, 16, true, 64)?;
    let (bytes, _) = commits::lengths_in(&commits).ok_or_else(|| failed("a message writes nothing"))?;
    let connections = rcs::system().services.len() as u64;
    let lasts = args.lasts() / 4;
    for (name, connections, rows) in
        [("raw.pg.commits.per_s", connections, 1), ("raw.pg.alone.per_s", 1, 1), ("raw.pg.rows.per_s", connections, ROWS)]
    {
        let writing = Writing { connections, rows, bytes, lasts };
        results.record(round, 0, name, writing.measure(&infra.postgres).await?);
    }
    let (work, each) = (args.work.clone(), lasts / 2);
    let syncs = tokio::task::spawn_blocking(move || sqlite::syncs(&work, each)).await.map_err(failed)??;
    results.record(round, 0, "raw.sync.per_s", syncs);
    Ok(())
}

async fn cluster(cycle: &mut Cycle<'_>, infra: &Infra) -> Result<(), Failed> {
    let args = cycle.args;
    let cluster = Cluster::start(args, infra).await?;
    let target = cluster.target()?;
    warm_up(cycle, &target).await?;
    cycle.memory("idle", target.memory()?);
    let database = Database::connect(&infra.postgres).await?;
    // Costs next to nothing, and tells how long syncs take.
    database.run("ALTER SYSTEM SET track_wal_io_timing = on").await?;
    database.run("SELECT pg_reload_conf()").await?;
    at_rest(cycle, infra, &cluster, &database).await?;
    if args.does('b') {
        cycle.held(&cluster.beside_gateway()?, "b.held", false).await?;
        cycle.held(&target, "gateway.b.held", false).await?;
    }
    let through = counted(cycle, infra, &cluster, &database).await?;
    sagas(cycle, &target, through).await?;
    drop(database);
    cluster.stop().await
}

async fn embedded(cycle: &mut Cycle<'_>) -> Result<(), Failed> {
    let data = Level::empty().directory(cycle.args)?;
    // Not its usual port, which another process may have: the cluster, too, takes a free one.
    let port = services::free_ports(1)?.first().copied().unwrap_or(cycle.args.port);
    let server = Server::pabal(&Run { port, ..cycle.args.clone() }, &data).await?;
    let target = server.target();
    warm_up(cycle, &target).await?;
    cycle.memory("idle", target.memory()?);
    if cycle.args.does('b') {
        cycle.held(&target, "b.held", false).await?;
    }
    let before = target.busy()?;
    let (posted, through) = cycle.saturated(&target).await?;
    let busy = target.busy()?.saturating_sub(before);
    cycle.record("saga.cpu_s", busy.as_secs_f64() * 1e3 / to_f64(posted.max(1)));
    sagas(cycle, &target, through).await?;
    server.stop().await.map(drop)
}

/// What can be sustained, and latencies at fixed rates.
async fn sagas(cycle: &mut Cycle<'_>, target: &Target, through: f64) -> Result<(), Failed> {
    if cycle.args.does('c') {
        let (_, sustained) = cycle.ladder(target, through).await?;
        // Who goes on by fits and starts has a backlog now and then; latencies at half of what comes through can be told.
        cycle.fixed(target, sustained.max(through / 2.0)).await?;
    }
    Ok(())
}

/// A few messages all the way through: caches are filled, and who shares partitions has them.
async fn warm_up(cycle: &Cycle<'_>, target: &Target) -> Result<(), Failed> {
    tokio::time::sleep(SETTLED).await;
    let mut saga = Saga::of(target).await?;
    let before = saga.finished().await?;
    let tally = cycle.load(target, RequestTemplate::post(cycle.args.keys, false)).at(FIRST_RATE).run().await?;
    match saga.drained(before + tally.accepted).await? {
        (_, 0) if tally.accepted > 0 => Ok(()),
        (_, missing) => Err(failed(format!("of the first {} messages {missing} did not become final", tally.accepted))),
    }
}

/// What is done while nothing is asked for.
async fn at_rest(cycle: &mut Cycle<'_>, infra: &Infra, cluster: &Cluster, database: &Database) -> Result<(), Failed> {
    tokio::time::sleep(TOLD).await;
    let before = Bill::now(cycle.args, infra, cluster, database).await?;
    tokio::time::sleep(AT_REST).await;
    let rest = Bill::now(cycle.args, infra, cluster, database).await?.since(&before);
    let seconds = AT_REST.as_secs_f64();
    for name in ["pg.commits", "pg.syncs", "pg.updated", "pg.wal_bytes", "cpu.postgres", "cpu.kafka"] {
        cycle.record(format!("rest.{name}"), rest.of(name) / seconds);
    }
    let services = cluster.processes().iter().map(|(name, _)| rest.of(&format!("cpu.{name}"))).sum::<f64>();
    cycle.record("rest.cpu.services", services / seconds);
    Ok(())
}

/// As much as it takes, with everything counted: how many sagas a second came through.
async fn counted(cycle: &mut Cycle<'_>, infra: &Infra, cluster: &Cluster, database: &Database) -> Result<f64, Failed> {
    tokio::time::sleep(TOLD).await;
    let before = Bill::now(cycle.args, infra, cluster, database).await?;
    let looks = Looks::start(&infra.postgres).await?;
    let (posted, through) = cycle.saturated(&cluster.target()?).await?;
    let seen = looks.stop().await?;
    tokio::time::sleep(TOLD).await;
    let bill = Bill::now(cycle.args, infra, cluster, database).await?.since(&before);
    let done = to_f64(posted);
    for (name, value) in bill.each(done) {
        cycle.record(format!("saga.{name}"), value);
    }
    for (what, part) in seen.parts() {
        cycle.record(format!("looks.{what}"), part);
    }
    let services: f64 = cluster.processes().iter().map(|(name, _)| bill.of(&format!("cpu.{name}"))).sum();
    cycle.record("saga.cpu_s", services * 1e3 / done.max(1.0));
    let records = through * bill.of("topic.records") / done.max(1.0);
    let rows = bill.of("pg.inserted") + bill.of("pg.updated") + bill.of("pg.deleted");
    cycle.record("records.per_s", records);
    // Each service reads all of the one topic.
    cycle.record("read.per_s", records * to_f64(rcs::system().services.len() as u64));
    cycle.record("commits.per_s", through * bill.of("pg.commits") / done.max(1.0));
    cycle.record("rows.per_s", through * rows / done.max(1.0));
    Ok(through)
}
