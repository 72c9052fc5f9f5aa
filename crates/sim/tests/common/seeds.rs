//! Many seeds, one after another: what is replayed, and what must have come up.

use sim::{Installation, Tally};

/// Runs seeds and sees that each of these happened in them: of a fault that never came nothing is proved. `SEEDS=n` runs so
/// many, `SEED=n` replays one and prints its trace. The digest of each trace is printed: two builds that behave alike print
/// the same lines.
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
    for name in sometimes.iter().filter(|_| seeds.len() >= 100) {
        assert!(tally.contains_key(*name), "{name}: never happened, so nothing is proved about it");
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
