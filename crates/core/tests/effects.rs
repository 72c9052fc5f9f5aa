//! Effects: run after their commit, answered once, and what an unknown outcome means for each kind of far side.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::store::Fate;
use common::system::{Errand, Go, OnceErrand, QueryErrand};
use common::world::{World, json, word};
use kernel::Reaction;
use pabal_core::{CommandError, Limits};

#[test]
fn an_effect_is_run_only_after_its_commit() {
    let mut world = World::new();
    world.store.plan().fates.push_back(Fate::Full);
    let full = world.command::<Errand>("a", Go::Out(1, "go".into(), None));
    assert!(matches!(full, Err(CommandError::Unavailable(_))));
    assert_eq!(world.called(), []);
    world.pass(1_000);
    assert_eq!(world.called(), [], "nobody has asked for it");
    world.send_out::<Errand>("a", 1);
    assert_eq!(world.called(), [(1, 1, false)]);
}

#[test]
fn an_answer_reaches_its_aggregate_exactly_once() {
    let mut world = World::new();
    world.send_out::<Errand>("a", 1);
    world.answer(1, "done");
    world.answer(1, "done again");
    assert_eq!(world.heard("errand", "a"), ["1: done"]);
    world.restart();
    world.pass(10_000);
    assert_eq!(world.called().len(), 0, "it has ended");
    assert_eq!(world.heard("errand", "a"), ["1: done"]);
    world.answer(77, "to no call of ours");
    assert_eq!(world.heard("errand", "a"), ["1: done"]);
}

#[test]
fn an_answer_that_could_not_be_committed_is_told_again_without_another_call() {
    let mut world = World::new();
    world.send_out::<Errand>("a", 1);
    world.called();
    world.store.plan().fates.extend([Fate::Full, Fate::Full]);
    world.answer(1, "done");
    assert_eq!(world.heard("errand", "a"), Vec::<String>::new());
    world.pass(1_000);
    assert_eq!(world.heard("errand", "a"), ["1: done"]);
    assert_eq!(world.called(), []);
}

#[test]
fn a_rejected_or_faulty_answer_ends_its_effect_and_does_not_stop_the_others() {
    let mut world = World::new();
    world.send_out::<Errand>("a", 2);
    world.command::<Errand>("b", Go::Out(1, "panic when answered".into(), None)).unwrap();
    world.answer(1, "refuse");
    world.react(3, Reaction::reply(json("done")));
    world.react(2, Reaction::reply(b"not json".to_vec()));
    assert_eq!(world.status().effects, 0);
    world.restart();
    world.called();
    world.pass(1_000);
    assert_eq!((world.called(), world.heard("errand", "a"), world.heard("errand", "b")), (vec![], vec![], vec![]));
}

#[test]
fn an_idempotent_far_side_is_called_again_with_the_same_id() {
    let mut world = World::new();
    world.send_out::<Errand>("a", 1);
    let id = world.calls[0].id.clone();
    world.react(1, Reaction::TimedOut);
    world.pass(100);
    assert_eq!(world.calls[1].id, id);
    assert_eq!(world.called(), [(1, 1, false), (1, 2, false)]);
    world.answer(1, "done");
    assert_eq!(world.heard("errand", "a"), ["1: done"]);
}

#[test]
fn the_pauses_between_calls_grow() {
    let mut world = World::new();
    world.send_out::<Errand>("a", 1);
    for pause_ms in [100, 200, 400, 800, 1_600, 3_200, 3_200] {
        world.called();
        world.react(1, Reaction::Unreachable);
        world.pass(pause_ms - 1);
        assert_eq!(world.called(), [], "not before {pause_ms} ms");
        world.pass(1);
        assert_eq!(world.called().len(), 1, "after {pause_ms} ms");
    }
    world.react(1, Reaction::Unreachable);
    assert_eq!(world.heard("errand", "a"), ["1: unreachable"]);
}

