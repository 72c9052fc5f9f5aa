//! Failures of a store: it is full, rejects, does not answer, or is damaged. Nothing accepted is lost, and no item blocks others.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::store::Fate;
use common::system::{Do, Errand, Go, Note};
use common::world::{World, once};
use pabal_core::{CommandError, Input, Limits};

const COPIES: &str = "office.copies";
const BOOK: &str = "office.book.lines";

fn unavailable(result: &Result<pabal_core::CommandOutcome, CommandError>) -> bool {
    matches!(result, Err(CommandError::Unavailable(_)))
}

#[test]
fn while_the_store_is_full_commands_are_unavailable_and_nothing_else_is_lost() {
    let mut world = World::new();
    world.send_out::<Errand>("e", 1);
    let due_ms = world.now_ms + 100;
    world.command::<Note>("t", Do::Later("t".into(), due_ms, "due".into())).unwrap();
    world.write("p", "gated").unwrap();
    world.open_the_gate();
    world.store.plan().fates.extend([Fate::Full; 6]);
    assert!(unavailable(&world.write("a", "one")));
    assert!(!world.status().healthy && world.status().cause.unwrap().contains("full"));
    world.answer(1, "done");
    world.pass(1_000);
    assert!(unavailable(&world.write("a", "two")), "still full");
    world.pass(3_000);
    assert!(world.store.plan().fates.is_empty());
    assert_eq!((world.note("a"), world.note("t").as_deref()), (None, Some("due")));
    assert_eq!((world.heard("errand", "e"), world.copies("p")), (vec!["1: done".into()], vec!["gated".into()]));
    assert_eq!(world.write("a", "three").unwrap().id, 3, "what was not committed has used up nothing");
}

#[test]
fn an_idle_core_finds_out_by_itself_that_the_store_works_again() {
    let mut world = World::new();
    world.store.plan().fates.extend([Fate::Full; 3]);
    assert!(unavailable(&world.write("a", "one")));
    assert!(!world.status().healthy);
    world.pass(2_000);
    assert!(world.status().healthy, "{:?}", world.status());
    let commits = world.store.plan().commits;
    world.pass(50_000);
    assert_eq!(world.store.plan().commits, commits, "and is quiet then");
}

#[test]
fn a_repetition_after_unavailable_is_carried_out() {
    let mut world = World::new();
    let send = |world: &mut World| {
        let mut queued = world.request::<Note>("a", Do::Write("one".into()));
        queued.request.idempotency = Some(once("k", "one"));
        world.done(queued)
    };
    world.store.plan().fates.push_back(Fate::Full);
    assert!(unavailable(&send(&mut world)));
    assert!(!send(&mut world).unwrap().replayed);
    assert!(send(&mut world).unwrap().replayed);
}

#[test]
fn a_store_that_does_not_read_makes_commands_unavailable_and_loses_nothing() {
    let mut world = World::new();
    world.write("a", "one").unwrap();
    world.restart();
    world.run();
    world.store.plan().failing_reads = 1;
    assert!(unavailable(&world.write("a", "two")));
    assert_eq!(world.write("a", "three").unwrap().version, 2);
    world.pause("copies", true);
    world.write("a", "four").unwrap();
    world.store.plan().failing_reads = 3;
    world.pause("copies", false);
    world.pass(5_000);
    assert_eq!(world.copies("a"), ["one", "three", "four"]);
}

#[test]
fn a_rejected_batch_is_bisected_down_to_the_culprit() {
    let mut world = World::new();
    world.store.plan().refused_key = Some("n-5".into());
    let tickets: Vec<u64> = (0..9).map(|place| world.ask_to_write(&format!("n-{place}"), "finish")).collect();
    world.run();
    for (place, ticket) in tickets.into_iter().enumerate() {
        let result = world.reply(ticket);
        assert_eq!(matches!(result, Err(CommandError::Fault(_))), place == 5, "{place}: {result:?}");
        let copies: &[&str] = if place == 5 { &[] } else { &["finish", "stamped"] };
        assert_eq!(world.copies(&format!("n-{place}")), copies);
    }
    assert!(world.status().healthy);
    world.store.plan().refused_key = None;
    let commits = world.store.plan().commits;
    for place in 0..9 {
        world.ask_to_write(&format!("m-{place}"), "one");
    }
    world.run();
    assert!(world.store.plan().commits - commits < 9, "batches grow again");
}

