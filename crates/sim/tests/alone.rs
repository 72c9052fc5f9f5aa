//! A service stands alone: while any other is down its own work goes on, and the backlog drains by itself afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may say what it expects

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::{Offset, TimeZone};
use ports::Query;
use rcs::draft::Draft;
use rcs::message::Command;
use rcs::validation::brand::{BrandDraft, Standing};
use sim::{Faults, Installation, World, WorldOptions};

/// In the order in which they handle a message.
const SERVICES: [&str; 4] = ["message", "validator", "device", "dashboard"];

/// Messages of one run, and brands that are registered while a service is down.
const MESSAGES: usize = 20;

fn world() -> World {
    let mut world = World::new(WorldOptions {
        seed: 7,
        faults: Faults::NONE,
        systems: vec![rcs::system()],
        start: "2026-11-20T03:00:00Z".parse().unwrap(),
        zone: TimeZone::fixed(Offset::constant(9)),
    });
    world.seed();
    world.run(0, 1_000);
    world
}

fn send_messages(world: &mut World) {
    for n in 0..MESSAGES {
        let name = format!("message-{n}");
        let draft = Draft {
            user_contact: "01012341234".into(),
            chatbot_id: "0801234567".into(),
            mno: Some("kt".into()),
            description: Some("hello".into()),
            ..Draft::default()
        };
        world.send(0, &name, ("message", "message"), Some(&name), Arc::new(Command::Send(Box::new(draft))), false);
    }
}

fn register_brands(world: &mut World) {
    for n in 0..MESSAGES {
        let name = format!("validator-{n}");
        let draft = BrandDraft { brand_id: Some(name.clone()), name: name.clone(), status: Some(Standing::Active) };
        let new = draft.register().ok().unwrap();
        world.send(0, &name, ("validator", "brand"), Some(&name), Arc::new(new.command), false);
    }
}

/// Commands of a service that were accepted.
fn accepted(world: &World, service: &str) -> usize {
    let of_service = world.answers().iter().filter(|answer| answer.name.starts_with(service));
    of_service.filter(|answer| answer.result.is_ok()).count()
}

/// Results of all messages that the dashboard shows.
fn results(world: &World) -> Vec<String> {
    let page = world.reader("dashboard").page(world.table("dashboard", "myMessages"), &Query::first(1000)).unwrap();
    let result = |data: &[u8]| serde_json::from_slice::<serde_json::Value>(data).unwrap()["result"].as_str().map(str::to_owned);
    page.rows.into_iter().map(|row| result(&row.data).unwrap()).collect()
}

/// How many messages each service has done its own work for.
fn work(world: &World) -> BTreeMap<&'static str, usize> {
    let topic = world.topic();
    let published = |event: &str| topic.iter().filter(|record| record.event_type == event).count();
    let shown = results(world).len();
    let counts = [published("SendSuccess"), published("ValidateSucceed"), published("SendSucceed"), shown];
    SERVICES.into_iter().zip(counts).collect()
}

#[test]
fn each_service_does_its_work_while_any_other_is_down_and_the_backlog_drains_afterwards() {
    for down in SERVICES {
        for other in SERVICES.into_iter().filter(|other| *other != down) {
            let mut world = world();
            // What arrives for a service while it is paused is its work later. New messages are the work of `message`.
            if other != "message" {
                world.pause(other, true);
                send_messages(&mut world);
                world.run(0, 60_000);
            }
            let before = work(&world);
            assert_eq!(before[other], 0, "{other} has its work before it");

            world.pause(down, true);
            match other {
                "message" => send_messages(&mut world),
                other => world.pause(other, false),
            }
            if other == "validator" {
                register_brands(&mut world);
            }
            world.run(0, 60_000);
            let meanwhile = work(&world);
            assert_eq!(meanwhile[other], MESSAGES, "{other} works while {down} is down");
            assert_eq!(meanwhile[down], before[down], "{down} is down");
            if matches!(other, "message" | "validator") {
                assert_eq!(accepted(&world, other), MESSAGES, "{other} takes commands while {down} is down");
            }

            world.pause(down, false);
            world.run(0, 60_000);
            assert_eq!(work(&world), SERVICES.map(|service| (service, MESSAGES)).into(), "once {down} is back");
            assert_eq!(results(&world), vec!["send succeed"; MESSAGES], "once {down} is back");
            let status = world.status();
            let lags: Vec<_> =
                status.iter().flat_map(|status| &status.subscriptions).map(|subscription| subscription.lag).collect();
            assert_eq!(lags, vec![0; lags.len()], "{status:?}");
        }
    }
}