#[test]
fn a_queryable_far_side_is_asked_and_called_again_only_if_it_has_never_heard_of_it() {
    let mut world = World::new();
    world.send_out::<QueryErrand>("a", 2);
    assert_eq!(world.called(), [(1, 1, false), (2, 1, false)]);
    world.react(1, Reaction::TimedOut);
    world.react(2, Reaction::TimedOut);
    world.pass(100);
    assert_eq!(world.called(), [(1, 2, true), (2, 2, true)]);
    world.react(1, Reaction::UnknownId);
    assert_eq!(world.called(), [(1, 3, false)], "it is safe to call, and at once");
    world.answer(2, "done before");
    world.answer(1, "done now");
    assert_eq!(world.heard("query-errand", "a"), ["2: done before", "1: done now"]);
}

#[test]
fn a_query_that_does_not_arrive_remains_a_query() {
    let mut world = World::with(Limits { attempts: 3, ..Limits::default() });
    world.send_out::<QueryErrand>("a", 1);
    world.react(1, Reaction::TimedOut);
    world.pass(100);
    world.react(1, Reaction::Unreachable);
    world.pass(1_000);
    assert_eq!(world.called(), [(1, 1, false), (1, 2, true), (1, 3, true)]);
    world.react(1, Reaction::Unreachable);
    assert_eq!(world.heard("query-errand", "a"), ["1: unknown"], "the first call may have arrived");
}

#[test]
fn a_far_side_that_can_do_neither_is_never_called_twice() {
    let mut world = World::new();
    world.send_out::<OnceErrand>("a", 1);
    world.react(1, Reaction::TimedOut);
    world.pass(100_000);
    assert_eq!(world.called(), [(1, 1, false)]);
    assert_eq!(world.heard("once-errand", "a"), ["1: unknown"]);
}

#[test]
fn any_far_side_that_was_certainly_not_reached_is_tried_to_the_end() {
    let mut world = World::with(Limits { attempts: 3, ..Limits::default() });
    world.send_out::<Errand>("a", 1);
    world.send_out::<QueryErrand>("a", 1);
    world.send_out::<OnceErrand>("a", 1);
    for _ in 0..3 {
        for number in 1..=3 {
            world.react(number, Reaction::Unreachable);
        }
        world.pass(1_000);
    }
    assert_eq!(world.called().len(), 9);
    for name in ["errand", "query-errand", "once-errand"] {
        assert_eq!(world.heard(name, "a"), ["1: unreachable"], "{name}");
    }
}

#[test]
fn after_a_restart_each_kind_of_far_side_is_treated_as_it_can_bear() {
    let mut world = World::new();
    world.send_out::<Errand>("a", 1);
    world.send_out::<QueryErrand>("a", 1);
    world.send_out::<OnceErrand>("a", 1);
    world.restart();
    world.run();
    assert_eq!(world.called(), [(1, 1, false), (2, 1, true)], "called again, asked, left alone");
    assert_eq!(world.heard("once-errand", "a"), ["1: unknown"]);
    world.react(2, Reaction::UnknownId);
    assert_eq!(world.called(), [(2, 2, false)]);
    world.send_out::<OnceErrand>("b", 1);
    assert_eq!(world.called(), [(4, 1, false)], "what is new is called as ever");
}

#[test]
fn what_was_unknown_before_a_restart_is_not_certain_after_it() {
    let mut world = World::with(Limits { attempts: 1, ..Limits::default() });
    world.send_out::<Errand>("a", 1);
    world.restart();
    world.run();
    world.react(1, Reaction::Unreachable);
    assert_eq!(world.heard("errand", "a"), ["1: unknown"]);
}

#[test]
fn what_has_not_been_started_can_be_withdrawn_and_what_has_cannot() {
    let mut world = World::with(Limits { calls: 1, ..Limits::default() });
    world.send_out::<Errand>("a", 3);
    world.command::<Errand>("a", Go::Back).unwrap();
    assert_eq!(world.heard("errand", "a"), ["called back", "2: withdrawn", "3: withdrawn"]);
    world.answer(1, "done");
    world.pass(10_000);
    assert_eq!(world.called(), [(1, 1, false)]);
    assert_eq!(world.heard("errand", "a").last().unwrap(), "1: done");
}

#[test]
fn a_withdrawal_without_an_event_is_committed_too() {
    let mut world = World::with(Limits { calls: 1, ..Limits::default() });
    world.send_out::<Errand>("a", 2);
    let done = world.command::<Errand>("a", Go::BackSilently).unwrap();
    assert!(!done.changed);
    assert_eq!(world.heard("errand", "a"), ["2: withdrawn"]);
    world.answer(1, "done");
    assert_eq!(world.called(), [(1, 1, false)]);
}

