//! Partitions of a broker: each subscription has a place in each of them, for as long as it is this process's.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::system::{NEWS, TOPIC};
use common::world::{World, said};
use in_memory::SharedMemory;
use pabal_core::{Input, Limits};
use ports::{Model, Partition, Reader, Record};

const LISTENERS: &str = "office.listeners";
const COPIES: &str = "office.copies";
const LEASE_MS: i64 = 10_000;

fn news(number: u32) -> Partition {
    Partition { topic: NEWS.into(), number }
}

fn own(number: u32) -> Partition {
    Partition { topic: TOPIC.into(), number }
}

/// Partitions that are empty when they are assigned.
fn from_the_beginning(partitions: &[Partition]) -> Vec<(Partition, u64)> {
    partitions.iter().map(|partition| (partition.clone(), 0)).collect()
}

fn shared() -> SharedMemory {
    SharedMemory::new(&Model::new(common::system::office()).unwrap(), LEASE_MS)
}

/// A process with these partitions.
fn with(partitions: &[Partition]) -> World {
    let mut world = World::beside(&shared(), Limits::default());
    world.own(from_the_beginning(partitions));
    world
}

/// Something is said, under a key of its own.
fn says(seq: u64, key: &str, text: &str) -> Record {
    Record { key: key.into(), ..said(seq, text) }
}

/// Hands over and runs.
fn hear(world: &mut World, partition: &Partition, records: Vec<Record>) {
    world.deliver(partition, records);
    world.run();
}

fn heard(world: &World, key: &str) -> Vec<String> {
    serde_json::from_value(world.row("listeners", "heard", key)["texts"].clone()).unwrap_or_default()
}

fn stands(world: &World, subscription: &str, partition: &Partition) -> Option<u64> {
    world.store.inner().consumer_offset(subscription, partition).unwrap().map(|consumer_offset| consumer_offset.position)
}

/// The partitions that are wanted, each with the position behind which.
fn wants(world: &World) -> Vec<(Partition, u64)> {
    world.core.wants().into_iter().map(|(partition, after, _)| (partition, after)).collect()
}

/// What the system's own log has, as a relay brings it to a partition of its topic: from its first position on.
fn relayed(world: &World) -> Vec<Record> {
    let all = ports::LogQuery { limit: 1_000, ..Default::default() };
    world.reader.log(&all).unwrap()
}

#[test]
fn a_subscription_stands_in_each_partition_by_itself() {
    let mut world = with(&[news(0), news(1)]);
    hear(&mut world, &news(0), vec![says(1, "a", "one"), says(2, "a", "two")]);
    hear(&mut world, &news(1), vec![says(1, "b", "three")]);
    assert_eq!(heard(&world, "everything"), ["one", "two", "three"], "position 1 of each is another record");
    assert_eq!((stands(&world, LISTENERS, &news(0)), stands(&world, LISTENERS, &news(1))), (Some(2), Some(1)));
    assert_eq!(stands(&world, LISTENERS, &news(2)), None);
    assert_eq!(world.position(LISTENERS), 3);
}

#[test]
fn what_is_wanted_is_what_is_assigned_behind_what_was_read() {
    let mut world = World::beside(&shared(), Limits::default());
    world.run();
    assert_eq!(wants(&world), []);
    world.own(from_the_beginning(&[news(0), news(1), own(3)]));
    assert_eq!(wants(&world), [(news(0), 0), (news(1), 0), (own(3), 0)]);
    world.deliver(&news(1), vec![says(1, "a", "one"), says(2, "a", "two")]);
    assert_eq!(wants(&world)[1], (news(1), 2), "read ahead, though not handled yet");
    world.run();
    world.lose(&[news(0), own(3)]);
    assert_eq!(wants(&world), [(news(1), 2)]);
}

#[test]
fn a_partition_is_wanted_only_once_it_is_known_where_its_subscriptions_stand() {
    let mut world = World::beside(&shared(), Limits::default());
    world.input(Input::Assigned { partitions: from_the_beginning(&[news(0)]) });
    assert_eq!(wants(&world), []);
    world.deliver(&news(0), vec![says(1, "a", "too early")]);
    world.run();
    assert_eq!(heard(&world, "everything"), Vec::<String>::new());
    assert_eq!(wants(&world), [(news(0), 0)], "it is asked for now");
}

#[test]
fn records_of_a_partition_that_is_anothers_are_nothing() {
    let mut world = with(&[news(0)]);
    hear(&mut world, &news(1), vec![says(1, "a", "not mine")]);
    assert_eq!((heard(&world, "everything"), stands(&world, LISTENERS, &news(1))), (vec![], None));
}

#[test]
fn the_backlog_of_a_partition_that_is_revoked_is_never_handled() {
    let mut world = with(&[news(0), news(1)]);
    world.deliver(&news(0), vec![says(1, "a", "lost")]);
    world.deliver(&news(1), vec![says(1, "b", "kept")]);
    world.lose(&[news(0)]);
    world.deliver(&news(0), vec![says(2, "a", "too late")]);
    world.run();
    assert_eq!(heard(&world, "everything"), ["kept"]);
    assert_eq!(stands(&world, LISTENERS, &news(0)), Some(0));
    assert!(
        world
            .status()
            .subscriptions
            .iter()
            .all(|subscription| (subscription.topic.as_str(), subscription.partition) != (NEWS, 0))
    );
}

