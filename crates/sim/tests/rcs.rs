//! The whole rcs system under seeded faults: nothing accepted is lost, nothing takes effect twice, whatever is killed.
//!
//! `SEEDS=n` runs so many seeds, `SEED=n` replays one and prints its trace.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may say what it expects

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz::{Offset, TimeZone};
use rcs::draft::Draft;
use rcs::message::Command;
use runtime::ports::{LogQuery, Query, Reader, Record};
use sim::{Faults, Tally, World, WorldOptions};

const MESSAGES: u64 = 24;
const DAYS_MS: i64 = 3 * 24 * 3_600_000;

fn world(seed: u64, faults: Faults) -> World {
    let mut world = World::new(WorldOptions {
        seed,
        faults,
        system: rcs::system(),
        start: "2026-11-20T03:00:00Z".parse().unwrap(),
        zone: TimeZone::fixed(Offset::constant(9)),
    });
    world.seed();
    for n in 0..MESSAGES {
        send(&mut world, n);
    }
    world.run(60_000, DAYS_MS);
    world
}

/// One message to a handset of some kind, and for some of them a cancel, early or late.
fn send(world: &mut World, n: u64) {
    let key = format!("msg-{n}");
    let number = match world.chance.below(14) {
        kind @ 1..=11 => format!("010000000{kind:02}"),
        _ => "01012341234".to_owned(),
    };
    let ad = world.chance.below(6) == 0;
    let draft = Draft {
        user_contact: number,
        chatbot_id: if world.chance.below(10) == 0 { "0805550000".into() } else { "0801234567".into() },
        message_id: Some(key.clone()),
        mno: Some("kt".into()),
        send_time: (world.chance.below(5) == 0).then(|| "2026-11-20T13:00:00+09:00".to_owned()),
        description: Some(if ad { "(광고) 세일 무료수신거부 0801112222".into() } else { "hello".into() }),
        ..Draft::default()
    };
    let at = 2_000 + world.chance.below(30_000);
    world.send(at, &key, ("message", "message"), &key, Arc::new(Command::Send(Box::new(draft))), false);
    if world.chance.below(3) == 0 {
        let later = at + world.chance.below(40_000);
        world.send(later, &format!("cancel-{n}"), ("message", "message"), &key, Arc::new(Command::Cancel), true);
    }
}

fn rows(world: &World, view: &str) -> BTreeMap<String, String> {
    let table = world.model.tables.iter().find(|table| table.name == view && !table.sql_name.ends_with("__rebuild"));
    let page = world.store.page(table.unwrap().id, &Query::first(1000)).unwrap();
    page.rows.into_iter().map(|row| (row.key, String::from_utf8(row.data).unwrap())).collect()
}

fn log(world: &World) -> Vec<Record> {
    world.store.log(&LogQuery { limit: 1_000_000, ..LogQuery::default() }).unwrap()
}

fn text<'a>(row: &'a str, field: &str) -> &'a str {
    let start = row.find(&format!("\"{field}\":\"")).map(|at| at + field.len() + 4);
    start.map_or("", |start| row[start..].split('"').next().unwrap_or(""))
}

fn every_accepted_message_has_one_final_result(world: &World) {
    let shown = rows(world, "myMessages");
    let mut accepted = BTreeSet::new();
    for answer in &world.answers {
        if answer.name.starts_with("msg-") && answer.result.is_ok() {
            accepted.insert(answer.name.clone());
        }
    }
    assert_eq!(accepted.len() as u64, MESSAGES, "every client was answered in the end");
    for key in &accepted {
        let row = shown.get(key).unwrap_or_else(|| panic!("{key} is lost\n{}", world.tail(80)));
        assert_ne!(text(row, "result"), "accepted", "{key} never ended: {row}\n{}", world.tail(80));
    }
    assert_eq!(shown.keys().cloned().collect::<BTreeSet<_>>(), accepted, "nothing is shown that nobody sent");
}

