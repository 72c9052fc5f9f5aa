//! The proof of the proof: each deliberate defect, switched on alone, is caught within a few seeds.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::mutants::{Misjudged, misjudging};
use common::{checks, cluster, world_of, world_with};
use defects::{Defect, switch};
use sim::{Faults, Sabotage};

/// So many seeds may pass before a defect is caught.
const SEEDS: u64 = 60;

fn caught(name: &str, defect: Option<Defect>, run: &dyn Fn(u64)) {
    let found = first_failure(SEEDS, defect, run);
    let Some((seed, reason)) = found else { panic!("{name}: not caught by any of {SEEDS} seeds") };
    println!("{name}: caught by seed {seed}: {reason}");
}

fn embedded(sabotage: Option<Sabotage>) -> impl Fn(u64) {
    move |seed| checks::all(&mut world_with(seed, Faults::MANY, sabotage))
}

fn clustered(seed: u64) {
    checks::cluster(&mut cluster(seed, Faults::MANY));
}

/// Processes stand still at all moments, also with effects that they have not called yet.
fn standing_still(seed: u64) {
    let faults = Faults { freeze: 40, call_lost: 300, ..Faults::MANY };
    checks::cluster(&mut cluster(seed, faults));
}

fn first_failure(seeds: u64, defect: Option<Defect>, run: &dyn Fn(u64)) -> Option<(u64, String)> {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {})); // its failures are what we want; their messages are printed below
    let found = (0..seeds).find_map(|seed| {
        switch(defect);
        let ran = catch_unwind(AssertUnwindSafe(|| run(seed)));
        switch(None);
        ran.err().map(|panic| (seed, reason(&*panic)))
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
    assert_eq!(first_failure(20, None, &embedded(Some(Sabotage::Nothing))), None, "the control");
    assert_eq!(first_failure(SEEDS, None, &standing_still), None, "the control of a cluster");
}

#[test]
fn each_deliberate_defect_is_caught() {
    for defect in [
        Defect::EventTwice,
        Defect::RefusedWrites,
        Defect::ParkedOvertaken,
        Defect::FailedTimerDropped,
        Defect::FailedAnswerDropped,
        Defect::EffectBeforeCommit,
        Defect::RollbackForgotten,
    ] {
        caught(&format!("{defect:?}"), Some(defect), &embedded(None));
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
        caught(&format!("{sabotage:?}"), None, &embedded(Some(sabotage)));
    }
}

#[test]
fn each_misjudgement_of_the_business_is_caught() {
    for how in [Misjudged::ReceiptTwice, Misjudged::ReceiptAfterRefusal] {
        let slow = Faults { delayed_reply_late: 700, ..Faults::MANY }; // a recall is answered before the receipt comes
        let run = |seed| checks::all(&mut world_of(misjudging(rcs::system(), how), seed, slow, None));
        caught(&format!("{how:?}"), None, &run);
    }
}

#[test]
fn each_deliberate_defect_of_a_cluster_is_caught() {
    for defect in [
        Defect::RelayedTwice,
        Defect::MarkedBeforePublished,
        Defect::VersionsUnfenced,
        Defect::PositionsUnfenced,
        Defect::AnswersUnfenced,
        Defect::IdsGivenTwice,
        Defect::EventTwice,
        Defect::ParkedOvertaken,
        Defect::EffectBeforeCommit,
    ] {
        caught(&format!("{defect:?}"), Some(defect), &clustered);
    }
    // Its moment is rare: a process stands still with an effect that it has not called yet.
    caught("LeaseIgnored", Some(Defect::LeaseIgnored), &standing_still);
}
