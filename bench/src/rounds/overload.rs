//! Twice of what it can take: it must refuse the rest at once, keep its throughput and its memory, and go on finishing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::args::Run;
use crate::failed::Failed;
use crate::load::Load;
use crate::load::requests::RequestTemplate;
use crate::machine::memory::Memory;
use crate::numbers::to_f64;
use crate::report::results::Results;
use crate::rounds::cycle::Cycle;
use crate::servers::saga::Saga;
use crate::servers::server::Server;
use crate::servers::watch::Watch;
use crate::store::levels::Level;

/// How much more than it can take.
const TIMES: f64 = 2.0;
/// No request, refused or accepted, waits longer.
const ANSWER_WITHIN_S: f64 = 5.0;

/// By then the first is accepted.
const CONNECT_WITHIN: Duration = Duration::from_mins(1);

/// Measures it, on an empty data directory.
pub async fn run(args: &Run, results: &mut Results) -> Result<(), Failed> {
    eprintln!("overload");
    let data = Level::empty().directory(args)?;
    let server = Server::pabal(args, &data).await?;
    let target = server.target();
    let mut saga = Saga::of(&target).await?;
    let mut cycle = Cycle { args, results, round: 1, stored: 0, about: "" };
    let capacity = capacity(args, &server, &mut saga).await?;
    cycle.record("overload.capacity_per_s", capacity);

    let template = RequestTemplate::post(args.keys, false);
    let lasts = args.lasts() * 2;
    let load = Load::closed(server.address, template, args.overload_connections, lasts).at(capacity * TIMES);
    let accepted = load.accepted.clone();
    let watch = Watch::start(&target, accepted.clone()).await?;
    let half = halfway(args.lasts(), accepted.clone(), server.pid());
    let (tally, half) = tokio::join!(load.run(), half);
    let tally = tally?;
    let seen = watch.stop().await?;
    let seconds = tally.took.as_secs_f64();
    let asked = tally.accepted + tally.refused + tally.other + tally.broken;
    cycle.record("overload.asked_per_s", to_f64(asked) / lasts.as_secs_f64());
    cycle.record("overload.accepted_per_s", tally.per_second());
    cycle.record("overload.accepted_to_capacity", tally.per_second() / capacity);
    cycle.record("overload.refused_per_s", to_f64(tally.refused) / seconds);
    cycle.record("overload.finished_per_s", to_f64(seen.after.saturating_sub(seen.before)) / seconds);
    cycle.record("overload.backlog", to_f64(seen.behind));
    cycle.latencies("overload.accepted", &tally.sent);
    cycle.latencies("overload.refused", &tally.turned_away);
    cycle.memory("overload_half", half?);
    cycle.memory("overload", seen.memory);
    let (took, missing) = saga.drained(seen.before + accepted.load(Ordering::Relaxed)).await?;
    cycle.record("overload.drain_s", took.as_secs_f64());
    if missing > 0 {
        cycle.results.fail(format!("overload: {missing} accepted messages did not become final"));
    }
    if tally.other + tally.broken > 0 {
        let (other, broken) = (tally.other, tally.broken);
        cycle.results.fail(format!("overload: {other} answers that are neither yes nor 429 or 503, {broken} broken connections"));
    }
    let longest = tally.sent.max().max(tally.turned_away.max());
    if to_f64(longest) / 1e6 > ANSWER_WITHIN_S {
        cycle.results.fail(format!("overload: an answer took {:.1} s", to_f64(longest) / 1e6));
    }
    server.stop().await.map(|_| ())
}

/// What it can take, found in the same process: accepted and finished in the end, a second.
async fn capacity(args: &Run, server: &Server, saga: &mut Saga) -> Result<f64, Failed> {
    let before = saga.finished().await?;
    let load = Load::closed(server.address, RequestTemplate::post(args.keys, false), args.connections, args.lasts());
    let tally = load.run().await?;
    let (took, _) = saga.drained(before + tally.accepted).await?;
    Ok(to_f64(tally.accepted) / (tally.took + took).as_secs_f64())
}

/// Memory at half time: what it has at the end must not be more by much.
async fn halfway(after: Duration, accepted: Arc<AtomicU64>, pid: u32) -> Result<Memory, Failed> {
    // Thousands of connections take a while to open; that is not part of it.
    let opening = Instant::now();
    while accepted.load(Ordering::Relaxed) == 0 && opening.elapsed() < CONNECT_WITHIN {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(after).await;
    Memory::of(pid)
}
