//! Commands: what they come to, what they expect, and what is remembered of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::store::Fate;
use common::system::{Copied, CopyDo, Do, Errand, Go, Note, Unwritable};
use common::world::{World, once, until_heard};
use pabal_core::{CommandError, Limits};

#[test]
fn a_command_creates_changes_or_finds_nothing_to_do() {
    let mut world = World::new();
    let created = world.write("a", "one").unwrap();
    assert_eq!((created.created, created.changed, created.id, created.version), (true, true, 1, 1));
    assert_eq!(created.state.as_deref(), Some(r#"{"text":"one"}"#));
    let changed = world.write("a", "two").unwrap();
    assert_eq!((changed.created, changed.changed, changed.id, changed.version), (false, true, 1, 2));
    let commits = world.store.plan().commits;
    let unchanged = world.write("a", "two").unwrap();
    assert_eq!((unchanged.created, unchanged.changed, unchanged.version), (false, false, 2));
    assert_eq!(world.store.plan().commits, commits, "nothing to write, nothing to commit");
}

#[test]
fn a_private_event_changes_the_state_and_stays_out_of_the_log() {
    let mut world = World::new();
    let hidden = world.command::<Note>("a", Do::Hide("secret".into())).unwrap();
    assert_eq!((hidden.changed, hidden.version), (true, 1));
    assert_eq!(world.note("a").as_deref(), Some("secret"));
    assert_eq!(world.log(), []);
    assert_eq!(world.line("a"), Vec::<String>::new());
}

#[test]
fn what_must_exist_and_does_not_is_absent() {
    let mut world = World::new();
    let mut queued = world.request::<Note>("a", Do::Write("one".into()));
    queued.request.must_exist = true;
    assert_eq!(world.done(queued), Err(CommandError::Absent));
    assert_eq!(world.note("a"), None);
}

#[test]
fn another_version_than_expected_is_stale() {
    let mut world = World::new();
    world.write("a", "one").unwrap();
    for (expected, text, stale) in [(2, "two", true), (1, "three", false), (1, "four", true)] {
        let mut queued = world.request::<Note>("a", Do::Write(text.into()));
        queued.request.expected_version = Some(expected);
        assert_eq!(world.done(queued).err(), stale.then_some(CommandError::Stale), "{text}");
    }
    assert_eq!(world.note("a").as_deref(), Some("three"));
}

#[test]
fn the_second_of_two_writers_of_one_batch_is_stale() {
    let mut world = World::new();
    world.write("a", "one").unwrap();
    let tickets = ["two", "three"].map(|text| {
        let mut queued = world.request::<Note>("a", Do::Write(text.into()));
        queued.request.expected_version = Some(1);
        world.hand_in(queued)
    });
    world.run();
    assert!(world.reply(tickets[0]).is_ok());
    assert_eq!(world.reply(tickets[1]), Err(CommandError::Stale));
}

#[test]
fn a_rejected_command_writes_nothing() {
    let mut world = World::new();
    world.write("a", "one").unwrap();
    let commits = world.store.plan().commits;
    assert!(matches!(world.command::<Note>("a", Do::Refuse), Err(CommandError::Rejected(rejected)) if rejected.code == "no"));
    assert_eq!((world.note("a").as_deref(), world.log().len()), (Some("one"), 2));
    assert_eq!(world.store.plan().commits, commits);
}

#[test]
fn a_panicking_decision_is_a_fault_of_its_command_alone() {
    let mut world = World::new();
    let first = world.ask_to_write("a", "one");
    let panics = world.ask::<Note>("b", Do::Panic);
    let last = world.ask_to_write("c", "three");
    world.run();
    assert!(matches!(world.reply(panics), Err(CommandError::Fault(cause)) if cause.contains("note")));
    assert!(world.reply(first).is_ok() && world.reply(last).is_ok());
    assert_eq!((world.note("a").as_deref(), world.note("b"), world.note("c").as_deref()), (Some("one"), None, Some("three")));
}

#[test]
fn a_decision_that_cannot_be_written_down_wholly_writes_nothing() {
    let mut world = World::new();
    let fault = world.command::<Note>("a", Do::Unwritable(Unwritable {}));
    assert!(matches!(fault, Err(CommandError::Fault(_))), "{fault:?}");
    assert_eq!((world.note("a"), world.log().len()), (None, 0));
    assert_eq!(world.write("b", "one").unwrap().id, 1, "it has not used up an id either");
}

#[test]
fn a_repeated_request_gets_its_first_answer_again() {
    let mut world = World::new();
    let send = |world: &mut World, text: &str, key: &str| {
        let mut queued = world.request::<Note>("a", Do::Write(text.into()));
        queued.request.idempotency = Some(once(key, text));
        world.done(queued)
    };
    let first = send(&mut world, "one", "k").unwrap();
    world.write("a", "two").unwrap();
    world.restart();
    let again = send(&mut world, "one", "k").unwrap();
    assert_eq!((again.replayed, again.version, again.state.clone()), (true, first.version, first.state));
    assert_eq!(world.note("a").as_deref(), Some("two"), "nothing was done again");
    assert_eq!(send(&mut world, "three", "k"), Err(CommandError::KeyReused));
    assert!(send(&mut world, "three", "other").is_ok());
}

#[test]
fn a_rejection_is_remembered_and_what_may_succeed_later_is_not() {
    let mut world = World::new();
    let send = |world: &mut World, command: Do, must_exist: bool, key: &str| {
        let mut queued = world.request::<Note>("a", command);
        (queued.request.idempotency, queued.request.must_exist) = (Some(once(key, "same")), must_exist);
        world.done(queued)
    };
    assert!(matches!(send(&mut world, Do::Refuse, false, "refused"), Err(CommandError::Rejected(_))));
    assert!(matches!(send(&mut world, Do::Write("x".into()), false, "refused"), Err(CommandError::Rejected(_))), "as before");
    assert_eq!(send(&mut world, Do::Write("x".into()), true, "absent"), Err(CommandError::Absent));
    assert!(matches!(send(&mut world, Do::Panic, false, "fault"), Err(CommandError::Fault(_))));
    assert!(send(&mut world, Do::Write("y".into()), false, "absent").is_ok_and(|done| !done.replayed));
    assert!(send(&mut world, Do::Write("z".into()), false, "fault").is_ok_and(|done| !done.replayed));
}

#[test]
fn an_idempotency_key_is_forgotten_after_its_time() {
    let mut world = World::new();
    let send = |world: &mut World, text: &str| {
        let mut queued = world.request::<Note>("a", Do::Write(text.into()));
        queued.request.idempotency = Some(once("k", text));
        world.done(queued)
    };
    send(&mut world, "one").unwrap();
    world.pass(59_999);
    assert_eq!(send(&mut world, "two"), Err(CommandError::KeyReused));
    world.pass(1);
    assert!(send(&mut world, "two").is_ok_and(|done| !done.replayed));
}

#[test]
fn the_same_key_twice_within_one_batch_is_done_once() {
    let mut world = World::new();
    let tickets = ["one", "one", "two"].map(|text| {
        let mut queued = world.request::<Note>("a", Do::Write(text.into()));
        queued.request.idempotency = Some(once("k", text));
        world.hand_in(queued)
    });
    world.run();
    assert!(!world.reply(tickets[0]).unwrap().replayed);
    assert!(world.reply(tickets[1]).unwrap().replayed);
    assert_eq!(world.reply(tickets[2]), Err(CommandError::KeyReused));
    assert_eq!(world.log().iter().filter(|(name, _)| name == "Written").count(), 1);
}

#[test]
fn a_removed_keys_next_life_has_a_new_id_and_begins_at_version_one() {
    let mut world = World::new();
    world.write("a", "one").unwrap();
    world.write("a", "two").unwrap();
    let removed = world.command::<Note>("a", Do::Remove).unwrap();
    assert_eq!((removed.changed, removed.id, removed.version, removed.state), (true, 1, 0, None));
    assert_eq!(world.note("a"), None);
    world.restart();
    let again = world.write("a", "three").unwrap();
    assert_eq!((again.created, again.id, again.version), (true, 2, 1));
    let tickets = [world.ask::<Note>("a", Do::Remove), world.ask_to_write("a", "four")];
    world.run();
    let [_, again] = tickets.map(|ticket| world.reply(ticket).unwrap());
    assert_eq!((again.created, again.id, again.version), (true, 3, 1), "within one batch too");
}

#[test]
fn what_is_created_and_removed_in_one_batch_leaves_its_events_only() {
    let mut world = World::new();
    let tickets = [world.ask_to_write("a", "one"), world.ask::<Note>("a", Do::Remove)];
    world.run();
    assert!(tickets.into_iter().all(|ticket| world.reply(ticket).is_ok()));
    assert_eq!(world.note("a"), None);
    assert_eq!(world.line("a"), ["one"]);
    assert_eq!(world.row("book", "lines", "a")["gone"], true);
    assert_eq!(world.write("b", "one").unwrap().id, 2, "its id is not given again");
}

#[test]
fn a_given_id_is_kept_and_counting_goes_on_behind_it() {
    let mut world = World::new();
    let mut queued = world.request::<Note>("a", Do::Write("one".into()));
    queued.request.give_id = Some(70);
    assert_eq!(world.done(queued).unwrap().id, 70);
    world.restart();
    assert_eq!(world.write("b", "one").unwrap().id, 71);
    let mut queued = world.request::<Note>("a", Do::Write("two".into()));
    queued.request.give_id = Some(99);
    assert_eq!(world.done(queued).unwrap().id, 70, "one that exists has its id already");
}

#[test]
fn a_taken_id_fails_only_the_command_that_named_it() {
    let mut world = World::new();
    world.write("a", "one").unwrap();
    let others: Vec<u64> = (0..5).map(|place| world.ask_to_write(&format!("n-{place}"), "one")).collect();
    let mut queued = world.request::<Note>("b", Do::Write("mine".into()));
    queued.request.give_id = Some(1);
    let taken = world.hand_in(queued);
    let more: Vec<u64> = (5..9).map(|place| world.ask_to_write(&format!("n-{place}"), "one")).collect();
    world.run();
    assert_eq!(world.reply(taken), Err(CommandError::IdTaken));
    for ticket in others.into_iter().chain(more) {
        assert!(world.reply(ticket).is_ok());
    }
    assert_eq!((world.note("b"), world.note("n-8").as_deref()), (None, Some("one")));
    assert_eq!(world.line("n-8"), ["one"], "and the subscriptions have gone on");
}

#[test]
fn an_id_given_in_vain_does_not_use_up_the_ids_before_it() {
    let mut world = World::new();
    let mut queued = world.request::<Note>("a", Do::Write("one".into()));
    queued.request.give_id = Some(u64::MAX);
    world.store.plan().refused_key = Some("a".into());
    assert_eq!(world.done(queued), Err(CommandError::IdTaken));
    assert_eq!(world.write("b", "one").unwrap().id, 1);
}

#[test]
fn where_the_last_id_is_given_no_more_come_to_be() {
    let mut world = World::new();
    let mut queued = world.request::<Note>("a", Do::Write("one".into()));
    queued.request.give_id = Some(u64::MAX);
    assert!(world.done(queued).is_ok());
    assert!(matches!(world.write("b", "one"), Err(CommandError::Fault(cause)) if cause.contains("ids")));
    assert!(world.write("a", "two").is_ok());
}

#[test]
fn more_commands_than_the_queue_holds_are_refused_at_once() {
    let mut world = World::with(Limits { queue: 2, ..Limits::default() });
    let tickets = ["a", "b", "c"].map(|key| world.ask_to_write(key, "one"));
    assert_eq!(world.reply(tickets[2]), Err(CommandError::Overloaded));
    assert!(world.replies.is_empty());
    world.run();
    assert!(world.reply(tickets[0]).is_ok() && world.reply(tickets[1]).is_ok());
}

#[test]
fn a_request_that_waits_is_answered_when_its_aggregate_is_settled() {
    let mut world = World::new();
    let mut queued = world.request::<Errand>("a", Go::Out(1, "go".into(), None));
    queued.request.wait = Some(until_heard::<Errand>(&world, |errand| !errand.heard.is_empty(), 1_000));
    let ticket = world.hand_in(queued);
    world.run();
    assert!(world.replies.is_empty(), "it is committed, and not settled");
    world.answer(1, "done");
    let done = world.reply(ticket).unwrap();
    assert_eq!((done.created, done.version), (true, 2));
    assert!(done.state.unwrap().contains("1: done"));
}

#[test]
fn a_request_that_waits_is_answered_even_where_no_row_is_kept_in_memory() {
    for (rows, shared) in [(0, false), (1, false), (50_000, true)] {
        let mut world = World::with(Limits { rows, ..Limits::default() });
        world.store.plan().shared = shared;
        let mut queued = world.request::<Errand>("a", Go::Out(1, "go".into(), None));
        queued.request.wait = Some(until_heard::<Errand>(&world, |errand| !errand.heard.is_empty(), 1_000));
        let ticket = world.hand_in(queued);
        world.run();
        world.write("b", "one").unwrap();
        world.answer(1, "done");
        assert!(world.reply(ticket).is_ok(), "{rows} rows, {shared}");
    }
}

#[test]
fn a_request_that_waits_too_long_is_told_so_and_its_work_goes_on() {
    let mut world = World::new();
    let mut queued = world.request::<Errand>("a", Go::Out(1, "go".into(), None));
    queued.request.wait = Some(until_heard::<Errand>(&world, |errand| !errand.heard.is_empty(), 1_000));
    let ticket = world.hand_in(queued);
    world.pass(999);
    assert!(world.replies.is_empty());
    world.pass(1);
    assert_eq!(world.reply(ticket), Err(CommandError::Unsettled));
    world.answer(1, "done");
    assert_eq!(world.heard("errand", "a"), ["1: done"]);
}

#[test]
fn a_request_that_waits_for_what_is_settled_already_is_answered_at_once() {
    let mut world = World::new();
    world.send_out::<Errand>("a", 1);
    world.answer(1, "done");
    let mut queued = world.request::<Errand>("a", Go::BackSilently);
    queued.request.wait = Some(until_heard::<Errand>(&world, |errand| !errand.heard.is_empty(), 1_000));
    assert!(world.done(queued).is_ok());
}

#[test]
fn while_the_first_request_waits_a_repetition_is_told_that_it_is_in_flight() {
    let mut world = World::new();
    let waiting = |world: &mut World| {
        let mut queued = world.request::<Errand>("a", Go::Out(1, "go".into(), None));
        queued.request.wait = Some(until_heard::<Errand>(world, |errand| !errand.heard.is_empty(), 1_000));
        queued.request.idempotency = Some(once("k", "out"));
        world.hand_in(queued)
    };
    let (first, at_once) = (waiting(&mut world), waiting(&mut world));
    world.run();
    let later = waiting(&mut world);
    world.run();
    assert_eq!(world.reply(at_once), Err(CommandError::InFlight), "in the same batch");
    assert_eq!(world.reply(later), Err(CommandError::InFlight));
    world.answer(1, "done");
    let done = world.reply(first).unwrap();
    let again = waiting(&mut world);
    world.run();
    let again = world.reply(again).unwrap();
    assert!(again.replayed);
    assert_eq!(again.state, done.state, "it is told how it ended, as the first was");
    assert_eq!(world.called().len(), 1);
}

#[test]
fn a_repetition_after_a_restart_waits_for_the_end_as_the_first_would_have() {
    let mut world = World::new();
    let waiting = |world: &mut World| {
        let mut queued = world.request::<Errand>("a", Go::Out(1, "go".into(), None));
        queued.request.wait = Some(until_heard::<Errand>(world, |errand| !errand.heard.is_empty(), 1_000));
        queued.request.idempotency = Some(once("k", "out"));
        world.hand_in(queued)
    };
    waiting(&mut world);
    world.run();
    world.restart();
    let again = waiting(&mut world);
    world.run();
    assert!(world.replies.is_empty());
    world.answer(1, "done");
    let again = world.reply(again).unwrap();
    assert!(again.replayed && again.state.unwrap().contains("1: done"));
}

#[test]
fn who_waits_is_not_told_what_may_never_have_been_committed() {
    let mut world = World::new();
    let mut queued = world.request::<Errand>("a", Go::Out(1, "go".into(), None));
    queued.request.wait = Some(until_heard::<Errand>(&world, |errand| !errand.heard.is_empty(), 10_000));
    let ticket = world.hand_in(queued);
    world.run();
    world.store.plan().fates.push_back(Fate::LostUnheard);
    world.store.plan().failing_questions = 2;
    world.answer(1, "done");
    assert!(world.replies.is_empty(), "{:?}", world.replies);
    world.pass(1_000);
    assert!(world.reply(ticket).is_ok());
    assert_eq!(world.heard("errand", "a"), ["1: done"]);
}

#[test]
fn a_decision_sees_other_rows_of_its_service_as_they_stand_in_the_batch() {
    let mut world = World::new();
    world.write("n-0", "one").unwrap();
    world.restart();
    assert_eq!(&*world.command::<Note>("a", Do::Quote("n-0".into())).unwrap().state.unwrap(), r#"{"text":"\"one\""}"#);
    let tickets = [world.ask_to_write("n-0", "two"), world.ask::<Note>("a", Do::Quote("n-0".into()))];
    world.run();
    assert!(tickets.into_iter().all(|ticket| world.reply(ticket).is_ok()));
    assert_eq!(world.note("a").as_deref(), Some("\"two\""));
    world.command::<Note>("a", Do::Quote("nobody".into())).unwrap();
    assert_eq!(world.note("a").as_deref(), Some("nothing"));
}

#[test]
fn a_decision_that_looks_up_row_after_row_is_repeated_until_it_has_all() {
    let mut world = World::new();
    for place in 0..20 {
        world.write(&format!("n-{place}"), "one").unwrap();
    }
    world.restart();
    assert_eq!(&*world.command::<Note>("a", Do::Count).unwrap().state.unwrap(), r#"{"text":"20 notes"}"#);
    assert_eq!(world.log().len(), 21 + 21, "the rounds before have left nothing");
}

#[test]
fn an_event_that_no_broker_takes_is_a_fault_and_writes_nothing() {
    let mut world = World::with(Limits { event_bytes: 1_000, ..Limits::default() });
    let large = world.write("a", &"x".repeat(1_001));
    assert!(matches!(large, Err(CommandError::Fault(cause)) if cause.contains("Written of 10") && cause.contains("have 1000")));
    assert!(world.row("desk", "note", "a").is_null());
    assert_eq!(world.write("a", "one").unwrap().version, 1);
}

#[test]
fn looking_at_another_services_row_is_a_fault() {
    let mut world = World::new();
    world.command::<Copied>("secret", CopyDo::Take("one".into())).unwrap();
    let spied = world.command::<Note>("a", Do::Spy);
    assert!(matches!(spied, Err(CommandError::Fault(cause)) if cause.contains("another service")));
}

#[test]
fn a_directory_is_asked_and_its_answer_is_at_hand() {
    let mut world = World::new();
    for (city, said) in [("Busan", "sunny in Busan"), ("nowhere", "no answer"), ("Busan", "sunny in Busan")] {
        world.command::<Note>("a", Do::Ask(city.into())).unwrap();
        assert_eq!(world.note("a").as_deref(), Some(said));
        world.pass(300_000);
    }
}

#[test]
fn a_directory_that_panics_is_a_fault_of_its_command_alone() {
    let mut world = World::new();
    let tickets = [world.ask::<Note>("a", Do::Ask("panic".into())), world.ask_to_write("b", "one")];
    world.run();
    assert!(matches!(world.reply(tickets[0]), Err(CommandError::Fault(cause)) if cause.contains("weather")));
    assert!(world.reply(tickets[1]).is_ok());
}

#[test]
fn a_decision_that_asks_for_ever_is_a_fault_of_its_command_alone() {
    let mut world = World::new();
    let tickets = [world.ask_to_write("a", "one"), world.ask::<Note>("b", Do::AskForEver), world.ask_to_write("c", "one")];
    world.run();
    assert!(matches!(world.reply(tickets[1]), Err(CommandError::Fault(_))));
    assert!(world.reply(tickets[0]).is_ok() && world.reply(tickets[2]).is_ok());
    assert!(world.status().healthy);
}
