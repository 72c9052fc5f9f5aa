//! Who is not heard of is taken for dead: others end what it has begun, and it begins again as somebody else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::shared_world::{LEASE_MS, Process, SharedWorld};
use common::system::{Copied, CopyDo, Errand, OnceErrand, QueryErrand};
use common::world::json;
use kernel::Reaction;
use pabal_core::Limits;

/// Sends one errand of each kind out, and says under which numbers.
fn send_out(process: &Process) -> [u64; 3] {
    let mut world = process.world();
    world.send_out::<Errand>("a", 1);
    world.send_out::<QueryErrand>("a", 1);
    world.send_out::<OnceErrand>("a", 1);
    let numbers: Vec<u64> = world.called().into_iter().map(|(number, _, _)| number).collect();
    numbers.try_into().unwrap()
}

/// What came of the three.
fn heard(process: &Process) -> [Vec<String>; 3] {
    ["errand", "query-errand", "once-errand"].map(|errand| process.heard(errand, "a"))
}

fn take(process: &Process, text: &str) -> u64 {
    process.world().command::<Copied>("a", CopyDo::Take(text.into())).unwrap().version
}

#[test]
fn what_the_dead_have_called_is_repeated_asked_about_or_left_unknown() {
    let mut shared = SharedWorld::new();
    let [dead, heir] = [shared.join(), shared.join()];
    let [idempotent, queryable, _] = send_out(&dead);
    shared.pass(&[&heir], LEASE_MS);
    assert_eq!(heir.called(), [], "it may be alive still");
    shared.pass(&[&heir], 2_000);
    assert_eq!(heir.called(), [(idempotent, 1, false), (queryable, 1, true)]);
    assert_eq!(heard(&heir), [vec![], vec![], vec!["1: unknown".to_owned()]]);
    heir.world().answer(idempotent, "done");
    heir.world().react(queryable, Reaction::UnknownId);
    shared.pass(&[&heir], 1_000);
    assert_eq!(heir.called(), [(queryable, 2, false)], "it never came there, so that it may be called now");
    heir.world().answer(queryable, "done as well");
    assert_eq!(heard(&heir), [vec!["1: done".to_owned()], vec!["1: done as well".into()], vec!["1: unknown".into()]]);
    shared.pass(&[&heir], 30_000);
    assert_eq!((heir.called(), heir.status().effects), (vec![], 0));
}

#[test]
fn one_of_several_heirs_has_each_effect() {
    let mut shared = SharedWorld::new();
    let [dead, one, other] = [shared.join(), shared.join(), shared.join()];
    send_out(&dead);
    shared.pass(&[&one, &other], LEASE_MS + 2_000);
    let calls = one.called().len() + other.called().len();
    assert_eq!((calls, heard(&one)[2].len()), (2, 1));
}

#[test]
fn an_instance_that_wakes_after_its_lease_calls_and_ends_nothing_and_goes_on_as_another() {
    let mut shared = SharedWorld::new();
    let [zombie, heir] = [shared.join(), shared.join()];
    let [idempotent, queryable, never] = send_out(&zombie);
    shared.pass(&[&heir], LEASE_MS + 2_000);
    heir.world().answer(idempotent, "done");
    shared.awake(&zombie);
    for number in [idempotent, queryable, never] {
        zombie.world().answer(number, "too late"); // the far side had answered before it fell asleep
    }
    zombie.run();
    assert_eq!(zombie.called(), []);
    assert_eq!(heard(&zombie), [vec!["1: done".to_owned()], vec![], vec!["1: unknown".into()]]);
    assert_eq!(take(&zombie, "one"), 1, "it goes on");
    assert_eq!(take(&heir, "two"), 2);
    assert_eq!(zombie.status().effects, 0);
    zombie.world().send_out::<Errand>("b", 1);
    let number = zombie.called()[0].0;
    assert!(number > never, "with numbers that nobody had");
    zombie.world().answer(number, "done");
    assert_eq!(zombie.heard("errand", "b"), ["1: done"]);
}

#[test]
fn what_had_not_been_called_when_the_lease_ran_out_is_called_by_the_heir_alone() {
    let mut shared = SharedWorld::with(Limits { calls: 1, ..Limits::default() });
    let [zombie, heir] = [shared.join(), shared.join()];
    zombie.world().send_out::<QueryErrand>("first", 1);
    zombie.world().send_out::<QueryErrand>("second", 1);
    let first = zombie.called()[0].0;
    shared.pass(&[&heir], LEASE_MS + 2_000);
    let mut called = Vec::new();
    for _ in 0..10 {
        for (number, _, asking) in heir.called() {
            called.push(asking);
            let reaction = if asking { Reaction::UnknownId } else { Reaction::reply(json("done")) };
            heir.world().react(number, reaction);
        }
    }
    shared.awake(&zombie);
    zombie.world().answer(first, "this makes room for the second call");
    zombie.run();
    assert_eq!(zombie.called(), [], "it is not for it to call any more");
    assert_eq!(called, [true, false, true, false]);
    assert_eq!(heir.heard("query-errand", "second"), ["1: done"]);
}

#[test]
fn a_command_that_is_fenced_is_carried_out_by_the_new_instance_once() {
    let mut shared = SharedWorld::new();
    let [zombie, heir] = [shared.join(), shared.join()];
    shared.pass(&[&zombie, &heir], 1_000);
    let (shared, racing) = (shared.shared.clone(), heir.clone());
    zombie.meanwhile(move || {
        // It sleeps in the middle of its batch, and for longer than its lease.
        let mut world = racing.world();
        for _ in 0..2 {
            world.now_ms += LEASE_MS - 1_000;
            shared.set_now(world.now_ms);
            world.run();
        }
    });
    assert_eq!(take(&zombie, "once"), 1);
    assert_eq!(heir.copies("a"), ["once"]);
    assert_eq!(take(&heir, "twice"), 2);
}

#[test]
fn a_process_that_is_killed_leaves_its_effects_to_its_own_successor_too() {
    let mut shared = SharedWorld::new();
    let process = shared.join();
    let [idempotent, queryable, _] = send_out(&process);
    process.world().restart();
    shared.pass(&[&process], LEASE_MS - 1_000);
    assert_eq!(process.called(), [], "nobody knows yet that the instance before is dead");
    shared.pass(&[&process], 3_000);
    assert_eq!(process.called(), [(idempotent, 1, false), (queryable, 1, true)]);
    assert_eq!(heard(&process)[2], ["1: unknown"]);
}

#[test]
fn an_instance_that_cannot_prolong_its_lease_calls_nothing_in_its_second_half() {
    let mut shared = SharedWorld::with(Limits { calls: 1, ..Limits::default() });
    let process = shared.join();
    process.world().send_out::<Errand>("first", 1);
    process.world().send_out::<Errand>("second", 1);
    let first = process.called()[0].0;
    process.world().store.plan().failing_reads = usize::MAX;
    shared.pass(&[&process], LEASE_MS / 2 + 1_500);
    process.world().answer(first, "this makes room for the second call");
    assert_eq!(process.called(), [], "others may be about to make it");
    process.world().store.plan().failing_reads = 0;
    shared.pass(&[&process], 2_000);
    assert_eq!(process.called().len(), 1);
    assert_eq!(process.heard("errand", "first"), ["1: this makes room for the second call"]);
}
