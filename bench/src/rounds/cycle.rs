//! One round at one level: the bare server, then Pabal, everything in turn.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::args::Run;
use crate::book::{Book, float};
use crate::failed::Failed;
use crate::letters::Mould;
use crate::levels::{self, Level};
use crate::load::Load;
use crate::probes::{self, Probes};
use crate::process::{Memory, Server};
use crate::saga::Saga;
use crate::site::Site;
use crate::tally::Tally;
use crate::watch::{Seen, Watch};

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
    pub book: &'a mut Book,
    pub round: u32,
    pub stored: u64,
    /// What stands before the names of its figures, where several systems are measured in one run.
    pub about: &'static str,
}

/// Measures everything that is asked for.
pub async fn run(args: &Run, level: &Level, round: u32, book: &mut Book) -> Result<(), Failed> {
    let data = level.directory(args)?;
    let mut cycle = Cycle { args, book, round, stored: level.stored, about: "" };
    let mut sustained = f64::INFINITY;
    let echo = if args.does('a') { Some(Server::echo()?) } else { None };
    if let Some(echo) = &echo {
        cycle.echo(&echo.site()).await?;
    }
    if args.does('b') || args.does('c') || args.does('e') {
        let before = levels::bytes(&data)?;
        let server = Server::pabal(args, &data).await?;
        let site = server.site();
        cycle.note("start.ready_ms", server.ready_after.as_secs_f64() * 1e3);
        tokio::time::sleep(SETTLED).await;
        cycle.memory("idle", site.memory()?);
        let mut posted = 0;
        if args.does('b') {
            posted += cycle.held(&site, "b.held", false).await? + cycle.held(&site, "b.keyed", true).await?;
        }
        let (all, through) = cycle.saturated(&site).await?;
        posted += all;
        if args.does('c') {
            let (all, most) = cycle.ladder(&site, through).await?;
            posted += all;
            sustained = most;
            posted += cycle.fixed(&site, sustained).await?;
        }
        if args.does('e') {
            cycle.reads(&site).await?;
        }
        cycle.note("stop.s", server.stop().await?.as_secs_f64());
        let grown = levels::bytes(&data)?.saturating_sub(before);
        let name = if level.stored == 0 { "disk.bytes_per_message" } else { "disk.more_bytes_per_message" };
        cycle.note(name, float(grown) / float(posted.max(1)));
    }
    if let Some(echo) = echo {
        for rate in args.rates.iter().copied().filter(|rate| f64::from(*rate) <= sustained) {
            let load = cycle.load(&echo.site(), Mould::post(args.keys, false)).at(rate.into());
            let tally = load.run().await?;
            cycle.latencies(&format!("a.at{rate}"), &tally.due);
        }
    }
    Ok(())
}

