//! The whole rcs system as a cluster under seeded faults: every service in several processes over one store each, with a
//! partitioned topic between them. The invariants are those of the embedded mode, and that store and topic agree.

mod common;

use common::{checks, cluster, seeds};
use sim::{Faults, Installation};

/// What must have happened in a run of a hundred seeds or more, beside [`seeds::EVERYWHERE`].
const SOMETIMES: [&str; 12] = [
    "acknowledgement lost",
    "batch published in part",
    "batch published late",
    "commit between read and commit",
    "effects adopted",
    "fenced",
    "process stopped",
    "rebalance",
    "record in the topic twice",
    "request at two replicas",
    "version conflict",
    "zombie owner",
];

#[test]
fn a_cluster_without_faults_ends_every_message_as_its_number_says() {
    let mut cluster = cluster(1, Faults::NONE);
    checks::cluster(&mut cluster);
    let mut tally = cluster.tally();
    tally.remove("version conflict"); // that is no fault
    assert!(tally.is_empty(), "no fault was asked for: {tally:?}");
}

#[test]
fn nothing_is_lost_and_nothing_happens_twice_whichever_process_fails() {
    seeds::over("cluster", |seed| cluster(seed, Faults::MANY), checks::cluster, &SOMETIMES);
}

#[test]
fn the_same_seed_gives_the_same_trace_of_a_cluster() {
    seeds::replay(|seed| cluster(seed, Faults::MANY));
}
