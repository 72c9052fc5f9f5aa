//! One round at one level: the bare server, then Pabal, everything in turn.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::args::Run;
use crate::failed::Failed;
use crate::load::Load;
use crate::load::requests::RequestTemplate;
use crate::load::tally::Tally;
use crate::machine::memory::Memory;
use crate::numbers::to_f64;
use crate::report::results::Results;
use crate::servers::Target;
use crate::servers::probes::{self, Probes};
use crate::servers::saga::Saga;
use crate::servers::server::Server;
use crate::servers::watch::{Seen, Watch};
use crate::store::levels::{self, Level};

/// Parts of what came through in the end at which it is tried whether no backlog grows.
const LADDER: [f64; 10] = [1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2];
/// A backlog is not growing if it is done with in so many seconds.
const STANDING_S: f64 = 0.25;
/// Percentiles that are written down.
const PERCENTILES: [(&str, f64); 5] = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99_9", 99.9), ("max", 100.0)];
/// After its start it has settled.
const SETTLED: Duration = Duration::from_secs(1);

/// A round's figures of one level.
pub struct Cycle<'a> {
    pub args: &'a Run,
    pub results: &'a mut Results,
    pub round: u32,
    pub stored: u64,
    /// What stands before the names of its figures, where several systems are measured in one run.
    pub about: &'static str,
}

/// Measures everything that is asked for.
pub async fn run(args: &Run, level: &Level, round: u32, results: &mut Results) -> Result<(), Failed> {
    let data = level.directory(args)?;
    let mut cycle = Cycle { args, results, round, stored: level.stored, about: "" };
    let mut sustained = f64::INFINITY;
    let echo = if args.does('a') { Some(Server::echo()?) } else { None };
    if let Some(echo) = &echo {
        cycle.echo(&echo.target()).await?;
    }
    if args.does('b') || args.does('c') || args.does('e') {
        let before = levels::bytes(&data)?;
        let server = Server::pabal(args, &data).await?;
        let target = server.target();
        cycle.record("start.ready_ms", server.ready_after.as_secs_f64() * 1e3);
        tokio::time::sleep(SETTLED).await;
        cycle.memory("idle", target.memory()?);
        let mut posted = 0;
        if args.does('b') {
            posted += cycle.held(&target, "b.held", false).await? + cycle.held(&target, "b.keyed", true).await?;
        }
        let (all, through) = cycle.saturated(&target).await?;
        posted += all;
        if args.does('c') {
            let (all, most) = cycle.ladder(&target, through).await?;
            posted += all;
            sustained = most;
            posted += cycle.fixed(&target, sustained).await?;
        }
        if args.does('e') {
            cycle.reads(&target).await?;
        }
        cycle.record("stop.s", server.stop().await?.as_secs_f64());
        let grown = levels::bytes(&data)?.saturating_sub(before);
        let name = if level.stored == 0 { "disk.bytes_per_message" } else { "disk.more_bytes_per_message" };
        cycle.record(name, to_f64(grown) / to_f64(posted.max(1)));
    }
    if let Some(echo) = echo {
        for rate in args.rates.iter().copied().filter(|rate| f64::from(*rate) <= sustained) {
            let load = cycle.load(&echo.target(), RequestTemplate::post(args.keys, false)).at(rate.into());
            let tally = load.run().await?;
            cycle.latencies(&format!("a.at{rate}"), &tally.due);
        }
    }
    Ok(())
}