fn every_submission_happened_once(world: &World) {
    let mut submissions = BTreeSet::new();
    for call in world.far.seen() {
        assert_eq!(call.times, 1, "done twice: {call:?}\n{}", world.tail(80));
        if call.payload.starts_with("{\"submit\"") {
            let attempt = call.payload.split("\"attempt\":").nth(1).and_then(|rest| rest.split([',', '}']).next());
            let submission = (text(&call.payload, "messageId").to_owned(), text(&call.payload, "channel").to_owned(), attempt);
            assert!(submissions.insert(submission.clone()), "submitted twice: {submission:?}\n{}", world.tail(120));
        }
    }
}

fn each_fact_is_published_once(world: &World) {
    let mut once = BTreeSet::new();
    for record in log(world) {
        if !matches!(record.event_type.as_str(), "SendSuccess" | "Canceled" | "ValidateSucceed" | "SendSucceed" | "SendFailed") {
            continue;
        }
        let fact = (record.event_type.clone(), record.key.clone());
        assert!(once.insert(fact), "{} of {} was published twice", record.event_type, record.key);
    }
}

fn the_same_idempotency_key_got_the_same_answer(world: &World) {
    let mut first: BTreeMap<&str, String> = BTreeMap::new();
    for answer in &world.answers {
        let said = match &answer.result {
            Ok(done) => format!("{} {}", done.id, done.version),
            Err(failure) => failure.to_string(),
        };
        let before = first.entry(&answer.name).or_insert_with(|| said.clone());
        assert_eq!(*before, said, "{} was answered in two ways", answer.name);
    }
}

fn counters_agree_with_rows(world: &World) {
    let table = world.model.find("dashboard", "myMessages").unwrap();
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    for row in rows(world, "myMessages").values() {
        *counted.entry(text(row, "result").to_owned()).or_default() += 1;
    }
    let kept: BTreeMap<String, u64> =
        world.store.counters(table.id, "result").unwrap().into_iter().filter(|(_, n)| *n > 0).collect();
    assert_eq!(kept, counted);
}

fn a_rebuilt_view_is_the_live_one(world: &mut World) {
    let live = rows(world, "myMessages");
    world.rebuild("myMessages");
    assert_eq!(rows(world, "myMessages"), live, "the rebuilt view differs");
    assert!(world.status().rebuild.is_none(), "the rebuild was not finished: {:?}", world.status().rebuild);
}

fn check(world: &mut World) {
    every_accepted_message_has_one_final_result(world);
    every_submission_happened_once(world);
    each_fact_is_published_once(world);
    the_same_idempotency_key_got_the_same_answer(world);
    counters_agree_with_rows(world);
    a_rebuilt_view_is_the_live_one(world);
    let status = world.status();
    assert_eq!((status.effects, status.parked_keys), (0, 0), "background work is left: {status:?}\n{}", world.tail(60));
}

#[test]
fn without_faults_every_message_ends_as_its_number_says() {
    let mut world = world(1, Faults::NONE);
    check(&mut world);
    assert!(world.tally().is_empty(), "no fault was asked for: {:?}", world.tally());
}

#[test]
fn nothing_is_lost_and_nothing_happens_twice_whatever_fails() {
    let seeds: Vec<u64> = match std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => vec![seed],
        None => (0..std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(200)).collect(),
    };
    let mut tally = Tally::new();
    for seed in &seeds {
        println!("replay: SEED={seed} cargo test -p sim --test rcs nothing_is_lost -- --nocapture");
        let mut world = world(*seed, Faults::MANY);
        if seeds.len() == 1 {
            println!("{}", world.tail(usize::MAX));
        }
        check(&mut world);
        for (name, times) in world.tally() {
            *tally.entry(name).or_default() += times;
        }
    }
    println!("{} seeds, faults that really happened: {tally:#?}", seeds.len());
    if seeds.len() >= 100 {
        for fault in [
            "crash before a commit",
            "crash after a commit",
            "commit applied, outcome unknown",
            "commit lost, outcome unknown",
            "disk full",
            "read fails",
            "answer lost",
            "call lost",
            "answer twice",
            "request twice",
            "clock jumps ahead",
            "a service is paused",
            "asked, never heard of",
            "asked, and answered",
        ] {
            assert!(tally.contains_key(fault), "{fault}: never happened, so nothing is proved about it");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..5 {
        assert_eq!(world(seed, Faults::MANY).digest(), world(seed, Faults::MANY).digest(), "seed {seed}");
    }
}
