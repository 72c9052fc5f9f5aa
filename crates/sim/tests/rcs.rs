//! The whole rcs system in one process under seeded faults: nothing accepted is lost, nothing takes effect twice.

mod common;

use common::{checks, seeds, world};
use sim::{Faults, Installation};

/// What must have happened in a run of a hundred seeds or more, beside [`seeds::EVERYWHERE`].
const SOMETIMES: [&str; 1] = ["service paused"];

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
    seeds::replay(|seed| world(seed, Faults::MANY));
}
