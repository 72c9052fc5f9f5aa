//! Many seeds, one after another: how one is replayed, and which faults must have struck.

use sim::{Installation, Tally};

/// What must have happened in a hundred seeds or more of every installation.
pub const EVERYWHERE: [&str; 17] = [
    "call lost",
    "clock jump",
    "commit applied, outcome unknown",
    "commit lost, outcome unknown",
    "crash after a commit",
    "crash before a commit",
    "delayed reply late",
    "delayed reply twice",
    "disk full",
    "handler panics",
    "queried, answered",
    "queried, unknown id",
    "read failed",
    "redriven",
    "reply lost",
    "reply twice",
    "request twice",
];

/// Runs seeds, and checks that each of `sometimes` and of [`EVERYWHERE`] happened in them: of a fault that never struck nothing
/// is proved. `SEEDS=n` runs so many, `SEED=n` replays one and prints its trace. The digest of each trace is printed: two builds
/// that behave alike print the same lines.
pub fn over<I: Installation>(file: &str, run: impl Fn(u64) -> I, check: impl Fn(&mut I), sometimes: &[&str]) {
    let seeds: Vec<u64> = match number("SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SEEDS").unwrap_or(200)).collect(),
    };
    let mut tally = Tally::new();
    for seed in &seeds {
        println!("replay: SEED={seed} cargo test -p sim --test {file} nothing_is_lost -- --nocapture");
        let mut installation = run(*seed);
        if seeds.len() == 1 {
            println!("{}", installation.tail(usize::MAX));
        }
        let trace = installation.digest();
        println!("seed {seed}: trace {trace:016x}");
        check(&mut installation);
        for (name, times) in installation.tally() {
            *tally.entry(name).or_default() += times;
        }
    }
    println!("{} seeds, what really happened: {tally:#?}", seeds.len());
    for name in EVERYWHERE.iter().chain(sometimes).filter(|_| seeds.len() >= 100) {
        assert!(tally.contains_key(*name), "{name}: never happened, so nothing is proved about it");
    }
}

/// The same seed gives the same trace, and another seed another one.
pub fn replay<I: Installation>(run: impl Fn(u64) -> I) {
    let mut digests = std::collections::BTreeSet::new();
    for seed in 0..5 {
        let digest = run(seed).digest();
        assert_eq!(digest, run(seed).digest(), "seed {seed}");
        digests.insert(digest);
    }
    assert_eq!(digests.len(), 5, "each seed has a trace of its own");
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