impl Cycle<'_> {
    /// Writes a figure down.
    pub fn record(&mut self, name: impl Into<String>, value: f64) {
        let name = format!("{}{}", self.about, name.into());
        self.results.record(self.round, self.stored, name, value);
    }

    fn fail(&mut self, what: &str) {
        self.results.fail(format!("{}{what}", self.about));
    }

    /// Memory, MiB.
    pub fn memory(&mut self, when: &str, memory: Memory) {
        let mib = |bytes: u64| to_f64(bytes) / f64::from(1 << 20);
        self.record(format!("memory.{when}.resident_mib"), mib(memory.resident));
        self.record(format!("memory.{when}.own_mib"), mib(memory.own));
    }

    /// Percentiles, milliseconds.
    pub fn latencies(&mut self, name: &str, histogram: &Histogram<u64>) {
        if histogram.is_empty() {
            return;
        }
        for (percentile, at) in PERCENTILES {
            let value = to_f64(histogram.value_at_percentile(at)) / 1e3;
            self.record(format!("{name}.{percentile}_ms"), value);
        }
    }

    pub fn load(&self, target: &Target, template: RequestTemplate) -> Load {
        Load::closed(target.door, template, self.args.connections, self.args.lasts())
    }

    /// What a load says about itself; anything but yes, where nothing else was to be expected, is failures.
    fn answered(&mut self, name: &str, tally: &Tally) {
        if tally.other + tally.broken > 0 {
            self.fail(&format!("{name}: {} odd answers, {} broken connections", tally.other, tally.broken));
        }
    }

    /// A closed loop: accepted a second, latencies, and what one costs the server's processors.
    async fn closed(&mut self, target: &Target, name: &str, load: Load) -> Result<Tally, Failed> {
        let before = target.busy()?;
        let tally = load.run().await?;
        let busy = target.busy()?.saturating_sub(before);
        self.record(format!("{name}.per_s"), tally.per_second());
        self.record(format!("{name}.cpu_us"), busy.as_secs_f64() * 1e6 / to_f64(tally.accepted.max(1)));
        self.latencies(name, &tally.due);
        self.answered(name, &tally);
        if tally.refused > 0 {
            self.record(format!("{name}.refused"), to_f64(tally.refused));
        }
        Ok(tally)
    }

    async fn echo(&mut self, target: &Target) -> Result<(), Failed> {
        let load = self.load(target, RequestTemplate::post(self.args.keys, false));
        self.closed(target, "a", load).await.map(|_| ())
    }

    /// (b) with everything behind it held back; then that goes on until it is done.
    pub async fn held(&mut self, target: &Target, name: &str, keyed: bool) -> Result<u64, Failed> {
        let mut saga = Saga::of(target).await?;
        let before = saga.finished().await?;
        saga.hold(true).await?;
        let load = self.load(target, RequestTemplate::post(self.args.keys, keyed));
        let tally = self.closed(target, name, load).await?;
        saga.hold(false).await?;
        let (took, missing) = saga.drained(before + tally.accepted).await?;
        self.record(format!("{name}.drain_s"), took.as_secs_f64());
        self.record(format!("{name}.drained_per_s"), to_f64(tally.accepted) / took.as_secs_f64().max(1e-3));
        self.missing(name, missing);
        Ok(tally.accepted)
    }

    /// (b) with the whole saga running, as much as it takes: how many were posted, and how many a second came through.
    pub async fn saturated(&mut self, target: &Target) -> Result<(u64, f64), Failed> {
        let mut saga = Saga::of(target).await?;
        let load = self.load(target, RequestTemplate::post(self.args.keys, false));
        let watch = Watch::start(target, load.accepted.clone()).await?;
        let tally = self.closed(target, "b.saga", load).await?;
        let seen = watch.stop().await?;
        let (took, missing) = saga.drained(seen.before + tally.accepted).await?;
        self.memory("load", seen.memory);
        self.record("b.saga.backlog", to_f64(seen.behind));
        self.record("b.saga.backlog_most", to_f64(seen.most_behind));
        self.record("b.saga.drain_s", took.as_secs_f64());
        let through = to_f64(tally.accepted) / (tally.took + took).as_secs_f64();
        self.record("c.through.per_s", through);
        self.missing("b.saga", missing);
        Ok((tally.accepted, through))
    }

    /// (c): the highest rate of the ladder at which everything is taken in time and no backlog grows.
    pub async fn ladder(&mut self, target: &Target, through: f64) -> Result<(u64, f64), Failed> {
        let mut posted = 0;
        for part in LADDER {
            let rate = through * part;
            let (tally, seen, after) = self.at_rate(target, rate, 0, None).await?;
            posted += tally.accepted;
            let stands = to_f64(seen.behind) <= rate * STANDING_S && after.as_secs_f64() <= 2.0 * STANDING_S;
            if tally.is_clean() && stands {
                self.record("c.sustained.per_s", tally.per_second());
                self.record("c.sustained.backlog", to_f64(seen.behind));
                self.record("c.sustained.drain_s", after.as_secs_f64());
                return Ok((posted, tally.per_second()));
            }
        }
        self.fail("no rate was sustained");
        Ok((posted, 0.0))
    }

    /// Latencies at fixed rates: of the acceptance, and until the result is final in the view.
    pub async fn fixed(&mut self, target: &Target, sustained: f64) -> Result<u64, Failed> {
        let mut posted = 0;
        for rate in self.args.rates.clone().into_iter().filter(|rate| f64::from(*rate) <= sustained) {
            let (probes, told) = Probes::start(target.view).await?;
            let (tally, ..) = self.at_rate(target, rate.into(), probes::every(rate), Some(told)).await?;
            posted += tally.accepted;
            self.latencies(&format!("b.at{rate}"), &tally.due);
            self.latencies(&format!("c.at{rate}"), &probes.seen().await?);
        }
        Ok(posted)
    }

    async fn at_rate(
        &mut self,
        target: &Target,
        rate: f64,
        every: u64,
        told: Option<tokio::sync::mpsc::UnboundedSender<crate::load::Sampled>>,
    ) -> Result<(Tally, Seen, Duration), Failed> {
        let mut saga = Saga::of(target).await?;
        let mut load = self.load(target, RequestTemplate::post(self.args.keys, false)).at(rate);
        load.samples = told.map(|told| (told, every.max(1)));
        let watch = Watch::start(target, load.accepted.clone()).await?;
        let tally = load.run().await?;
        let seen = watch.stop().await?;
        let (took, missing) = saga.drained(seen.before + tally.accepted).await?;
        let name = format!("{rate:.0}/s");
        self.answered(&name, &tally);
        self.missing(&name, missing);
        Ok((tally, seen, took))
    }

    /// (e): one message; a page of the view by result, and one of a recipient's, the latest first.
    async fn reads(&mut self, target: &Target) -> Result<(), Failed> {
        let ids = Saga::of(target).await?.shown().await?;
        self.record("e.among", to_f64(ids));
        let reads = [
            ("e.one", "/messages/{id}"),
            ("e.page", "/myMessages?result=send%20succeed&sort=acceptedAt,desc&size=20"),
            ("e.person", "/myMessages?userContact={contact}&sort=acceptedAt,desc&size=20"),
        ];
        for (name, path) in reads {
            let mut load = self.load(target, RequestTemplate::get(path, ids));
            load.lasts = self.args.lasts() / 2;
            self.closed(target, name, load).await?;
        }
        Ok(())
    }

    fn missing(&mut self, name: &str, missing: u64) {
        if missing > 0 {
            self.fail(&format!("{name}: {missing} accepted messages did not become final"));
        }
    }
}