#[test]
fn a_rejected_event_is_parked_and_the_command_that_led_to_it_succeeds() {
    for batch_items in [1, 512] {
        let mut world = World::with(Limits { batch_items, ..Limits::default() });
        world.write("a", "one").unwrap();
        assert!(world.write("b", "same-id").is_ok(), "the view has that id already");
        let mut queued = world.request::<Note>("c", Do::Write("same-id".into()));
        queued.request.give_id = Some(33);
        assert_eq!(world.done(queued).unwrap().id, 33);
        let parked = world.parked(BOOK);
        assert!(parked.len() == 2 && parked.iter().all(|row| row.dead && row.cause.contains("taken")), "{parked:?}");
        assert_eq!(
            (world.line("b"), world.copies("b"), world.copies("c")),
            (vec![], vec!["same-id".into()], vec!["same-id".into()])
        );
        world.write("d", "one").unwrap();
        assert_eq!((world.line("d"), world.position(BOOK)), (vec!["one".into()], world.status().last_seq));
    }
}

#[test]
fn a_rejected_timer_is_a_dead_letter_and_does_not_block_the_others() {
    let mut world = World::new();
    let due_ms = world.now_ms + 1_000;
    for key in ["a", "b"] {
        world.command::<Note>(key, Do::Later("t".into(), due_ms, "due".into())).unwrap();
    }
    world.store.plan().refused_key = Some("a".into());
    world.pause("copies", true);
    world.write("c", "one").unwrap();
    world.now_ms = due_ms;
    world.pause("copies", false);
    world.pass(2_000);
    assert_eq!((world.note("a"), world.note("b").as_deref()), (None, Some("due")));
    assert_eq!(world.copies("c"), ["one"]);
    world.store.plan().refused_key = None;
    world.restart();
    world.redrive("office.desk@timers", "note/a/t");
    assert_eq!(world.note("a").as_deref(), Some("due"), "it is late, and not lost");
}

#[test]
fn a_rejected_answer_is_a_dead_letter_and_does_not_block_the_others() {
    let mut world = World::new();
    world.send_out::<Errand>("a", 1);
    world.send_out::<Errand>("b", 1);
    world.called();
    world.store.plan().refused_key = Some("a".into());
    world.answer(1, "done");
    world.answer(2, "done");
    world.write("c", "one").unwrap();
    world.pass(5_000);
    assert_eq!((world.heard("errand", "a"), world.heard("errand", "b")), (vec![], vec!["1: done".into()]));
    assert!(world.status().healthy);
    world.store.plan().refused_key = None;
    world.redrive("office.errands@answers", "errand/a");
    assert_eq!((world.heard("errand", "a"), world.called()), (vec!["1: done".into()], vec![]));
}

#[test]
fn a_damaged_row_fails_its_own_items_alone() {
    let mut world = World::new();
    world.write("bad", "one").unwrap();
    world.send_out::<Errand>("bad", 1);
    let due_ms = world.now_ms + 100;
    world.command::<Note>("bad", Do::Later("t".into(), due_ms, "due".into())).unwrap();
    world.restart();
    world.store.plan().damaged_key = Some("bad".into());
    world.run();
    let tickets = ["a", "bad", "b"].map(|key| world.ask_to_write(key, "two"));
    world.answer(1, "done");
    world.pass(5_000);
    let [a, bad, b] = tickets.map(|ticket| world.reply(ticket));
    assert!(matches!(bad, Err(CommandError::Fault(cause)) if cause.contains("damaged")));
    assert!(a.is_ok() && b.is_ok());
    assert!(world.status().healthy, "{:?}", world.status());
    assert_eq!((world.copies("a"), world.copies("b")), (vec!["two".into()], vec!["two".into()]));
    world.store.plan().damaged_key = None;
    world.redrive("office.desk@timers", "note/bad/t");
    world.redrive("office.errands@answers", "errand/bad");
    assert_eq!((world.note("bad").as_deref(), world.heard("errand", "bad")), (Some("due"), vec!["1: done".into()]));
}

