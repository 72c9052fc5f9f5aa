//! The proof of the proof: each deliberate defect, switched on alone, is caught within a few seeds.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::{checks, world_with};
use runtime::core::defects::{Defect, switch};
use sim::{Faults, Sabotage};

/// So many seeds may pass before a defect is caught.
const SEEDS: u64 = 60;

fn caught(name: &str, defect: Option<Defect>, sabotage: Option<Sabotage>) {
    let found = first_failure(SEEDS, defect, sabotage);
    let Some((seed, reason)) = found else { panic!("{name}: not caught by any of {SEEDS} seeds") };
    println!("{name}: caught by seed {seed}: {reason}");
}

fn first_failure(seeds: u64, defect: Option<Defect>, sabotage: Option<Sabotage>) -> Option<(u64, String)> {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {})); // its failures are what we want; their messages are printed below
    let found = (0..seeds).find_map(|seed| {
        switch(defect);
        let run = catch_unwind(AssertUnwindSafe(|| checks::all(&mut world_with(seed, Faults::MANY, sabotage))));
        switch(None);
        run.err().map(|panic| (seed, reason(&*panic)))
    });
    std::panic::set_hook(before);
    found
}

fn reason(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
    text.lines().take(2).collect::<Vec<_>>().join(" ").chars().take(160).collect()
}

#[test]
fn without_a_defect_nothing_is_caught() {
    assert_eq!(first_failure(20, None, Some(Sabotage::Nothing)), None, "the control");
}

#[test]
fn each_deliberate_defect_is_caught() {
    for defect in [
        Defect::EventTwice,
        Defect::RefusedWrites,
        Defect::ParkedOvertaken,
        Defect::EffectBeforeCommit,
        Defect::RollbackForgotten,
    ] {
        caught(&format!("{defect:?}"), Some(defect), None);
    }
    for sabotage in [
        Sabotage::PositionForgotten,
        Sabotage::PositionBeforeEffect,
        Sabotage::LogBeforeState,
        Sabotage::EffectForgotten,
        Sabotage::TimerEarly,
        Sabotage::TimerTwice,
        Sabotage::UnknownIsLost,
        Sabotage::UnknownIsApplied,
        Sabotage::KeysForgotten,
        Sabotage::RepeatedBlindly,
        Sabotage::ParkedLost,
    ] {
        caught(&format!("{sabotage:?}"), None, Some(sabotage));
    }
}
