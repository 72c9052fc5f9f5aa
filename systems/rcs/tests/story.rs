//! The README's walkthrough, run in memory: the shipped core, a virtual clock, and the handsets that the numbers name.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may say what it expects

use std::sync::Arc;

use jiff::tz::{Offset, TimeZone};
use rcs::draft::Draft;
use rcs::letter::Category;
use rcs::message::Command;
use rcs::views::my_messages::{MyMessage, ResultWord};
use sim::{Faults, Installation, World, WorldOptions};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// An installation in Seoul at noon, seeded as a first run is.
fn at_noon() -> World {
    at("2026-11-20T12:00:00+09:00")
}

fn at(start: &str) -> World {
    let start = start.parse().unwrap();
    let zone = TimeZone::fixed(Offset::constant(9));
    let mut world = World::new(WorldOptions { seed: 1, faults: Faults::NONE, systems: vec![rcs::system()], start, zone });
    world.seed();
    world.run(0, 1_000);
    world
}

fn to(number: &str) -> Draft {
    Draft {
        user_contact: number.into(),
        chatbot_id: "0801234567".into(),
        message_id: Some("msg-1".into()),
        mno: Some("kt".into()),
        send_time: Some("2024-09-23".into()),
        description: Some("test".into()),
        ..Draft::default()
    }
}

fn send(world: &mut World, draft: Draft) {
    world.send(0, "send", ("message", "message"), Some("msg-1"), Arc::new(Command::Send(Box::new(draft))), false);
}

fn cancel(world: &mut World) {
    world.send(0, "cancel", ("message", "message"), Some("msg-1"), Arc::new(Command::Cancel), true);
}

fn shown(world: &World) -> MyMessage {
    let table = world.table("dashboard", "myMessages");
    let row = world.reader("dashboard").by_key(table, "msg-1").unwrap().expect("it is shown");
    serde_json::from_slice(&row.data).unwrap()
}

fn events(row: &MyMessage) -> Vec<&str> {
    row.timeline.iter().map(|line| line.event.as_str()).collect()
}

fn ends(draft: Draft, after_ms: i64) -> (ResultWord, Option<String>) {
    let mut world = at_noon();
    send(&mut world, draft);
    world.run(0, after_ms);
    let row = shown(&world);
    (row.result, row.reason)
}

#[test]
fn a_message_is_accepted_validated_delivered_and_shown() {
    let mut world = at_noon();
    send(&mut world, to("01012341234"));
    world.run(0, 1_000);
    let row = shown(&world);
    assert_eq!(events(&row), ["SendSuccess", "ValidateSucceed", "SendSucceed"]);
    assert_eq!((row.id, row.result, row.send_time.as_deref()), (1, ResultWord::SendSucceed, Some("2024-09-23")));
}

#[test]
fn the_two_printed_commands_one_after_the_other_end_with_cancel() {
    let mut world = at_noon();
    send(&mut world, to("01012341234"));
    cancel(&mut world);
    world.run(0, 1_000);
    assert_eq!(shown(&world).result, ResultWord::Cancel);
}

#[test]
fn a_cancel_after_delivery_recalls_and_the_timeline_keeps_what_happened() {
    let mut world = at_noon();
    send(&mut world, to("01012341234"));
    world.run(0, 5_000);
    cancel(&mut world);
    world.run(0, 5_000);
    let row = shown(&world);
    assert_eq!(row.result, ResultWord::Cancel);
    assert_eq!(events(&row), ["SendSuccess", "ValidateSucceed", "SendSucceed", "Canceled", "RecallGranted"]);
}

#[test]
fn a_cancel_that_is_too_late_leaves_the_message_sent_and_says_so() {
    // The carrier refuses the recall of the first; the second was read already, and its cancel is rejected.
    for (number, rejected, in_history) in [("01000000009", false, true), ("01000000010", true, false)] {
        let mut world = at_noon();
        send(&mut world, to(number));
        world.run(0, 5_000);
        world.send(0, "cancel", ("message", "message"), Some("msg-1"), Arc::new(Command::Cancel), true);
        world.run(0, 5_000);
        let row = shown(&world);
        assert_eq!(row.result, ResultWord::SendSucceed, "{number}");
        let cancel = world.answers().iter().find(|answer| answer.name == "cancel").expect("it is answered");
        assert_eq!(
            (cancel.result.is_err(), events(&row).contains(&"RecallRefused")),
            (rejected, in_history),
            "{number}: {row:?}"
        );
    }
}

