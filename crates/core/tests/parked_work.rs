//! Timers and answers of effects that cannot be handled are parked with their cause, retried, redriven and discarded exactly as
//! events are: nothing is dropped.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::shared_world::SharedWorld;
use common::system::{Do, Errand, Go, Note};
use common::world::{World, json};
use kernel::Reaction;
use ports::{ParkedRow, ParkedWork};

const TIMERS: &str = "office.desk@timers";
const ANSWERS: &str = "office.errands@answers";

/// Longer than all pauses before a failing item is a dead letter, in milliseconds.
const ALL_RETRIES_MS: i64 = 100_000;

/// Sets a timer whose command fails as long as the gate is closed, and lets it become due.
fn barred_timer(world: &mut World, key: &str) {
    let due_ms = world.now_ms + 1_000;
    world.command::<Note>(key, Do::Later("t".into(), due_ms, "barred".into())).unwrap();
    world.pass(1_000);
}

fn open_the_gate(world: &mut World) {
    world.command::<Note>("gate", Do::Write("open".into())).unwrap();
    world.command::<Errand>("gate", Go::Back).unwrap();
}

fn only(rows: Vec<ParkedRow>) -> ParkedRow {
    let [row] = <[ParkedRow; 1]>::try_from(rows).unwrap();
    row
}

#[test]
fn a_timer_that_fails_is_parked_with_its_cause_and_tried_again() {
    let mut world = World::new();
    barred_timer(&mut world, "a");
    let row = only(world.parked(TIMERS));
    assert_eq!((row.key.as_str(), row.attempts, row.dead), ("note/a/t", 1, false));
    assert!(row.cause.contains("panicked"), "{}", row.cause);
    assert!(matches!(row.work, ParkedWork::Timer(timer) if timer.name == "t" && timer.key == "a"));
    open_the_gate(&mut world);
    world.pass(1_000);
    assert_eq!((world.note("a").as_deref(), world.parked(TIMERS)), (Some("barred"), vec![]));
}

#[test]
fn a_timer_that_fails_for_long_is_a_dead_letter_and_is_redriven_once() {
    let mut world = World::new();
    barred_timer(&mut world, "a");
    world.pass(ALL_RETRIES_MS);
    assert!(only(world.parked(TIMERS)).dead);
    assert_eq!(world.status().dead_keys, 1);
    world.restart();
    open_the_gate(&mut world);
    world.pass(ALL_RETRIES_MS);
    assert_eq!(world.note("a"), None, "a dead letter waits for an administrator");
    world.redrive(TIMERS, "note/a/t");
    assert_eq!((world.note("a").as_deref(), world.status().parked_keys), (Some("barred"), 0));
    let log = world.log();
    world.pass(ALL_RETRIES_MS);
    assert_eq!(world.log(), log, "it fires once");
}

#[test]
fn a_discarded_timer_is_gone() {
    let mut world = World::new();
    barred_timer(&mut world, "a");
    world.pass(ALL_RETRIES_MS);
    world.discard(TIMERS, "note/a/t", only(world.parked(TIMERS)).position);
    assert_eq!((world.parked(TIMERS), world.status().parked_keys), (vec![], 0));
    open_the_gate(&mut world);
    world.restart();
    world.pass(ALL_RETRIES_MS);
    assert_eq!(world.note("a"), None);
}

#[test]
fn a_parked_timer_that_the_aggregate_clears_is_not_tried_again() {
    let mut world = World::new();
    barred_timer(&mut world, "a");
    world.command::<Note>("a", Do::WriteAndForget("last".into(), "t".into())).unwrap();
    open_the_gate(&mut world);
    world.pass(ALL_RETRIES_MS);
    assert_eq!((world.note("a").as_deref(), world.parked(TIMERS)), (Some("last"), vec![]));
}

#[test]
fn a_parked_timer_that_is_set_again_fires_as_it_was_set_last() {
    let mut world = World::new();
    barred_timer(&mut world, "a");
    let due_ms = world.now_ms + 500;
    world.command::<Note>("a", Do::Later("t".into(), due_ms, "again".into())).unwrap();
    world.pass(500);
    assert_eq!((world.note("a").as_deref(), world.parked(TIMERS)), (Some("again"), vec![]));
    open_the_gate(&mut world);
    world.pass(ALL_RETRIES_MS);
    assert_eq!(world.note("a").as_deref(), Some("again"));
}