impl Cycle<'_> {
    /// Writes a figure down.
    pub fn note(&mut self, name: impl Into<String>, value: f64) {
        let name = format!("{}{}", self.about, name.into());
        self.book.note(self.round, self.stored, name, value);
    }

    fn complain(&mut self, what: &str) {
        self.book.complain(format!("{}{what}", self.about));
    }

    /// Memory, MiB.
    pub fn memory(&mut self, when: &str, memory: Memory) {
        let mib = |bytes: u64| float(bytes) / f64::from(1 << 20);
        self.note(format!("memory.{when}.resident_mib"), mib(memory.resident));
        self.note(format!("memory.{when}.own_mib"), mib(memory.own));
    }

    /// Percentiles, milliseconds.
    pub fn latencies(&mut self, name: &str, histogram: &Histogram<u64>) {
        if histogram.is_empty() {
            return;
        }
        for (percentile, at) in PERCENTILES {
            let value = float(histogram.value_at_percentile(at)) / 1e3;
            self.note(format!("{name}.{percentile}_ms"), value);
        }
    }

    pub fn load(&self, site: &Site, mould: Mould) -> Load {
        Load::closed(site.door, mould, self.args.connections, self.args.lasts())
    }

    /// What a load says about itself; anything but yes, where nothing else was to be expected, is trouble.
    fn answered(&mut self, name: &str, tally: &Tally) {
        if tally.other + tally.broken > 0 {
            self.complain(&format!("{name}: {} odd answers, {} broken connections", tally.other, tally.broken));
        }
    }

    /// A closed loop: accepted a second, latencies, and what one costs the server's processors.
    async fn closed(&mut self, site: &Site, name: &str, load: Load) -> Result<Tally, Failed> {
        let before = site.busy()?;
        let tally = load.run().await?;
        let busy = site.busy()?.saturating_sub(before);
        self.note(format!("{name}.per_s"), tally.per_second());
        self.note(format!("{name}.cpu_us"), busy.as_secs_f64() * 1e6 / float(tally.accepted.max(1)));
        self.latencies(name, &tally.due);
        self.answered(name, &tally);
        if tally.refused > 0 {
            self.note(format!("{name}.refused"), float(tally.refused));
        }
        Ok(tally)
    }

    async fn echo(&mut self, site: &Site) -> Result<(), Failed> {
        let load = self.load(site, Mould::post(self.args.keys, false));
        self.closed(site, "a", load).await.map(|_| ())
    }

    /// (b) with everything behind it held back; then that goes on until it is done.
    pub async fn held(&mut self, site: &Site, name: &str, keyed: bool) -> Result<u64, Failed> {
        let mut saga = Saga::of(site).await?;
        let before = saga.finished().await?;
        saga.hold(true).await?;
        let load = self.load(site, Mould::post(self.args.keys, keyed));
        let tally = self.closed(site, name, load).await?;
        saga.hold(false).await?;
        let (took, missing) = saga.drained(before + tally.accepted).await?;
        self.note(format!("{name}.drain_s"), took.as_secs_f64());
        self.note(format!("{name}.drained_per_s"), float(tally.accepted) / took.as_secs_f64().max(1e-3));
        self.missing(name, missing);
        Ok(tally.accepted)
    }

    /// (b) with the whole saga running, as much as it takes: how many were posted, and how many a second came through.
    pub async fn saturated(&mut self, site: &Site) -> Result<(u64, f64), Failed> {
        let mut saga = Saga::of(site).await?;
        let load = self.load(site, Mould::post(self.args.keys, false));
        let watch = Watch::start(site, load.accepted.clone()).await?;
        let tally = self.closed(site, "b.saga", load).await?;
        let seen = watch.stop().await?;
        let (took, missing) = saga.drained(seen.before + tally.accepted).await?;
        self.memory("load", seen.memory);
        self.note("b.saga.backlog", float(seen.behind));
        self.note("b.saga.backlog_most", float(seen.most_behind));
        self.note("b.saga.drain_s", took.as_secs_f64());
        let through = float(tally.accepted) / (tally.took + took).as_secs_f64();
        self.note("c.through.per_s", through);
        self.missing("b.saga", missing);
        Ok((tally.accepted, through))
    }

    /// (c): the highest rate of the ladder at which everything is taken in time and no backlog grows.
    pub async fn ladder(&mut self, site: &Site, through: f64) -> Result<(u64, f64), Failed> {
        let mut posted = 0;
        for part in LADDER {
            let rate = through * part;
            let (tally, seen, after) = self.at_rate(site, rate, 0, None).await?;
            posted += tally.accepted;
            let stands = float(seen.behind) <= rate * STANDING_S && after.as_secs_f64() <= 2.0 * STANDING_S;
            if tally.is_clean() && stands {
                self.note("c.sustained.per_s", tally.per_second());
                self.note("c.sustained.backlog", float(seen.behind));
                self.note("c.sustained.drain_s", after.as_secs_f64());
                return Ok((posted, tally.per_second()));
            }
        }
        self.complain("no rate was sustained");
        Ok((posted, 0.0))
    }

    /// Latencies at fixed rates: of the acceptance, and until the result is final in the view.
    pub async fn fixed(&mut self, site: &Site, sustained: f64) -> Result<u64, Failed> {
        let mut posted = 0;
        for rate in self.args.rates.clone().into_iter().filter(|rate| f64::from(*rate) <= sustained) {
            let (probes, told) = Probes::start(site.view).await?;
            let (tally, ..) = self.at_rate(site, rate.into(), probes::every(rate), Some(told)).await?;
            posted += tally.accepted;
            self.latencies(&format!("b.at{rate}"), &tally.due);
            self.latencies(&format!("c.at{rate}"), &probes.seen().await?);
        }
        Ok(posted)
    }

    async fn at_rate(
        &mut self,
        site: &Site,
        rate: f64,
        every: u64,
        told: Option<tokio::sync::mpsc::UnboundedSender<crate::load::Sampled>>,
    ) -> Result<(Tally, Seen, Duration), Failed> {
        let mut saga = Saga::of(site).await?;
        let mut load = self.load(site, Mould::post(self.args.keys, false)).at(rate);
        load.samples = told.map(|told| (told, every.max(1)));
        let watch = Watch::start(site, load.accepted.clone()).await?;
        let tally = load.run().await?;
        let seen = watch.stop().await?;
        let (took, missing) = saga.drained(seen.before + tally.accepted).await?;
        let name = format!("{rate:.0}/s");
        self.answered(&name, &tally);
        self.missing(&name, missing);
        Ok((tally, seen, took))
    }

    /// (e): one message; a page of the view by result, and one of a recipient's, the latest first.
    async fn reads(&mut self, site: &Site) -> Result<(), Failed> {
        let ids = Saga::of(site).await?.shown().await?;
        self.note("e.among", float(ids));
        let reads = [
            ("e.one", "/messages/{id}"),
            ("e.page", "/myMessages?result=send%20succeed&sort=acceptedAt,desc&size=20"),
            ("e.person", "/myMessages?userContact={contact}&sort=acceptedAt,desc&size=20"),
        ];
        for (name, path) in reads {
            let mut load = self.load(site, Mould::get(path, ids));
            load.lasts = self.args.lasts() / 2;
            self.closed(site, name, load).await?;
        }
        Ok(())
    }

    fn missing(&mut self, name: &str, missing: u64) {
        if missing > 0 {
            self.complain(&format!("{name}: {missing} accepted messages did not become final"));
        }
    }
}
