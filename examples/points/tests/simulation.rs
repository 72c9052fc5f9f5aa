//! Both systems in one simulated process under seeded faults: each delivered message earns its reader exactly one point.
#![allow(clippy::unwrap_used)] // helpers of tests, too, may say what they expect

use std::sync::Arc;

use jiff::tz::{Offset, TimeZone};
use kernel::context::Opaque;
use rcs::draft::Draft;
use sim::{Faults, Installation, World, WorldOptions};

const READER: &str = "01012341234";
const MESSAGES: u64 = 10;
const DAY_MS: i64 = 24 * 3_600_000;

fn world(seed: u64, faults: Faults) -> World {
    let systems = vec![rcs::system(), points::system()];
    let start = "2026-11-20T03:00:00Z".parse().unwrap();
    let mut world = World::new(WorldOptions { seed, faults, systems, start, zone: TimeZone::fixed(Offset::constant(9)) });
    world.seed();
    world.settle(1_000);
    for n in 0..MESSAGES {
        let (key, at_ms) = (format!("msg-{n}"), world.chance().below(30_000));
        let draft = Draft {
            user_contact: READER.into(),
            chatbot_id: "0801234567".into(),
            message_id: Some(key.clone()),
            mno: Some("kt".into()),
            description: Some("hello".into()),
            ..Draft::default()
        };
        let command: Opaque = Arc::new(rcs::message::Command::Send(Box::new(draft)));
        world.send(at_ms, &key, ("message", "message"), Some(&key), command, false);
    }
    world
}

fn balance(world: &World) -> u64 {
    let row = world.reader("loyalty").by_key(world.table("loyalty", "points"), READER).unwrap();
    row.map_or(0, |row| serde_json::from_slice::<serde_json::Value>(&row.data).unwrap()["balance"].as_u64().unwrap())
}

#[test]
fn each_delivered_message_earns_one_point_whatever_fails() {
    for seed in 0..40 {
        let mut world = world(seed, Faults::MANY);
        world.run(60_000, DAY_MS);
        let delivered = world.topic().iter().filter(|record| record.event_type == "SendSucceed").count();
        assert_eq!((delivered as u64, balance(&world)), (MESSAGES, MESSAGES), "seed {seed}\n{}", world.tail(60));
    }
}

#[test]
fn a_point_can_be_spent_once_and_two_weeks_pass_in_a_moment() {
    let mut world = world(1, Faults::NONE);
    world.run(0, 14 * DAY_MS);
    assert_eq!(balance(&world), MESSAGES);
    let spend: Opaque = Arc::new(points::Command::Spend(MESSAGES));
    for name in ["spend", "spend again"] {
        world.send(0, name, ("loyalty", "points"), Some(READER), spend.clone(), true);
        world.run(0, 14 * DAY_MS);
    }
    let accepted = world.answers().iter().filter(|answer| answer.name.starts_with("spend")).map(|answer| answer.result.is_ok());
    assert_eq!((accepted.collect::<Vec<_>>(), balance(&world)), (vec![true, false], 0));
}
