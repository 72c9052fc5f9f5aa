//! Events reaching subscriptions: in order by key, whatever one of them does, and whatever a service does to its own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::system::{Copied, CopyDo, Do, Note};
use common::world::World;
use pabal_core::{CommandError, Limits};

const COPIES: &str = "office.copies";
const BOOK: &str = "office.book.lines";

/// Attempts, dead, and the number of those that are parked under a subscription.
fn head(world: &World, subscription: &str) -> (u32, bool, usize) {
    let parked = world.parked(subscription);
    parked.first().map_or((0, false, 0), |head| (head.attempts, head.dead, parked.len()))
}

#[test]
fn events_of_a_key_reach_policies_and_views_in_their_order() {
    for batch_items in [1, 2, 512] {
        let mut world = World::with(Limits { batch_items, ..Limits::default() });
        for text in ["one", "two", "three", "four"] {
            for key in ["a", "b"] {
                world.ask_to_write(key, text);
            }
        }
        world.run();
        for key in ["a", "b"] {
            assert_eq!(world.copies(key), ["one", "two", "three", "four"]);
            assert_eq!(world.line(key), ["one", "two", "three", "four"]);
        }
        assert_eq!((world.position(COPIES), world.position(BOOK)), (16, 16));
        assert!(world.status().subscriptions.iter().all(|subscription| subscription.lag == 0));
    }
}

#[test]
fn what_follows_from_an_event_names_it_as_its_cause() {
    let mut world = World::new();
    let mut queued = world.request::<Note>("a", Do::Write("finish".into()));
    (queued.request.cause.actor, queued.request.cause.trace) = ("somebody".into(), "a trace".into());
    world.done(queued).unwrap();
    let all = ports::LogQuery { limit: 100, ..Default::default() };
    let log = ports::Reader::log(&world.reader, &all).unwrap();
    let names: Vec<&str> = log.iter().map(|record| record.event_type.as_str()).collect();
    assert_eq!(names, ["Written", "Taken", "Finished", "Taken"]);
    let causes: Vec<&str> = log.iter().map(|record| record.cause.causation.as_str()).collect();
    assert_eq!(causes, ["", &log[0].id, &log[0].id, &log[2].id]);
    assert!(log.iter().all(|record| record.cause.actor == "somebody" && record.cause.trace == "a trace"));
}

#[test]
fn a_subscription_that_is_behind_catches_up_from_the_log_after_a_restart() {
    let mut world = World::with(Limits { backlog: 4, batch_items: 3, ..Limits::default() });
    world.pause("copies", true);
    for text in ["one", "two", "three"] {
        for key in ["a", "b", "c"] {
            world.write(key, text).unwrap();
        }
    }
    assert_eq!(world.copies("a"), Vec::<String>::new());
    world.restart();
    world.turn();
    world.restart();
    world.run();
    for key in ["a", "b", "c"] {
        assert_eq!(world.copies(key), ["one", "two", "three"]);
    }
}

#[test]
fn a_batch_of_more_events_than_it_may_handle_is_finished_from_the_log() {
    let (few, small) = (Limits { batch_events: 2, ..Limits::default() }, Limits { batch_bytes: 1, ..Limits::default() });
    for (limits, handled) in [(few, 10), (small, 0)] {
        let mut world = World::with(limits);
        for place in 0..10 {
            world.ask_to_write(&format!("n-{place}"), "finish");
        }
        world.turn();
        assert_eq!(world.position(COPIES), handled, "the events of the commands at most, and not those that followed");
        assert_eq!(world.copies("n-3").len(), usize::from(handled > 0));
        world.run();
        assert!((0..10).all(|place| world.copies(&format!("n-{place}")) == ["finish", "stamped"]));
    }
}

#[test]
fn an_unreadable_event_is_dead_at_once_and_later_ones_of_its_key_wait() {
    let mut world = World::new();
    for text in ["one", "unreadable", "two"] {
        world.write("a", text).unwrap();
        world.write("b", &format!("{text}, not quite")).unwrap();
    }
    for subscription in [COPIES, BOOK] {
        assert_eq!(head(&world, subscription), (1, true, 2));
        let parked = world.parked(subscription);
        assert!(parked[0].cause.contains("unreadable") && parked[1].attempts == 0 && !parked[1].dead);
    }
    assert_eq!((world.copies("a"), world.copies("b").len()), (vec!["one".into()], 3));
    assert_eq!((world.line("a"), world.line("b").len()), (vec!["one".into()], 3));
    assert_eq!((world.status().parked_keys, world.status().dead_keys), (2, 2));
    world.pass(1_000_000);
    assert_eq!(head(&world, COPIES), (1, true, 2), "it is not tried again by itself");
}

#[test]
fn a_rejection_for_which_the_policy_names_nothing_is_a_dead_letter_at_once() {
    let mut world = World::new();
    world.write("a", "refuse").unwrap();
    assert_eq!(head(&world, COPIES), (1, true, 1));
    assert!(world.parked(COPIES)[0].cause.contains("copy: rejected, no"));
    assert_eq!(head(&world, BOOK).2, 0);
}

