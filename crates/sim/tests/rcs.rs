//! The whole rcs system under seeded faults: nothing accepted is lost, nothing takes effect twice, whatever is killed.

mod common;

use common::{checks, seeds, world};
use sim::{Faults, Installation};

/// What must have come up in a run of a hundred seeds or more.
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
    seeds::over("rcs", |seed| world(seed, Faults::MANY), |world| checks::all(world), &SOMETIMES);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..5 {
        assert_eq!(world(seed, Faults::MANY).digest(), world(seed, Faults::MANY).digest(), "seed {seed}");
    }
}
