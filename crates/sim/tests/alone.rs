//! A service stands alone: while any other is down it takes its commands, and what waited happens afterwards by itself.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may say what it expects

use std::sync::Arc;

use jiff::tz::{Offset, TimeZone};
use ports::{Query, Reader};
use rcs::draft::Draft;
use rcs::message::Command;
use rcs::validation::brand::{BrandDraft, Standing};
use sim::{Faults, Installation, World, WorldOptions};

const SERVICES: [&str; 4] = ["message", "validator", "device", "dashboard"];

fn world() -> World {
    let mut world = World::new(WorldOptions {
        seed: 7,
        faults: Faults::NONE,
        system: rcs::system(),
        start: "2026-11-20T03:00:00Z".parse().unwrap(),
        zone: TimeZone::fixed(Offset::constant(9)),
    });
    world.seed();
    world.run(0, 1_000);
    world
}

/// A command for a service that has commands of its own; the others are changed by policies only.
fn command_for(world: &mut World, service: &str, name: &str) {
    match service {
        "message" => {
            let draft = Draft {
                user_contact: "01012341234".into(),
                chatbot_id: "0801234567".into(),
                mno: Some("kt".into()),
                description: Some("hello".into()),
                ..Draft::default()
            };
            world.send(0, name, ("message", "message"), Some(name), Arc::new(Command::Send(Box::new(draft))), false);
        }
        "validator" => {
            let draft = BrandDraft { brand_id: Some(name.into()), name: name.into(), status: Some(Standing::Active) };
            let new = draft.register().ok().unwrap();
            world.send(0, name, ("validator", "brand"), Some(name), Arc::new(new.command), false);
        }
        _ => {}
    }
}

fn results(world: &World) -> Vec<String> {
    let table = world.model.find("dashboard", "myMessages").unwrap().id;
    let page = world.store.page(table, &Query::first(1000)).unwrap();
    page.rows.into_iter().map(|row| String::from_utf8(row.data).unwrap()).collect()
}

#[test]
fn each_service_takes_commands_while_any_other_is_down_and_the_backlog_drains_afterwards() {
    for down in SERVICES {
        for other in SERVICES.into_iter().filter(|other| *other != down) {
            let mut world = world();
            world.pause(down, true);
            for n in 0..20 {
                command_for(&mut world, other, &format!("{other}-{n}"));
            }
            world.run(0, 60_000);
            let answered = world.answers().iter().filter(|answer| answer.name.starts_with(other)).count();
            let expected = if matches!(other, "message" | "validator") { 20 } else { 0 };
            assert_eq!(answered, expected, "{other} answers while {down} is down");
            assert!(world.answers().iter().all(|answer| answer.result.is_ok()), "{other} says yes while {down} is down");

            world.pause(down, false);
            world.run(0, 60_000);
            let shown = results(&world);
            assert_eq!(shown.len(), if other == "message" { 20 } else { 0 });
            let sent = shown.iter().all(|row| row.contains("\"result\":\"send succeed\""));
            assert!(sent, "all of it happened once {down} was back: {}\n{:?}", shown[0], world.status());
            let status = world.status();
            let mut subscriptions = status.iter().flat_map(|status| &status.subscriptions);
            assert!(subscriptions.all(|subscription| subscription.lag == 0), "{status:?}");
        }
    }
}