#[test]
fn an_event_whose_row_is_damaged_is_parked() {
    let mut world = World::new();
    world.write("bad", "one").unwrap();
    world.pause("copies", true);
    world.write("bad", "two").unwrap();
    world.write("a", "two").unwrap();
    world.restart();
    world.store.plan().damaged_key = Some("bad".into());
    world.pass(1_000);
    assert_eq!(world.copies("a"), ["two"]);
    let parked = world.parked(COPIES);
    assert!(parked.len() == 1 && parked[0].dead && parked[0].cause.contains("damaged"), "{parked:?}");
    world.store.plan().damaged_key = None;
    world.input(Input::Redrive { subscription: COPIES.into(), key: "bad".into() });
    world.run();
    assert_eq!(world.copies("bad"), ["one", "two"]);
}

#[test]
fn a_commit_of_unknown_outcome_that_was_applied_is_answered_as_such() {
    for silent_for in [0, 3] {
        let mut world = World::new();
        world.store.plan().fates.push_back(Fate::AppliedUnheard);
        world.store.plan().failing_questions = silent_for;
        let ticket = world.ask::<Errand>("a", Go::Out(1, "go".into(), None));
        world.run();
        assert_eq!((world.replies.len(), world.called().len()), if silent_for == 0 { (1, 1) } else { (0, 0) });
        let next = world.ask_to_write("b", "one");
        world.pass(2_000);
        assert!(world.reply(ticket).is_ok());
        let next = world.reply(next);
        assert!(if silent_for == 0 { next.is_ok() } else { unavailable(&next) }, "nobody waits for the outcome: {next:?}");
        assert_eq!(world.log().iter().filter(|(name, _)| name == "Went").count(), 1);
    }
}

#[test]
fn a_commit_of_unknown_outcome_that_was_lost_is_unavailable() {
    for silent_for in [0, 3] {
        let mut world = World::new();
        world.send_out::<Errand>("e", 1);
        world.store.plan().fates.push_back(Fate::LostUnheard);
        world.store.plan().failing_questions = silent_for;
        let ticket = world.ask::<Errand>("a", Go::Out(1, "go".into(), None));
        world.answer(1, "done");
        world.pass(2_000);
        assert!(unavailable(&world.reply(ticket)));
        assert_eq!(world.heard("errand", "e"), ["1: done"], "what came from inside is done again");
        assert_eq!((world.heard("errand", "a"), world.called().len()), (vec![], 1));
        assert!(world.write("b", "one").is_ok());
    }
}

#[test]
fn a_process_that_dies_in_a_commit_of_unknown_outcome_goes_on_from_what_there_is() {
    for fate in [Fate::AppliedUnheard, Fate::LostUnheard] {
        let mut world = World::new();
        world.store.plan().fates.push_back(fate);
        world.store.plan().failing_questions = 1;
        world.ask_to_write("a", "one");
        world.turn();
        world.restart();
        world.run();
        let there = fate == Fate::AppliedUnheard;
        assert_eq!(world.copies("a").len(), usize::from(there));
        assert_eq!(world.write("b", "one").unwrap().id, if there { 2 } else { 1 });
    }
}

#[test]
fn a_discard_that_meets_a_full_store_is_done_afterwards() {
    let mut world = World::new();
    world.write("a", "unreadable").unwrap();
    world.write("a", "two").unwrap();
    let place = world.parked(COPIES)[0].position;
    world.store.plan().fates.push_back(Fate::Full);
    world.input(Input::Discard { subscription: COPIES.into(), key: "a".into(), position: place });
    world.pass(1_000);
    assert_eq!((world.parked(COPIES), world.copies("a")), (vec![], vec!["two".into()]));
}

#[test]
fn where_others_write_too_rows_are_read_again_after_every_batch_also_one_that_came_to_nothing() {
    for shared in [true, false] {
        let mut world = World::new();
        world.store.plan().shared = shared;
        world.write("a", "one").unwrap();
        world.store.plan().fates.push_back(Fate::Full);
        assert!(unavailable(&world.write("a", "two")));
        let loads = world.store.plan().loads;
        world.write("a", "three").unwrap();
        assert_eq!(world.store.plan().loads > loads, shared);
        assert_eq!(world.copies("a"), ["one", "three"]);
    }
}
