//! A relay may publish a record twice: at two positions, under one number. It takes effect once.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::store::Fate;
use common::system::NEWS;
use common::world::{World, said};
use in_memory::SharedMemory;
use pabal_core::{Input, Limits};
use ports::{Delivery, Model, Partition, Record, Stamp};

const LISTENERS: &str = "office.listeners";

/// A process of its own, which reads partition 0.
fn world() -> World {
    let shared = SharedMemory::new(&Model::new(common::system::office()).unwrap(), 10_000);
    let mut world = World::beside(&shared, Limits { event_retries_ms: vec![1_000; 9], ..Limits::default() });
    world.own(vec![(Partition::only(NEWS), 0)]);
    world
}

/// At this position something is said, which is this number of that outbox.
fn from(outbox: &str, number: u64, seq: u64, text: &str) -> Delivery {
    let stamp = (!outbox.is_empty()).then(|| Stamp { outbox: outbox.into(), number });
    Delivery { record: said(seq, text), stamp }
}

fn hand_over(world: &mut World, deliveries: Vec<Delivery>) {
    world.input(Input::Delivered { partition: Partition::only(NEWS), deliveries });
}

fn deliver(world: &mut World, deliveries: Vec<Delivery>) {
    hand_over(world, deliveries);
    world.run();
}

fn heard(world: &World) -> Vec<String> {
    serde_json::from_value(world.row("listeners", "heard", "everything")["texts"].clone()).unwrap_or_default()
}

fn numbers(world: &World) -> (u64, Vec<(String, u64)>) {
    let consumer_offset = world.store.inner().consumer_offset(LISTENERS, &Partition::only(NEWS)).unwrap().unwrap();
    (consumer_offset.position, consumer_offset.numbers)
}

#[test]
fn a_record_that_stands_at_two_positions_under_one_number_takes_effect_once() {
    let mut world = world();
    deliver(&mut world, vec![from("one", 1, 1, "a"), from("one", 2, 2, "b")]);
    deliver(&mut world, vec![from("one", 2, 3, "b"), from("one", 3, 4, "c")]);
    assert_eq!(heard(&world), ["a", "b", "c"]);
    assert_eq!(numbers(&world), (4, vec![("one".into(), 3)]), "it has passed the repetition");
}

#[test]
fn a_repetition_within_one_batch_is_known_too() {
    let mut world = world();
    deliver(&mut world, vec![from("one", 1, 1, "a"), from("one", 1, 2, "a"), from("one", 2, 3, "b"), from("one", 1, 4, "a")]);
    assert_eq!(heard(&world), ["a", "b"]);
    assert_eq!(numbers(&world), (4, vec![("one".into(), 2)]));
}

#[test]
fn a_whole_batch_of_repetitions_moves_the_position_and_nothing_else() {
    let mut world = world();
    deliver(&mut world, vec![from("one", 1, 1, "a"), from("one", 2, 2, "b")]);
    let log = world.log();
    deliver(&mut world, vec![from("one", 1, 3, "a"), from("one", 2, 4, "b")]);
    assert_eq!((heard(&world), world.log()), (vec!["a".to_owned(), "b".to_owned()], log));
    assert_eq!(numbers(&world), (4, vec![("one".into(), 2)]));
}

#[test]
fn a_repetition_is_known_after_a_restart() {
    let mut world = world();
    deliver(&mut world, vec![from("one", 1, 1, "a"), from("one", 2, 2, "b")]);
    world.restart();
    world.run();
    deliver(&mut world, vec![from("one", 1, 3, "a"), from("one", 2, 4, "b"), from("one", 3, 5, "c")]);
    assert_eq!(heard(&world), ["a", "b", "c"]);
}