#[test]
fn an_event_that_panics_is_tried_again_after_its_pauses_and_is_then_dead() {
    for text in ["panic-policy", "gated"] {
        let mut world = World::new();
        world.write("a", text).unwrap();
        world.write("a", "two").unwrap();
        for (attempts, pause_ms) in [(1, 1_000), (2, 10_000), (3, 60_000)] {
            assert_eq!(head(&world, COPIES), (attempts, false, 2));
            world.pass(pause_ms - 1);
            assert_eq!(head(&world, COPIES), (attempts, false, 2), "{text}: not before {pause_ms} ms");
            world.pass(1);
        }
        assert_eq!(head(&world, COPIES), (4, true, 2));
        world.pass(1_000_000);
        assert_eq!((head(&world, COPIES), world.copies("a")), ((4, true, 2), vec![]));
    }
}

#[test]
fn a_view_that_panics_parks_its_own_key_alone() {
    for text in ["panic-view", "panic-field"] {
        let mut world = World::new();
        world.write("a", text).unwrap();
        world.write("b", "one").unwrap();
        assert_eq!(head(&world, BOOK), (1, false, 1), "{text}");
        assert_eq!((world.line("a"), world.line("b")), (vec![], vec!["one".to_owned()]));
        assert_eq!(world.copies("a"), [text], "the other subscriptions have it");
    }
}

#[test]
fn an_event_that_succeeds_at_last_lets_the_later_ones_follow_in_order() {
    let mut world = World::new();
    world.write("a", "gated").unwrap();
    world.write("a", "two").unwrap();
    world.write("a", "three").unwrap();
    world.pass(1_000);
    world.open_the_gate();
    world.pass(10_000);
    assert_eq!(world.copies("a"), ["gated", "two", "three"]);
    assert_eq!(world.parked(COPIES), []);
    world.write("a", "four").unwrap();
    assert_eq!(world.copies("a").last().unwrap(), "four");
}

#[test]
fn a_redriven_key_is_handled_from_its_head_in_order() {
    let mut world = World::with(Limits { event_retries_ms: vec![], batch_items: 3, ..Limits::default() });
    for text in ["gated", "two", "three", "four", "five", "six"] {
        world.write("a", text).unwrap();
    }
    assert_eq!(head(&world, COPIES), (1, true, 6));
    world.redrive(COPIES, "a");
    assert_eq!(head(&world, COPIES), (2, true, 6), "the gate is still closed");
    world.open_the_gate();
    world.redrive(COPIES, "nobody");
    world.redrive("nobody", "a");
    assert_eq!(head(&world, COPIES), (2, true, 6));
    world.redrive(COPIES, "a");
    assert_eq!(world.copies("a"), ["gated", "two", "three", "four", "five", "six"]);
    assert_eq!((world.parked(COPIES), world.status().parked_keys), (vec![], 0));
}

#[test]
fn parked_events_keep_their_order_through_a_restart_and_none_is_lost() {
    let mut world = World::with(Limits { event_retries_ms: vec![], ..Limits::default() });
    for text in ["gated", "two", "three"] {
        world.write("a", text).unwrap();
    }
    world.restart();
    for text in ["four", "five"] {
        world.write("a", text).unwrap();
    }
    let places: Vec<u64> = world.parked(COPIES).iter().map(|row| row.position).collect();
    assert!(places.len() == 5 && places.is_sorted(), "{places:?}");
    assert_eq!((world.status().parked_keys, world.status().dead_keys), (1, 1));
    world.open_the_gate();
    world.redrive(COPIES, "a");
    assert_eq!(world.copies("a"), ["gated", "two", "three", "four", "five"]);
}

#[test]
fn a_retry_that_was_due_survives_a_restart() {
    let mut world = World::new();
    world.write("a", "gated").unwrap();
    world.open_the_gate();
    world.restart();
    world.pass(999);
    assert_eq!(world.copies("a"), Vec::<String>::new());
    world.pass(1);
    assert_eq!(world.copies("a"), ["gated"]);
}

#[test]
fn a_second_failure_behind_a_redriven_head_parks_what_is_left() {
    let mut world = World::with(Limits { event_retries_ms: vec![], ..Limits::default() });
    for text in ["gated", "two", "refuse", "four"] {
        world.write("a", text).unwrap();
    }
    world.open_the_gate();
    world.redrive(COPIES, "a");
    assert_eq!(world.copies("a"), ["gated", "two"]);
    assert_eq!(head(&world, COPIES), (1, true, 2));
    let place = world.parked(COPIES)[0].position;
    world.discard(COPIES, "a", place);
    assert_eq!(world.copies("a"), ["gated", "two", "four"]);
}

#[test]
fn discarding_the_head_goes_on_with_the_next() {
    let mut world = World::new();
    for text in ["unreadable", "two", "three"] {
        world.write("a", text).unwrap();
    }
    let place = world.parked(COPIES)[0].position;
    world.discard(COPIES, "a", place);
    assert_eq!((world.copies("a"), world.parked(COPIES)), (vec!["two".into(), "three".into()], vec![]));
    assert_eq!(head(&world, BOOK), (1, true, 3), "the view's is another matter");
}