#[test]
fn a_timer_that_is_set_again_and_fails_again_is_parked_once() {
    let mut world = World::new();
    barred_timer(&mut world, "a");
    barred_timer(&mut world, "a");
    assert_eq!(only(world.parked(TIMERS)).attempts, 1);
    open_the_gate(&mut world);
    world.pass(ALL_RETRIES_MS);
    assert_eq!((world.note("a").as_deref(), world.parked(TIMERS)), (Some("barred"), vec![]));
}

#[test]
fn an_answer_that_fails_is_parked_and_tried_again_and_its_effect_is_not_called_again() {
    let mut world = World::new();
    world.send_out::<Errand>("a", 1);
    world.called();
    world.answer(1, "barred");
    let row = only(world.parked(ANSWERS));
    assert_eq!((row.key.as_str(), row.attempts, row.dead), ("errand/a", 1, false));
    assert_eq!((world.status().effects, world.heard("errand", "a")), (0, vec![]));
    world.restart();
    open_the_gate(&mut world);
    world.pass(10_000);
    assert_eq!(world.heard("errand", "a"), ["1: barred"]);
    assert_eq!((world.called(), world.parked(ANSWERS)), (vec![], vec![]));
}

#[test]
fn later_answers_of_an_aggregate_wait_behind_a_parked_one_and_those_of_others_do_not() {
    let mut world = World::new();
    world.send_out::<Errand>("a", 2);
    world.send_out::<Errand>("b", 1);
    world.answer(1, "barred");
    world.answer(2, "second");
    world.answer(3, "done");
    assert_eq!((world.heard("errand", "a"), world.heard("errand", "b")), (vec![], vec!["1: done".to_owned()]));
    assert_eq!(world.parked(ANSWERS).len(), 2);
    open_the_gate(&mut world);
    world.pass(10_000);
    assert_eq!(world.heard("errand", "a"), ["1: barred", "2: second"]);
}

#[test]
fn an_answer_that_cannot_be_read_is_a_dead_letter_at_once_and_stays_until_it_is_discarded() {
    let mut world = World::new();
    world.send_out::<Errand>("a", 1);
    world.react(1, Reaction::reply(b"not json".to_vec()));
    let row = only(world.parked(ANSWERS));
    assert!(row.dead && row.cause.contains("cannot be read"), "{}", row.cause);
    world.restart();
    world.redrive(ANSWERS, "errand/a");
    assert_eq!(only(world.parked(ANSWERS)).attempts, 2);
    world.discard(ANSWERS, "errand/a", row.position);
    assert_eq!((world.parked(ANSWERS), world.status().parked_keys, world.called()), (vec![], 0, vec![]));
}

#[test]
fn what_follows_an_answer_by_itself_comes_after_the_retry_too() {
    let mut world = World::new();
    world.send_out::<Errand>("a", 1);
    world.react(1, Reaction::Reply { now: json("barred"), later: vec![common::world::word(5_000, "later")] });
    open_the_gate(&mut world);
    world.pass(1_000);
    assert_eq!(world.heard("errand", "a"), ["1: barred"]);
    world.pass(5_000);
    assert_eq!(world.heard("errand", "a"), ["1: barred", "1: later"]);
}

#[test]
fn a_paused_services_parked_work_waits() {
    let mut world = World::new();
    barred_timer(&mut world, "a");
    open_the_gate(&mut world);
    world.pause("desk", true);
    world.pass(ALL_RETRIES_MS);
    assert_eq!(world.note("a"), None);
    world.pause("desk", false);
    world.run();
    assert_eq!(world.note("a").as_deref(), Some("barred"));
}

#[test]
fn an_instance_handles_what_another_has_parked() {
    let mut shared = SharedWorld::new();
    let (first, second) = (shared.join(), shared.join());
    let due_ms = first.world().now_ms + 1_000;
    first.world().command::<Note>("a", Do::Later("t".into(), due_ms, "barred".into())).unwrap();
    shared.pass(&[&first, &second], 1_500);
    assert_eq!(first.parked(TIMERS).len(), 1);
    open_the_gate(&mut second.world());
    shared.pass(&[&second], ALL_RETRIES_MS);
    assert_eq!(second.world().note("a").as_deref(), Some("barred"));
    assert_eq!(second.parked(TIMERS), []);
}
