//! The whole rcs system under seeded faults: nothing accepted is lost, nothing takes effect twice, whatever is killed.
//!
//! `SEEDS=n` runs so many seeds, `SEED=n` replays one and prints its trace.

mod common;

use common::{checks, world};
use sim::{Faults, Installation, Tally};

/// What must have come up in a run of a hundred seeds or more: of a fault that never happened nothing is proved.
const SOMETIMES: [&str; 18] = [
    "a handler breaks down",
    "a service is paused",
    "answer lost",
    "answer twice",
    "asked, and answered",
    "asked, never heard of",
    "call lost",
    "clock jumps ahead",
    "commit applied, outcome unknown",
    "commit lost, outcome unknown",
    "crash after a commit",
    "crash before a commit",
    "disk full",
    "read fails",
    "receipt late",
    "receipt twice",
    "redriven",
    "request twice",
];

#[test]
fn without_faults_every_message_ends_as_its_number_says() {
    let mut world = world(1, Faults::NONE);
    checks::all(&mut world);
    assert!(world.tally().is_empty(), "no fault was asked for: {:?}", world.tally());
}

#[test]
fn nothing_is_lost_and_nothing_happens_twice_whatever_fails() {
    let seeds: Vec<u64> = match std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => vec![seed],
        None => (0..std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(200)).collect(),
    };
    let mut tally = Tally::new();
    for seed in &seeds {
        println!("replay: SEED={seed} cargo test -p sim --test rcs nothing_is_lost -- --nocapture");
        let mut world = world(*seed, Faults::MANY);
        if seeds.len() == 1 {
            println!("{}", world.tail(usize::MAX));
        }
        checks::all(&mut world);
        for (name, times) in world.tally() {
            *tally.entry(name).or_default() += times;
        }
    }
    println!("{} seeds, what really happened: {tally:#?}", seeds.len());
    for name in SOMETIMES.iter().filter(|_| seeds.len() >= 100) {
        assert!(tally.contains_key(name), "{name}: never happened, so nothing is proved about it");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..5 {
        assert_eq!(world(seed, Faults::MANY).digest(), world(seed, Faults::MANY).digest(), "seed {seed}");
    }
}
