//! The simulation itself: what would let a test pass without proving anything is refused.

#![allow(clippy::unwrap_used)] // a test may say what it expects

mod common;

use std::sync::Arc;

use jiff::tz::{Offset, TimeZone};
use rcs::message::Command;
use rcs::validation::brand::BrandDraft;
use sim::{Faults, Installation, World, WorldOptions};

const DAY_MS: i64 = 24 * 3_600_000;

fn world(faults: Faults) -> World {
    World::new(WorldOptions {
        seed: 3,
        faults,
        systems: vec![rcs::system()],
        start: "2026-11-20T03:00:00Z".parse().unwrap(),
        zone: TimeZone::fixed(Offset::constant(9)),
    })
}

#[test]
#[should_panic(expected = "a request named cancel was sent before: a name is an idempotency key, each command needs its own")]
fn a_second_command_of_the_same_name_is_refused() {
    let mut world = world(Faults::NONE);
    for key in ["msg-1", "msg-2"] {
        world.send(0, "cancel", ("message", "message"), Some(key), Arc::new(Command::Cancel), true);
    }
}

#[test]
#[should_panic(expected = "no fault can strike in a run of 0 ms with faults")]
fn a_run_that_leaves_its_faults_no_time_is_refused() {
    world(Faults::MANY).run(0, 1_000);
}

#[test]
fn faults_strike_in_each_run_also_after_a_quiet_one() {
    let mut world = world(Faults::MANY);
    world.seed();
    world.settle(1_000);
    assert!(world.tally().is_empty(), "{:?}", world.tally());
    let mut before = 0;
    for run in 0..3 {
        for n in 0..10 {
            let (name, brand) = (format!("brand-{run}-{n}"), BrandDraft { brand_id: None, name: "a brand".into(), status: None });
            let new = brand.register().ok().unwrap();
            world.send(1_000 * n, &name, ("validator", "brand"), Some(&name), Arc::new(new.command), false);
        }
        world.run(60_000, DAY_MS);
        let struck: u64 = world.tally().values().sum();
        assert!(struck > before, "run {run}: {:?}", world.tally());
        before = struck;
    }
}

#[test]
fn weeks_of_virtual_time_come_to_rest() {
    let mut world = world(Faults::NONE);
    world.seed();
    world.run(0, 60 * DAY_MS);
    let seeds: usize = world.models().iter().map(|model| model.system.seeds.len()).sum();
    assert_eq!(world.answers().iter().filter(|answer| answer.result.is_ok()).count(), seeds);
}
