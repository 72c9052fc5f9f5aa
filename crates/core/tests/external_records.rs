//! Followers of another system's topic: they are handed what they ask for, and take each record once.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::store::Fate;
use common::system::NEWS;
use common::world::{World, said};
use pabal_core::Limits;
use ports::Partition;

const LISTENERS: &str = "office.listeners";
const VIEW: &str = "office.listeners.news";

/// Everything that was heard under a key.
fn heard(world: &World, key: &str) -> Vec<String> {
    let texts = world.row("listeners", "heard", key)["texts"].clone();
    serde_json::from_value(texts).unwrap_or_default()
}

/// Hands over, as a driver does, what is asked for of a topic with so many records, until there is nothing more.
fn follow(world: &mut World, end: u64) {
    for _ in 0..1_000 {
        let wanted = world.core.wants();
        for (partition, after, limit) in &wanted {
            assert_eq!(*partition, Partition::only(NEWS));
            let upto = end.min(after + *limit as u64);
            let records = (after + 1..=upto).map(|seq| said(seq, &seq.to_string())).collect();
            world.deliver(partition, records);
        }
        if !world.turn().more && world.core.wants() == wanted {
            return;
        }
    }
    panic!("it does not come to its end: {:?}", world.status());
}

fn numbers(of: std::ops::RangeInclusive<u64>) -> Vec<String> {
    of.map(|number| number.to_string()).collect()
}

#[test]
fn another_systems_events_reach_policies_and_views() {
    let mut world = World::new();
    let wanted = world.core.wants().first().cloned();
    assert_eq!(wanted.map(|(partition, after, _)| (partition, after)), Some((Partition::only(NEWS), 0)));
    world.said(1, &["one", "two"]);
    world.run();
    assert_eq!(heard(&world, "everything"), ["one", "two"]);
    assert_eq!((world.position(LISTENERS), world.position(VIEW)), (2, 2));
    assert_eq!(world.core.wants().first().map(|(_, after, _)| *after), Some(2));
}

#[test]
fn records_that_come_twice_are_taken_once() {
    let mut world = World::new();
    world.said(1, &["one", "two"]);
    world.said(1, &["one", "two"]);
    world.run();
    world.said(2, &["two", "three"]);
    world.run();
    assert_eq!(heard(&world, "everything"), ["one", "two", "three"]);
    world.restart();
    world.run();
    world.said(1, &["one", "two", "three", "four"]);
    world.run();
    assert_eq!(heard(&world, "everything"), ["one", "two", "three", "four"]);
}

#[test]
fn records_of_a_topic_without_subscription_are_skipped() {
    let mut world = World::new();
    world.deliver(&Partition::only("gossip"), vec![said(1, "one")]);
    world.run();
    assert_eq!((heard(&world, "everything"), world.position(LISTENERS)), (vec![], 0));
}

#[test]
fn a_policy_from_now_on_begins_at_the_end_and_stays_there_through_a_restart() {
    let mut world = World::following(Limits::default(), vec![(NEWS.into(), 5)]);
    assert_eq!(world.position("office.listeners@now"), 5);
    world.ends = vec![(Partition::only(NEWS), 8)];
    world.restart();
    follow(&mut world, 8);
    assert_eq!(heard(&world, "everything"), numbers(1..=8));
    assert_eq!(heard(&world, "news"), numbers(6..=8), "its place was kept, and is not the new end");
}

#[test]
fn a_restart_continues_behind_what_was_committed() {
    let mut world = World::with(Limits { batch_items: 4, backlog: 8, ..Limits::default() });
    world.said(1, &["1", "2", "3", "4", "5", "6", "7", "8"]);
    world.turn();
    world.restart();
    follow(&mut world, 20);
    assert_eq!(heard(&world, "everything"), numbers(1..=20));
    assert_eq!(world.row("listeners", "news", "speaker")["texts"].as_array().unwrap().len(), 20);
}

#[test]
fn a_failed_commit_hands_back_what_was_read_ahead() {
    let mut world = World::new();
    world.store.plan().fates.extend([Fate::Full; 2]);
    world.said(1, &["1", "2"]);
    world.pass(2_000);
    assert_eq!(heard(&world, "everything"), Vec::<String>::new());
    follow(&mut world, 4);
    assert_eq!(heard(&world, "everything"), numbers(1..=4));
}

#[test]
fn subscriptions_with_full_backlogs_miss_nothing_that_was_handed_to_others() {
    for batch_items in [1, 3, 7] {
        let limits = Limits { batch_items, backlog: 10, ..Limits::default() };
        let mut world = World::following(limits, vec![(NEWS.into(), 30)]);
        follow(&mut world, 100);
        assert_eq!(heard(&world, "everything"), numbers(1..=100), "{batch_items}");
        assert_eq!(heard(&world, "news"), numbers(31..=100), "{batch_items}");
        assert_eq!(world.row("listeners", "news", "speaker")["texts"].as_array().unwrap().len(), 100);
    }
}

#[test]
fn a_paused_service_misses_nothing_of_another_systems_topic() {
    let mut world = World::with(Limits { backlog: 4, ..Limits::default() });
    follow(&mut world, 3);
    world.pause("listeners", true);
    assert_eq!(world.core.wants(), []);
    world.said(7, &["7", "8"]);
    follow(&mut world, 10);
    assert_eq!(heard(&world, "everything").len(), 3);
    world.pause("listeners", false);
    follow(&mut world, 12);
    assert_eq!(heard(&world, "everything"), numbers(1..=12));
}
