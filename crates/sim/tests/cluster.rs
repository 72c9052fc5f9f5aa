//! The whole rcs system as a cluster under seeded faults: every service in several processes over one store each, with a
//! partitioned topic between them. The invariants are those of the embedded mode, and that store and topic agree.

#![allow(clippy::unwrap_used)] // a test may say what it expects

mod common;

use common::{checks, cluster, seeds};
use sim::{Faults, Installation};

/// What must have come up in a run of a hundred seeds or more.
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
    seeds::over("cluster", |seed| cluster(seed, Faults::MANY), checks::cluster, &SOMETIMES);
}

#[test]
fn the_same_seed_gives_the_same_trace_of_a_cluster() {
    for seed in 0..5 {
        assert_eq!(cluster(seed, Faults::MANY).digest(), cluster(seed, Faults::MANY).digest(), "seed {seed}");
    }
}