#[test]
fn others_effects_are_not_withdrawn() {
    let mut world = World::with(Limits { calls: 1, ..Limits::default() });
    world.send_out::<Errand>("a", 1);
    world.send_out::<Errand>("b", 1);
    world.send_out::<QueryErrand>("a", 1);
    world.command::<Errand>("a", Go::Back).unwrap();
    world.answer(1, "done");
    world.answer(2, "done");
    assert_eq!(world.called(), [(1, 1, false), (2, 1, false), (3, 1, false)]);
}

#[test]
fn an_effect_can_be_withdrawn_in_the_batch_that_asks_for_it() {
    let mut world = World::new();
    world.ask::<Errand>("a", Go::Out(2, "go".into(), None));
    world.ask::<Errand>("a", Go::Back);
    world.run();
    assert_eq!(world.called(), []);
    assert_eq!(world.heard("errand", "a"), ["called back", "1: withdrawn", "2: withdrawn"]);
}

#[test]
fn a_decision_can_withdraw_what_was_and_ask_anew() {
    let mut world = World::with(Limits { calls: 1, ..Limits::default() });
    world.send_out::<Errand>("a", 2);
    world.command::<Errand>("a", Go::OutAgain).unwrap();
    assert_eq!(world.heard("errand", "a"), ["2: withdrawn"]);
    world.answer(1, "done");
    world.answer(3, "done");
    assert_eq!(world.called(), [(1, 1, false), (3, 1, false)], "the new one is not taken back with the old one");
    assert_eq!(world.heard("errand", "a"), ["2: withdrawn", "1: done", "3: done"]);
}

#[test]
fn a_withdrawn_effect_whose_call_certainly_did_not_arrive_is_not_called_again() {
    let mut world = World::new();
    world.send_out::<Errand>("a", 1);
    world.command::<Errand>("a", Go::Back).unwrap();
    world.react(1, Reaction::Unreachable);
    world.pass(10_000);
    assert_eq!(world.called(), [(1, 1, false)]);
    assert_eq!(world.heard("errand", "a"), ["called back", "1: withdrawn"]);
}

#[test]
fn a_withdrawn_effect_that_pauses_between_two_calls_is_taken_back_if_none_can_have_arrived() {
    let mut world = World::new();
    world.send_out::<Errand>("a", 1);
    world.send_out::<QueryErrand>("a", 1);
    world.react(1, Reaction::Unreachable);
    world.react(2, Reaction::TimedOut);
    world.called();
    world.command::<Errand>("a", Go::Back).unwrap();
    world.command::<QueryErrand>("a", Go::Back).unwrap();
    world.pass(1_000);
    assert_eq!(world.called(), [(2, 2, true)]);
    world.react(2, Reaction::UnknownId);
    assert_eq!(world.heard("errand", "a"), ["called back", "1: withdrawn"]);
    assert_eq!(world.heard("query-errand", "a"), ["called back", "1: withdrawn"]);
    assert_eq!(world.called(), []);
}

#[test]
fn an_effect_withdrawn_before_a_restart_is_asked_about_and_not_called() {
    let mut world = World::with(Limits { calls: 1, ..Limits::default() });
    world.send_out::<QueryErrand>("a", 2);
    world.ask::<QueryErrand>("a", Go::Back);
    world.turn();
    world.called();
    world.restart();
    world.run();
    assert_eq!(world.called(), [(1, 1, true)], "it may have been called by the process before");
    world.react(1, Reaction::UnknownId);
    world.react(2, Reaction::UnknownId);
    assert_eq!(world.called(), [(2, 1, true)]);
    assert_eq!(world.heard("query-errand", "a"), ["called back", "1: withdrawn", "2: withdrawn"]);
}

#[test]
fn an_effect_withdrawn_right_after_a_restart_is_asked_about_and_not_called() {
    let mut world = World::with(Limits { calls: 1, ..Limits::default() });
    world.send_out::<QueryErrand>("a", 2);
    world.called();
    world.restart();
    world.command::<QueryErrand>("a", Go::Back).unwrap();
    for number in 1..=2 {
        world.react(number, Reaction::UnknownId);
    }
    world.pass(10_000);
    assert_eq!(world.called(), [(1, 1, true), (2, 1, true)]);
    assert_eq!(world.heard("query-errand", "a"), ["called back", "1: withdrawn", "2: withdrawn"]);
}