#[test]
fn a_partition_that_comes_back_is_read_on_from_where_it_stands_then() {
    let shared = shared();
    let mut one = World::beside(&shared, Limits::default());
    let mut other = World::beside(&shared, Limits::default());
    one.own(from_the_beginning(&[news(0)]));
    hear(&mut one, &news(0), vec![says(1, "a", "one"), says(2, "a", "two")]);
    one.lose(&[news(0)]);
    other.own(vec![(news(0), 4)]);
    assert_eq!(wants(&other), [(news(0), 2)], "who is new there goes on where the other has ended");
    hear(&mut other, &news(0), vec![says(3, "a", "three"), says(4, "a", "four")]);
    other.lose(&[news(0)]);
    one.own(vec![(news(0), 4)]);
    assert_eq!(wants(&one), [(news(0), 4)], "and back, not where it was itself");
    hear(&mut one, &news(0), vec![says(5, "a", "five")]);
    assert_eq!(heard(&one, "everything"), ["one", "two", "three", "four", "five"]);
}

#[test]
fn a_policy_from_now_on_begins_at_the_end_of_each_partition_and_only_once() {
    let mut world = World::beside(&shared(), Limits::default());
    world.own(vec![(news(0), 7), (news(1), 2)]);
    let now = "office.listeners@now";
    assert_eq!((stands(&world, now, &news(0)), stands(&world, now, &news(1))), (Some(7), Some(2)));
    assert_eq!(stands(&world, LISTENERS, &news(0)), Some(0), "the others begin at the beginning");
    world.lose(&[news(0)]);
    world.own(vec![(news(0), 30)]);
    assert_eq!(stands(&world, now, &news(0)), Some(7), "its place was kept");
}

#[test]
fn parked_keys_leave_with_their_partition_and_come_back_with_it() {
    let limits = Limits { event_retries_ms: vec![1_000; 20], ..Limits::default() };
    let mut world = World::beside(&shared(), limits);
    world.own(from_the_beginning(&[own(0), own(1)]));
    world.write("a", "gated").unwrap();
    let records = relayed(&world);
    hear(&mut world, &own(1), records);
    assert_eq!((world.status().parked_keys, world.parked(COPIES)[0].partition), (1, 1));
    world.lose(&[own(1)]);
    assert_eq!(world.status().parked_keys, 0);
    world.open_the_gate();
    world.pass(60_000);
    assert_eq!((world.copies("a"), world.parked(COPIES).len()), (vec![], 1), "another process's to try again");
    world.own(vec![(own(1), 1)]);
    world.pass(2_000);
    assert_eq!((world.copies("a"), world.parked(COPIES).len(), world.status().parked_keys), (vec!["gated".to_owned()], 0, 0));
}

#[test]
fn a_key_that_is_parked_in_one_partition_does_not_block_it_in_another() {
    let mut world = with(&[own(0), own(1)]);
    world.write("a", "gated").unwrap();
    world.write("a", "later").unwrap();
    let [first, second] = relayed(&world).try_into().unwrap();
    hear(&mut world, &own(0), vec![first]);
    hear(&mut world, &own(1), vec![Record { seq: 1, ..second }]);
    assert_eq!((world.copies("a"), world.parked(COPIES).len()), (vec!["later".to_owned()], 1));
}

#[test]
fn the_own_events_are_handled_when_the_broker_brings_them_and_not_before() {
    let mut world = with(&[own(0)]);
    world.write("a", "one").unwrap();
    world.pass(10_000);
    assert_eq!((world.copies("a"), world.line("a")), (vec![], vec![]), "nothing is handled in the same batch");
    assert_eq!(world.status().subscriptions.iter().map(|subscription| subscription.lag).sum::<u64>(), 0);
    let records = relayed(&world);
    hear(&mut world, &own(0), records);
    assert_eq!((world.copies("a"), world.line("a")), (vec!["one".to_owned()], vec!["one".to_owned()]));
    assert_eq!(stands(&world, COPIES, &own(0)), Some(1));
    assert_eq!(world.log().len(), 2, "what follows from it is in the log, and handled when it has come round");
}

#[test]
fn a_restart_finds_every_partition_where_it_was_committed() {
    let mut world = with(&[news(0), news(1), own(0)]);
    hear(&mut world, &news(0), vec![says(1, "a", "one"), says(2, "a", "two")]);
    world.deliver(&news(1), vec![says(1, "b", "not handled yet")]);
    world.restart();
    world.run();
    assert_eq!(wants(&world), [(news(0), 2), (news(1), 0), (own(0), 0)]);
    hear(&mut world, &news(1), vec![says(1, "b", "three")]);
    assert_eq!(heard(&world, "everything"), ["one", "two", "three"]);
}

#[test]
fn a_partition_that_is_assigned_again_without_being_revoked_misses_and_repeats_nothing() {
    let mut world = with(&[news(0)]);
    hear(&mut world, &news(0), vec![says(1, "a", "one")]);
    world.deliver(&news(0), vec![says(2, "a", "two")]);
    world.own(vec![(news(0), 2)]);
    assert_eq!(wants(&world), [(news(0), 1)], "what was read ahead is read again");
    hear(&mut world, &news(0), vec![says(2, "a", "two")]);
    assert_eq!(heard(&world, "everything"), ["one", "two"]);
}

#[test]
fn a_service_that_is_paused_when_a_partition_comes_stays_paused() {
    let mut world = World::beside(&shared(), Limits::default());
    world.pause("listeners", true);
    world.own(from_the_beginning(&[news(0)]));
    assert_eq!(wants(&world), []);
    world.pause("listeners", false);
    world.run();
    assert_eq!(wants(&world), [(news(0), 0)]);
}
