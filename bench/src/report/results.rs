//! Every figure that was measured, and what follows from several of them.

use serde::Serialize;

use crate::args::Run;
use crate::machine::{self, Machine};

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// In which round.
    pub round: u32,
    /// With how many messages stored.
    pub stored: u64,
    /// What, with its unit last.
    pub name: String,
    /// How much.
    pub value: f64,
}

/// The same figure over all rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub low: f64,
    /// The one in the middle.
    pub median: f64,
    /// The largest.
    pub high: f64,
}

/// All figures of a run.
#[derive(Debug, Serialize)]
pub struct Results {
    /// Where.
    pub machine: Machine,
    /// Which commit.
    pub commit: String,
    /// When it began.
    pub began: String,
    /// The levels of stored messages, in order.
    pub levels: Vec<u64>,
    /// What was measured.
    pub samples: Vec<Sample>,
    /// What should not have happened.
    pub failures: Vec<String>,
}

/// What is divided by what, within one round: what drifts, drifts for both.
pub const RATIOS: [(&str, &str, &str); 11] = [
    ("ratio.b_held_to_a", "b.held.per_s", "a.per_s"),
    ("ratio.b_keyed_to_b_held", "b.keyed.per_s", "b.held.per_s"),
    ("ratio.b_saga_to_a", "b.saga.per_s", "a.per_s"),
    ("ratio.c_to_a", "c.sustained.per_s", "a.per_s"),
    ("ratio.c_to_b_held", "c.sustained.per_s", "b.held.per_s"),
    ("ratio.e_one_to_a", "e.one.per_s", "a.per_s"),
    ("ratio.e_page_to_a", "e.page.per_s", "a.per_s"),
    ("ratio.e_person_to_a", "e.person.per_s", "a.per_s"),
    ("ratio.b_held_to_d_accept", "b.held.per_s", "d.accept.64.per_s"),
    ("ratio.c_to_d_saga", "c.sustained.per_s", "d.saga.64.per_s"),
    ("ratio.cpu_b_held_to_a", "b.held.cpu_us", "a.cpu_us"),
];

/// What is compared with the same when nothing was stored.
pub const GROWING: [&str; 6] =
    ["b.held.per_s", "b.saga.per_s", "c.sustained.per_s", "e.one.per_s", "e.page.per_s", "e.person.per_s"];

impl Results {
    /// An empty one.
    pub fn new(args: &Run) -> Self {
        Self {
            machine: Machine::here(),
            commit: machine::commit(),
            began: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            levels: args.stored.clone(),
            samples: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Writes a figure down, and says it.
    pub fn record(&mut self, round: u32, stored: u64, name: impl Into<String>, value: f64) {
        let name = name.into();
        eprintln!("  {name} = {}", crate::numbers::figure(value));
        self.samples.push(Sample { round, stored, name, value });
    }

    /// Something that should not have happened: the run goes on, and fails in the end.
    pub fn fail(&mut self, what: String) {
        eprintln!("  !! {what}");
        self.failures.push(what);
    }

    /// Everything that should not have happened.
    pub fn failures(&self) -> Option<String> {
        (!self.failures.is_empty()).then(|| self.failures.join("; "))
    }

    fn value(&self, round: u32, stored: u64, name: &str) -> Option<f64> {
        let found = |sample: &&Sample| sample.round == round && sample.stored == stored && sample.name == name;
        self.samples.iter().find(found).map(|sample| sample.value)
    }

    /// A figure over all rounds.
    pub fn spread(&self, stored: u64, name: &str) -> Option<Spread> {
        let same = self.samples.iter().filter(|sample| sample.stored == stored && sample.name == name);
        let mut values: Vec<f64> = same.map(|sample| sample.value).collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let (below, above) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Spread { low, median: f64::midpoint(below, above), high })
    }

    /// Works out ratios, round by round.
    pub fn compare(&mut self, ratios: &[(&str, &str, &str)]) {
        let mut rounds: Vec<(u32, u64)> = self.samples.iter().map(|sample| (sample.round, sample.stored)).collect();
        rounds.sort_unstable();
        rounds.dedup();
        let first = self.levels.first().copied().unwrap_or(0);
        for (round, stored) in rounds {
            for (name, above, below) in ratios {
                // What does not depend on what is stored was measured once a round.
                let below = self.value(round, stored, below).or_else(|| self.value(round, 0, below));
                self.ratio(round, stored, name, self.value(round, stored, above), below);
            }
            for name in GROWING.iter().filter(|_| stored != first) {
                let (above, below) = (self.value(round, stored, name), self.value(round, first, name));
                self.ratio(round, stored, &format!("grown.{name}"), above, below);
            }
        }
    }

    fn ratio(&mut self, round: u32, stored: u64, name: &str, above: Option<f64>, below: Option<f64>) {
        if let (Some(above), Some(below)) = (above, below.filter(|below| *below > 0.0)) {
            let value = above / below;
            self.samples.push(Sample { round, stored, name: name.to_owned(), value });
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn ratios_are_taken_within_a_round() {
        let mut results = Results::new(&crate::args::Cli::parse_from(["bench"]).run);
        for (round, echo, held) in [(1, 100.0, 50.0), (2, 10.0, 6.0), (3, 50.0, 35.0)] {
            results.record(round, 0, "a.per_s", echo);
            results.record(round, 0, "b.held.per_s", held);
        }
        results.compare(&RATIOS);
        let spread = results.spread(0, "ratio.b_held_to_a").unwrap();
        assert_eq!(spread, Spread { low: 0.5, median: 0.6, high: 0.7 });
    }
}