#[test]
fn a_repetition_is_known_by_the_process_that_the_partition_is_given_to() {
    let shared = SharedMemory::new(&Model::new(common::system::office()).unwrap(), 10_000);
    let [mut one, mut other] = [(); 2].map(|()| World::beside(&shared, Limits::default()));
    one.own(vec![(Partition::only(NEWS), 0)]);
    deliver(&mut one, vec![from("one", 1, 1, "a"), from("one", 2, 2, "b")]);
    one.lose(&[Partition::only(NEWS)]);
    other.own(vec![(Partition::only(NEWS), 3)]);
    deliver(&mut other, vec![from("one", 2, 3, "b"), from("one", 3, 4, "c")]);
    assert_eq!(heard(&other), ["a", "b", "c"]);
}

#[test]
fn each_outbox_is_counted_by_itself() {
    let mut world = world();
    deliver(&mut world, vec![from("one", 7, 1, "a"), from("other", 2, 2, "b"), from("one", 8, 3, "c")]);
    deliver(&mut world, vec![from("other", 2, 4, "b"), from("other", 3, 5, "d"), from("one", 8, 6, "c")]);
    assert_eq!(heard(&world), ["a", "b", "c", "d"]);
    let (_, mut of) = numbers(&world);
    of.sort();
    assert_eq!(of, [("one".into(), 8), ("other".into(), 3)]);
}

#[test]
fn each_partition_is_counted_by_itself() {
    let mut world = world();
    let beside = Partition { number: 1, ..Partition::only(NEWS) };
    world.own(vec![(Partition::only(NEWS), 0), (beside.clone(), 0)]);
    deliver(&mut world, vec![from("one", 9, 1, "a")]);
    world.input(Input::Delivered { partition: beside, deliveries: vec![from("one", 4, 1, "b")] });
    world.run();
    assert_eq!(heard(&world), ["a", "b"], "numbers rise within a partition, and jump between them");
}

#[test]
fn a_record_without_a_number_is_known_by_its_position_only() {
    let mut world = world();
    deliver(&mut world, vec![from("", 0, 1, "a"), from("one", 1, 2, "b")]);
    deliver(&mut world, vec![from("", 0, 1, "a")]);
    assert_eq!(heard(&world), ["a", "b"], "the same position is the same record");
    deliver(&mut world, vec![from("", 0, 3, "a"), from("one", 1, 4, "b")]);
    assert_eq!(heard(&world), ["a", "b", "a"], "another position is another record");
}

#[test]
fn a_number_counts_once_its_batch_is_committed() {
    let mut world = world();
    world.store.plan().fates.extend([Fate::Full; 2]);
    deliver(&mut world, vec![from("one", 1, 1, "a"), from("one", 2, 2, "b")]);
    world.pass(2_000);
    assert_eq!(heard(&world), Vec::<String>::new());
    deliver(&mut world, vec![from("one", 1, 1, "a"), from("one", 2, 2, "b")]);
    assert_eq!(heard(&world), ["a", "b"]);
}

#[test]
fn a_parked_record_that_comes_again_is_parked_once() {
    let topic = Partition::only(common::system::TOPIC);
    let shared = SharedMemory::new(&Model::new(common::system::office()).unwrap(), 10_000);
    let mut world = World::beside(&shared, Limits { event_retries_ms: vec![1_000; 9], ..Limits::default() });
    world.own(vec![(topic.clone(), 0)]);
    world.write("a", "gated").unwrap();
    let all = ports::LogQuery { limit: 9, ..Default::default() };
    let written = ports::Reader::log(&world.reader, &all).unwrap().remove(0);
    for seq in [1, 2] {
        let record = Record { seq, ..written.clone() };
        let stamp = Some(Stamp { outbox: "one".into(), number: 1 });
        world.input(Input::Delivered { partition: topic.clone(), deliveries: vec![Delivery { record, stamp }] });
        world.run();
    }
    assert_eq!(world.parked("office.copies").len(), 1);
    world.open_the_gate();
    world.pass(2_000);
    assert_eq!((world.copies("a"), world.line("a")), (vec!["gated".to_owned()], vec!["gated".to_owned()]));
}