#[test]
fn later_words_become_timers_and_survive_a_restart() {
    let mut world = World::new();
    world.send_out::<Errand>("a", 1);
    let later = vec![word(0, "at once"), word(1_000, "a second"), word(2_000, "two seconds")];
    world.react(1, Reaction::Reply { now: json("done"), later });
    assert_eq!(world.heard("errand", "a"), ["1: done", "1: at once"]);
    world.pass(999);
    world.restart();
    world.run();
    assert_eq!(world.heard("errand", "a").len(), 2);
    world.pass(1);
    assert_eq!(world.heard("errand", "a").last().unwrap(), "1: a second");
    world.restart();
    world.pass(60_000);
    assert_eq!(world.heard("errand", "a"), ["1: done", "1: at once", "1: a second", "1: two seconds"]);
    assert_eq!(world.called().iter().filter(|call| call.0 == 1).count(), 0, "nobody was called for them");
}

/// One call a tenth of a second, two at first.
fn with_a_lane() -> World {
    World::with(Limits { lanes: vec![("messenger".into(), "slow".into(), 10.0, 2.0)], ..Limits::default() })
}

#[test]
fn effects_of_a_lane_leave_no_faster_than_its_rate_and_in_their_order() {
    let mut world = with_a_lane();
    world.command::<Errand>("a", Go::Out(5, "go".into(), Some("slow".into()))).unwrap();
    world.command::<Errand>("b", Go::Out(3, "go".into(), Some("other".into()))).unwrap();
    world.command::<Errand>("c", Go::Out(3, "go".into(), None)).unwrap();
    let numbers = |world: &mut World| world.called().into_iter().map(|call| call.0).collect::<Vec<_>>();
    assert_eq!(numbers(&mut world), [1, 2, 6, 7, 8, 9, 10, 11]);
    world.pass(99);
    assert!(numbers(&mut world).is_empty());
    world.pass(1);
    assert_eq!(numbers(&mut world), [3]);
    world.pass(200);
    assert_eq!(numbers(&mut world), [4, 5]);
}

#[test]
fn what_waits_for_its_lane_can_be_withdrawn() {
    let mut world = with_a_lane();
    world.command::<Errand>("a", Go::Out(4, "go".into(), Some("slow".into()))).unwrap();
    world.command::<Errand>("a", Go::Back).unwrap();
    world.pass(10_000);
    assert_eq!(world.called().len(), 2);
    assert_eq!(world.heard("errand", "a"), ["called back", "3: withdrawn", "4: withdrawn"]);
}

#[test]
fn more_effects_than_fit_in_memory_all_run_in_their_order() {
    let mut world = World::with(Limits { effects: 4, calls: 2, ..Limits::default() });
    for place in 0..10 {
        world.ask::<Errand>(&format!("e-{place}"), Go::Out(3, "go".into(), None));
    }
    world.run();
    let mut order = Vec::new();
    for _ in 0..100 {
        let calls = world.called();
        assert!(calls.len() <= 2);
        for (number, ..) in calls {
            order.push(number);
            world.answer(number, "done");
        }
    }
    assert_eq!(order, (1..=30).collect::<Vec<u64>>());
    assert!((0..10).all(|place| world.heard("errand", &format!("e-{place}")).len() == 3));
}

#[test]
fn what_did_not_fit_in_memory_can_be_withdrawn_and_survives_a_restart() {
    let mut world = World::with(Limits { effects: 2, calls: 1, ..Limits::default() });
    world.send_out::<Errand>("a", 5);
    world.send_out::<Errand>("b", 5);
    world.command::<Errand>("a", Go::Back).unwrap();
    world.answer(1, "done");
    assert_eq!(world.heard("errand", "a").len(), 6);
    world.called();
    world.restart();
    world.run();
    for number in 6..=10 {
        world.answer(number, "done");
    }
    assert_eq!(world.called(), (6..=10).map(|number| (number, 1, false)).collect::<Vec<_>>());
    assert_eq!(world.heard("errand", "b").len(), 5);
}
