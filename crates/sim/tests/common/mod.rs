//! A world with the rcs system, a witness service beside it, and clients that send all kinds of messages.

#![allow(clippy::unwrap_used, dead_code)] // a test may say what it expects; not each uses everything

pub mod checks;
pub mod mutants;
pub mod seeds;
pub mod witness;

use std::sync::{Arc, Once};

use jiff::tz::{Offset, TimeZone};
use kernel::System;
use rcs::draft::Draft;
use rcs::message::Command;
use sim::{Cluster, ClusterOptions, Faults, Installation, Sabotage, World, WorldOptions};

/// Messages of one run whose clients give the key.
pub const NAMED: u64 = 20;
/// Messages of one run whose key is made for them.
pub const UNNAMED: u64 = 6;
/// When the reserved ones are to be sent.
pub const RESERVED: &str = "2026-11-20T13:00:00+09:00";

const MESSAGE: (&str, &str) = ("message", "message");
const DAYS_MS: i64 = 3 * 24 * 3_600_000;

/// A run of that seed, to its end.
pub fn world(seed: u64, faults: Faults) -> World {
    world_with(seed, faults, None)
}

/// The same, with something wrong on purpose.
pub fn world_with(seed: u64, faults: Faults, sabotage: Option<Sabotage>) -> World {
    world_of(rcs::system(), seed, faults, sabotage)
}

/// The same of another system.
pub fn world_of(system: System, seed: u64, faults: Faults, sabotage: Option<Sabotage>) -> World {
    silence_wanted_panics();
    let mut world = World::new(WorldOptions {
        seed,
        faults,
        systems: vec![system.service(witness::service())],
        start: "2026-11-20T03:00:00Z".parse().unwrap(),
        zone: TimeZone::fixed(Offset::constant(9)),
    });
    witness::panic_at_times(world.chance(), faults.handler_panics);
    if let Some(sabotage) = sabotage {
        world.sabotage(sabotage);
    }
    send_all(&mut world);
    world.run(60_000, DAYS_MS);
    world
}

/// A cluster of that seed, to its end: one to three processes of each service, one to five partitions.
pub fn cluster(seed: u64, faults: Faults) -> Cluster {
    silence_wanted_panics();
    let mut cluster = Cluster::new(ClusterOptions {
        seed,
        faults,
        system: rcs::system().service(witness::service()),
        replicas: 1 + usize::try_from(seed % 3).unwrap(),
        partitions: 1 + u32::try_from(seed % 5).unwrap(),
        start: "2026-11-20T03:00:00Z".parse().unwrap(),
        zone: TimeZone::fixed(Offset::constant(9)),
    });
    witness::panic_at_times(cluster.chance(), faults.handler_panics);
    send_all(&mut cluster);
    cluster.run(60_000, DAYS_MS);
    cluster
}

fn send_all(world: &mut dyn Installation) {
    world.seed();
    for n in 0..NAMED {
        send(world, n);
    }
    for n in 0..UNNAMED {
        let at = 2_000 + world.chance().below(30_000);
        let command = Command::Send(Box::new(draft(None, "01012341234")));
        world.send(at, &format!("unnamed-{n}"), MESSAGE, None, Arc::new(command), false);
    }
}

/// One message to a handset of some kind; for some a cancel, early or late; for some another under the same id.
fn send(world: &mut dyn Installation, n: u64) {
    let key = format!("msg-{n}");
    let number = match world.chance().below(14) {
        kind @ 1..=11 => format!("010000000{kind:02}"),
        _ => "01012341234".to_owned(),
    };
    let ad = world.chance().below(6) == 0;
    let draft = Draft {
        chatbot_id: if world.chance().below(10) == 0 { "0805550000".into() } else { "0801234567".into() },
        send_time: (world.chance().below(5) == 0).then(|| RESERVED.to_owned()),
        description: Some(if ad { "(광고) 세일 무료수신거부 0801112222".into() } else { "hello".into() }),
        ..draft(Some(&key), &number)
    };
    let at = 2_000 + world.chance().below(30_000);
    let clash = Draft { description: Some("something else".into()), ..draft.clone() };
    world.send(at, &key, MESSAGE, Some(&key), Arc::new(Command::Send(Box::new(draft))), false);
    if world.chance().below(3) == 0 {
        let later = at + world.chance().below(40_000);
        world.send(later, &format!("cancel-{n}"), MESSAGE, Some(&key), Arc::new(Command::Cancel), true);
        if world.chance().below(2) == 0 {
            // A second client, at the same moment, perhaps at another replica.
            world.send(later, &format!("also-cancel-{n}"), MESSAGE, Some(&key), Arc::new(Command::Cancel), true);
        }
    }
    if world.chance().below(5) == 0 {
        let later = at + 20_000 + world.chance().below(40_000);
        world.send(later, &format!("clash-{n}"), MESSAGE, Some(&key), Arc::new(Command::Send(Box::new(clash))), true);
    }
}

fn draft(key: Option<&str>, number: &str) -> Draft {
    Draft {
        user_contact: number.into(),
        chatbot_id: "0801234567".into(),
        message_id: key.map(str::to_owned),
        mno: Some("kt".into()),
        description: Some("hello".into()),
        ..Draft::default()
    }
}

/// The panics of handlers are wanted here; thousands of their messages are not.
fn silence_wanted_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let wanted = info.payload_as_str().is_some_and(|message| message.contains("handler panics"));
            if !wanted {
                loud(info);
            }
        }));
    });
}