#[test]
fn each_number_of_the_simulators_table_shows_its_own_outcome() {
    let sent = |result: (ResultWord, Option<String>)| assert_eq!(result.0, ResultWord::SendSucceed, "{result:?}");
    let failed = |result: (ResultWord, Option<String>), why: &str| {
        assert_eq!(result.0, ResultWord::SendFailed, "{result:?}");
        assert!(result.1.as_deref().unwrap_or("").contains(why), "{result:?}");
    };
    sent(ends(to("01012341234"), 1_000));
    failed(ends(to("01000000001"), 1_000), "no such subscriber");
    failed(ends(to("01000000002"), 1_000), "rich");
    assert_eq!(ends(to("01000000003"), 29_000).0, ResultWord::Accepted, "off for 30 s");
    sent(ends(to("01000000003"), 31_000));
    assert_eq!(ends(to("01000000004"), 100_000).0, ResultWord::Accepted, "5 s, 30 s and 2 min of throttling");
    sent(ends(to("01000000004"), 4 * MINUTE));
    sent(ends(to("01000000005"), 1_000));
    assert_eq!(ends(to("01000000006"), 9_000).0, ResultWord::Accepted, "the receipt is 10 s late");
    sent(ends(to("01000000006"), 11_000));
    assert_eq!(ends(to("01000000007"), DAY - MINUTE).0, ResultWord::Accepted);
    failed(ends(to("01000000007"), DAY + MINUTE), "validity");
    failed(ends(to("01000000008"), 20 * MINUTE), "temporary error");
    sent(ends(to("01000000009"), 1_000));
    sent(ends(to("01000000010"), 1_000));
    sent(ends(to("01000000011"), 5_000));
}

#[test]
fn number_05_has_two_receipts_and_is_delivered_once() {
    let mut world = at_noon();
    send(&mut world, to("01000000005"));
    world.run(0, 5_000);
    assert_eq!(events(&shown(&world)).iter().filter(|event| **event == "SendSucceed").count(), 1);
}

#[test]
fn number_11_is_asked_again_by_the_same_id_and_never_sent_twice() {
    let mut world = at_noon();
    send(&mut world, to("01000000011"));
    world.run(0, 5_000);
    assert_eq!(world.calls().iter().map(|call| call.times).collect::<Vec<_>>(), [1]);
    assert!(world.tally().contains_key("queried, answered"));
}

#[test]
fn a_bad_number_an_unknown_chatbot_and_an_unmarked_night_advertisement_each_say_why() {
    let bad_number = ends(to("12345"), 1_000);
    assert_eq!(bad_number.0, ResultWord::ValidateFailed);
    let unknown = ends(Draft { chatbot_id: "0805550000".into(), ..to("01012341234") }, 1_000);
    assert!(unknown.1.unwrap().contains("chatbot"));
    let ad = |text: &str| Draft { category: Some(Category::Ad), description: Some(text.into()), ..to("01012345678") };
    let unmarked = ends(ad("세일합니다"), 1_000);
    assert_eq!(unmarked.0, ResultWord::ValidateFailed, "{unmarked:?}");
    let marked = ends(ad("(광고) 세일합니다 무료수신거부 0801112222"), 1_000);
    assert_eq!(marked.0, ResultWord::SendSucceed, "{marked:?}");
}

#[test]
fn a_night_advertisement_without_night_consent_is_held_until_eight_and_then_sent() {
    let mut world = at("2026-11-20T23:00:00+09:00");
    let text = "(광고) 세일합니다 무료수신거부 0801112222";
    send(&mut world, Draft { category: Some(Category::Ad), description: Some(text.into()), ..to("01012345678") });
    world.run(0, 8 * 60 * MINUTE);
    assert_eq!(shown(&world).result, ResultWord::Accepted, "it is seven in the morning");
    world.run(0, 61 * MINUTE);
    assert_eq!(shown(&world).result, ResultWord::SendSucceed);
}

#[test]
fn a_reserved_message_is_sent_at_its_time_and_shows_it_as_written() {
    let mut world = at_noon();
    send(&mut world, Draft { send_time: Some("2026-11-21".into()), ..to("01012341234") });
    world.run(0, 11 * 60 * MINUTE);
    assert_eq!(events(&shown(&world)), ["SendSuccess", "Prechecked"]);
    world.run(0, 2 * 60 * MINUTE);
    let row = shown(&world);
    assert_eq!((row.result, row.send_time.as_deref()), (ResultWord::SendSucceed, Some("2026-11-21")));
}
