//! Timers: never early, exactly once, whatever happens in between.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::store::Fate;
use common::system::{Do, Errand, Go, Note};
use common::world::World;
use pabal_core::Limits;

/// A note that will say so in so many milliseconds.
fn later(world: &mut World, key: &str, in_ms: i64, text: &str) {
    let due_ms = world.now_ms + in_ms;
    world.command::<Note>(key, Do::Later("t".into(), due_ms, text.into())).unwrap();
}

fn written(world: &World, key: &str) -> usize {
    world.log().iter().filter(|(name, of)| name == "Written" && of == key).count()
}

#[test]
fn a_timer_is_never_early_and_comes_exactly_once() {
    let mut world = World::new();
    later(&mut world, "a", 1_000, "now");
    let wake_ms = world.now_ms + 1_000;
    assert_eq!(world.run(), Some(wake_ms), "the core says when it wants to be woken");
    world.pass(999);
    assert_eq!(world.note("a"), None);
    world.pass(1);
    assert_eq!(world.note("a").as_deref(), Some("now"));
    world.write("a", "then").unwrap();
    world.pass(100_000);
    assert_eq!((world.note("a").as_deref(), written(&world, "a")), (Some("then"), 2));
}

#[test]
fn a_timer_set_again_is_moved() {
    let mut world = World::new();
    later(&mut world, "a", 1_000, "first");
    later(&mut world, "a", 2_000, "second");
    world.pass(1_999);
    assert_eq!(world.note("a"), None);
    world.pass(1);
    assert_eq!(world.note("a").as_deref(), Some("second"));
    later(&mut world, "b", 2_000, "late");
    later(&mut world, "b", 1_000, "early");
    world.pass(1_000);
    assert_eq!(world.note("b").as_deref(), Some("early"));
    world.pass(5_000);
    assert_eq!(written(&world, "b"), 1);
}

#[test]
fn a_cleared_timer_does_not_come() {
    let mut world = World::new();
    later(&mut world, "a", 1_000, "now");
    world.command::<Note>("a", Do::Forget("t".into())).unwrap();
    world.pass(5_000);
    assert_eq!(world.note("a"), None);
}

#[test]
fn a_timer_that_is_cleared_earlier_in_the_batch_in_which_it_is_due_does_not_come() {
    let mut world = World::new();
    let due_ms = world.now_ms + 1_000;
    for key in ["a", "b"] {
        world.command::<Errand>(key, Go::Remind(due_ms)).unwrap();
        world.send_out::<Errand>(key, 1);
    }
    world.now_ms = due_ms;
    world.answer(1, "never mind"); // ends of effects stand before timers
    world.pass(10_000);
    assert_eq!(world.heard("errand", "a"), ["1: never mind"]);
    assert_eq!(world.heard("errand", "b"), ["reminded"]);
}

#[test]
fn a_command_that_clears_a_timer_in_the_batch_in_which_it_is_due_comes_behind_it() {
    let mut world = World::new();
    later(&mut world, "a", 1_000, "due");
    world.now_ms += 1_000;
    world.command::<Note>("a", Do::WriteAndForget("last".into(), "t".into())).unwrap();
    world.pass(5_000);
    assert_eq!((world.note("a").as_deref(), written(&world, "a")), (Some("last"), 2));
}

#[test]
fn timers_survive_a_restart_and_come_late_rather_than_never() {
    let mut world = World::new();
    later(&mut world, "a", 1_000, "now");
    later(&mut world, "b", 10_000, "then");
    world.restart();
    world.pass(999);
    assert_eq!(world.note("a"), None);
    world.now_ms += 5_000;
    world.restart();
    world.run();
    assert_eq!((world.note("a").as_deref(), world.note("b")), (Some("now"), None));
    world.restart();
    world.pass(10_000);
    assert_eq!((written(&world, "a"), written(&world, "b")), (1, 1));
}

#[test]
fn more_timers_than_fit_in_a_batch_all_come() {
    let mut world = World::with(Limits { batch_items: 3, ..Limits::default() });
    for place in 0..20 {
        later(&mut world, &format!("n-{place}"), 1_000, "now");
    }
    world.pass(1_000);
    assert!((0..20).all(|place| written(&world, &format!("n-{place}")) == 1));
}

#[test]
fn a_timer_that_comes_while_the_store_is_full_comes_afterwards_and_once() {
    let mut world = World::new();
    later(&mut world, "a", 1_000, "due");
    world.store.plan().fates.extend([Fate::Full, Fate::Full]);
    world.pass(1_000);
    assert_eq!(world.note("a"), None, "the store does not take it");
    world.pass(1_000);
    assert_eq!((world.note("a").as_deref(), written(&world, "a")), (Some("due"), 1));
}

#[test]
fn a_timer_is_not_forgotten_where_the_store_did_not_say_when_the_next_is_due() {
    let mut world = World::new();
    later(&mut world, "a", 10_000, "now");
    world.store.plan().silent_about_timers = 1;
    world.command::<Note>("b", Do::WriteAndForget("one".into(), "none".into())).unwrap();
    world.pass(10_000);
    assert_eq!(world.note("a").as_deref(), Some("now"));
}

#[test]
fn a_paused_services_timers_wait_and_the_others_do_not() {
    let mut world = World::with(Limits { batch_items: 4, ..Limits::default() });
    for place in 0..20 {
        later(&mut world, &format!("n-{place}"), 1_000, "now");
    }
    let due_ms = world.now_ms + 2_000;
    world.command::<Errand>("e", Go::Remind(due_ms)).unwrap();
    world.pause("desk", true);
    world.pass(4_000);
    assert_eq!(world.heard("errand", "e"), ["reminded"]);
    assert!((0..20).all(|place| world.note(&format!("n-{place}")).is_none()));
    world.pause("desk", false);
    world.run();
    assert!((0..20).all(|place| written(&world, &format!("n-{place}")) == 1));
}