#[test]
fn discarding_another_place_than_the_heads_discards_nothing_and_tries_nothing() {
    let mut world = World::with(Limits { event_retries_ms: vec![], ..Limits::default() });
    for text in ["gated", "two", "three"] {
        world.write("a", text).unwrap();
    }
    world.open_the_gate();
    let second = world.parked(COPIES)[1].position;
    for place in [0, second, 1_000] {
        world.discard(COPIES, "a", place);
        assert_eq!(head(&world, COPIES), (1, true, 3), "place {place}");
        assert_eq!(world.copies("a"), Vec::<String>::new());
    }
}

#[test]
fn a_rejection_is_ignored_or_compensated_as_its_policy_declares() {
    let mut world = World::new();
    world.write("a", "refuse, or nothing").unwrap();
    world.write("a", "refuse, or something else").unwrap();
    assert_eq!((world.copies("a"), world.parked(COPIES)), (vec!["something else".into()], vec![]));
    world.write("a", "refuse, or refuse").unwrap();
    assert_eq!(head(&world, COPIES), (1, true, 1));
    assert!(world.parked(COPIES)[0].cause.contains("compensation"));
}

#[test]
fn an_event_that_fails_halfway_leaves_nothing_of_its_first_half() {
    let mut world = World::new();
    world.write("a", "refuse the second").unwrap();
    assert_eq!((world.copies("first"), head(&world, COPIES)), (vec![], (1, true, 1)));
    assert_eq!(world.log(), [("Written".to_owned(), "a".to_owned())]);
}

#[test]
fn a_paused_service_takes_nothing_its_log_waits_and_the_others_go_on() {
    for (service, subscription, other) in [("copies", COPIES, BOOK), ("book", BOOK, COPIES)] {
        let mut world = World::new();
        world.write("a", "one").unwrap();
        world.pause(service, true);
        let before = world.position(subscription);
        world.write("a", "two").unwrap();
        world.pass(10_000);
        assert_eq!(world.position(subscription), before);
        assert_eq!(world.position(other), world.status().last_seq);
        let status = world.status();
        assert!(status.subscriptions.iter().any(|place| place.name == subscription && place.lag > 0));
        world.pause(service, false);
        world.run();
        assert_eq!((world.copies("a"), world.line("a")), (vec!["one".into(), "two".into()], vec!["one".into(), "two".into()]));
    }
}

#[test]
fn a_paused_service_takes_no_commands_whether_it_has_subscriptions_or_not() {
    let mut world = World::new();
    world.pause("desk", true);
    world.pause("nobody", true);
    assert!(matches!(world.write("a", "one"), Err(CommandError::Unavailable(cause)) if cause.contains("paused")));
    assert!(world.command::<Copied>("a", CopyDo::Take("one".into())).is_ok());
    world.pause("desk", false);
    assert!(world.write("a", "one").is_ok());
}

#[test]
fn a_paused_services_parked_events_wait_without_keeping_the_core_busy_or_others_waiting() {
    let mut world = World::with(Limits { batch_items: 2, ..Limits::default() });
    for place in 0..5 {
        world.write(&format!("n-{place}"), "panic-view").unwrap();
    }
    world.pause("book", true);
    world.write("a", "gated").unwrap();
    world.open_the_gate();
    world.pass(5_000);
    assert_eq!(world.copies("a"), ["gated"]);
    assert!(world.parked(BOOK).iter().all(|row| row.attempts == 1));
    world.pause("book", false);
    world.run();
    assert!(world.parked(BOOK).iter().filter(|row| row.attempts == 2).count() == 5);
}

#[test]
fn subscriptions_that_are_behind_catch_up_side_by_side() {
    let mut world = World::with(Limits { batch_items: 4, backlog: 8, ..Limits::default() });
    world.pause("copies", true);
    world.pause("book", true);
    for place in 0..40 {
        world.write(&format!("n-{place}"), "one").unwrap();
    }
    world.pause("copies", false);
    world.pause("book", false);
    for _ in 0..6 {
        world.turn();
    }
    assert!(world.position(COPIES) > 0 && world.position(BOOK) > 0, "neither waits for the other's end");
    world.run();
    assert_eq!((world.position(COPIES), world.position(BOOK)), (80, 80));
}

#[test]
fn old_events_go_only_once_every_subscription_has_passed_them() {
    let mut world = World::with(Limits { retention_ms: Some(1_000), ..Limits::default() });
    world.pause("book", true);
    world.write("a", "one").unwrap();
    world.pass(120_000);
    assert_eq!(world.log().len(), 2);
    world.pause("book", false);
    world.pass(120_000);
    assert_eq!((world.log().len(), world.line("a")), (0, vec!["one".into()]));
    world.restart();
    world.write("a", "two").unwrap();
    assert_eq!((world.line("a").len(), world.copies("a").len(), world.log().len()), (2, 2, 2));
}
