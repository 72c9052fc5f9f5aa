//! The whole rcs system as a cluster under seeded faults: every service in several processes over one store each, with a
//! partitioned topic between them. The invariants are those of the embedded mode, and that store and topic agree.
//!
//! `SEEDS=n` runs so many seeds, `SEED=n` replays one and prints its trace.

#![allow(clippy::unwrap_used)] // a test may say what it expects

mod common;

use common::{checks, cluster};
use sim::{Faults, Installation, Tally};

/// What must have come up in a run of a hundred seeds or more: of a fault that never happened nothing is proved.
const SOMETIMES: [&str; 29] = [
    "a handler breaks down",
    "a process stands still",
    "a record was in the topic twice",
    "an owner has not heard yet",
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
    "effects taken over",
    "others came first",
    "others commit between read and commit",
    "partitions change hands",
    "published in part",
    "published late",
    "published unheard",
    "read fails",
    "receipt late",
    "receipt twice",
    "redriven",
    "request at two doors",
    "request twice",
    "taken for dead",
];

#[test]
fn a_cluster_without_faults_ends_every_message_as_its_number_says() {
    let mut cluster = cluster(1, Faults::NONE);
    checks::cluster(&mut cluster);
    let mut tally = cluster.tally();
    tally.remove("others came first"); // that is no fault
    assert!(tally.is_empty(), "no fault was asked for: {tally:?}");
}

#[test]
fn nothing_is_lost_and_nothing_happens_twice_whichever_process_fails() {
    let seeds: Vec<u64> = match std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => vec![seed],
        None => (0..std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(200)).collect(),
    };
    let mut tally = Tally::new();
    for seed in &seeds {
        println!("replay: SEED={seed} cargo test -p sim --test cluster nothing_is_lost -- --nocapture");
        let mut cluster = cluster(*seed, Faults::MANY);
        if seeds.len() == 1 {
            println!("{}", cluster.tail(usize::MAX));
        }
        checks::cluster(&mut cluster);
        for (name, times) in cluster.tally() {
            *tally.entry(name).or_default() += times;
        }
    }
    println!("{} seeds, what really happened: {tally:#?}", seeds.len());
    for name in SOMETIMES.iter().filter(|_| seeds.len() >= 100) {
        assert!(tally.contains_key(name), "{name}: never happened, so nothing is proved about it");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_of_a_cluster() {
    for seed in 0..5 {
        assert_eq!(cluster(seed, Faults::MANY).digest(), cluster(seed, Faults::MANY).digest(), "seed {seed}");
    }
}
