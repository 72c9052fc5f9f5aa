//! Where the time goes: what everybody who takes part has used and done, counted before and after.

use std::collections::BTreeMap;

use super::database::Database;
use super::infra::Infra;
use super::services::Cluster;
use super::topic;
use crate::args::Run;
use crate::failed::{Failed, failed};
use crate::machine::processes::{self, Whole};

/// Counters by name; all of them only rise.
#[derive(Debug, Clone, Default)]
pub struct Bill(BTreeMap<String, f64>);

impl Bill {
    /// Everything by now.
    pub async fn now(args: &Run, infra: &Infra, cluster: &Cluster, database: &Database) -> Result<Self, Failed> {
        let mut counts = database.counts().await?;
        processes(&mut counts, infra, cluster)?;
        let name = rcs::system().topic;
        let options = topic::options(&infra.kafka, args.partitions);
        let asking = tokio::task::spawn_blocking(move || topic::records(&options, name));
        let records = asking.await.map_err(failed)??;
        counts.insert("topic.records".to_owned(), crate::numbers::to_f64(records));
        counts.insert("topic.bytes".to_owned(), crate::numbers::to_f64(infra.bytes_of(name, args.partitions)?));
        Ok(Self(counts))
    }

    /// What has been added since. Whoever was there before and is not any more adds nothing.
    pub fn since(&self, before: &Self) -> Self {
        let more = |(name, now): (&String, &f64)| {
            let before = before.0.get(name).copied().unwrap_or(0.0);
            (name.clone(), (now - before).max(0.0))
        };
        Self(self.0.iter().map(more).collect())
    }

    /// One counter; 0 where it was never counted.
    pub fn of(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    /// Each counter divided by what was done; processor time for a thousand of it, and what would be shown as nothing is left
    /// out.
    pub fn each(&self, done: f64) -> Vec<(String, f64)> {
        let per = |(name, value): (&String, &f64)| {
            let times = if is_time(name) { 1_000.0 } else { 1.0 };
            (name.clone(), value * times / done.max(1.0))
        };
        self.0.iter().map(per).filter(|(_, value)| *value >= 0.000_5).collect()
    }
}

fn is_time(name: &str) -> bool {
    ["cpu.", "thread.", "machine."].iter().any(|what| name.starts_with(what)) || name == "pg.sync_s"
}

fn processes(counts: &mut BTreeMap<String, f64>, infra: &Infra, cluster: &Cluster) -> Result<(), Failed> {
    let mut ours = 0.0;
    let mut count = |name: &str, seconds: f64| {
        ours += seconds;
        counts.insert(format!("cpu.{name}"), seconds);
    };
    count("kafka", processes::seconds_of(infra.kafka_pid)?);
    count("postgres", processes::seconds_of_tree(infra.postgres_pid)?);
    count("load", processes::seconds_of(std::process::id())?);
    for (name, pid) in cluster.processes() {
        count(name, processes::seconds_of(pid)?);
    }
    for (name, pid) in cluster.processes() {
        for (thread, seconds) in processes::seconds_by_thread(pid)? {
            counts.insert(format!("thread.{name} {thread}"), seconds);
        }
    }
    let whole = Whole::now()?;
    counts.insert("machine.busy".to_owned(), whole.busy);
    counts.insert("machine.idle".to_owned(), whole.idle);
    counts.insert("machine.waiting for the disk".to_owned(), whole.waiting);
    counts.insert("machine.stolen".to_owned(), whole.stolen);
    counts.insert("machine.ours".to_owned(), ours);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bill(counts: &[(&str, f64)]) -> Bill {
        Bill(counts.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect())
    }

    #[test]
    fn what_is_new_counts_from_nothing_and_what_is_gone_adds_nothing() {
        let before = bill(&[("cpu.kafka", 2.0), ("thread.a gone", 1.0), ("cpu.reset", 9.0)]);
        let after = bill(&[("cpu.kafka", 5.0), ("thread.a new", 1.5), ("cpu.reset", 1.0)]);
        let more = after.since(&before);
        assert_eq!((more.of("cpu.kafka"), more.of("thread.a new")), (3.0, 1.5));
        assert_eq!((more.of("thread.a gone"), more.of("cpu.reset")), (0.0, 0.0));
    }

    #[test]
    fn time_is_for_a_thousand_and_everything_else_for_one() {
        let each = bill(&[("cpu.kafka", 4.0), ("pg.commits", 8_000.0), ("pg.sync_s", 2.0), ("pg.deleted", 0.0)]).each(2_000.0);
        let expected = [("cpu.kafka", 2.0), ("pg.commits", 4.0), ("pg.sync_s", 1.0)];
        assert_eq!(each, expected.map(|(name, value)| (name.to_owned(), value)));
    }
}
