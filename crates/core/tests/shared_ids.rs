//! Ids over one store: whoever gives them, none is given twice.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;

use common::shared_world::{Process, SharedWorld};
use common::system::{Do, Note};
use pabal_core::{CommandError, CommandOutcome, Limits};
use ports::Store;

/// Writes a note under an id that the client gives.
fn write_as(process: &Process, key: &str, id: u64) -> Result<CommandOutcome, CommandError> {
    let mut queued = process.world().request::<Note>(key, Do::Write("as asked".into()));
    queued.request.give_id = Some(id);
    process.world().done(queued)
}

#[test]
fn two_that_make_new_things_give_no_id_twice() {
    let shared = SharedWorld::with(Limits { batch_items: 7, ..Limits::default() });
    let [one, other] = [shared.join(), shared.join()];
    let mut ids = BTreeSet::new();
    for round in 0..40 {
        let both = [("one", &one), ("other", &other)];
        ids.extend(both.map(|(name, process)| process.write(&format!("{name} {round}"), "x").unwrap().id));
        if round % 10 == 9 {
            other.world().restart();
        }
    }
    assert_eq!((ids.len(), ids.contains(&0)), (80, false));
}

#[test]
fn two_that_make_the_same_thing_at_once_agree_on_its_id() {
    let shared = SharedWorld::new();
    let [one, other] = [shared.join(), shared.join()];
    one.write("before", "x").unwrap();
    let first = one.clone();
    other.meanwhile(move || drop(first.write("a", "one").unwrap()));
    let second = other.write("a", "other").unwrap();
    assert_eq!(second.id, one.write("a", "once more").unwrap().id);
}

#[test]
fn an_id_that_a_client_gives_is_not_given_again() {
    let shared = SharedWorld::with(Limits { batch_items: 4, ..Limits::default() });
    let [one, other] = [shared.join(), shared.join()];
    one.write("a", "x").unwrap();
    other.write("b", "x").unwrap();
    assert_eq!(write_as(&one, "c", 50).unwrap().id, 50);
    let ids: BTreeSet<u64> = (0..60).map(|key| other.write(&format!("k-{key}"), "x").unwrap().id).collect();
    assert!(!ids.contains(&50));
    assert_eq!(write_as(&other, "d", 50), Err(CommandError::IdTaken));
}

#[test]
fn an_id_that_a_client_gives_beside_new_things_in_one_batch_is_not_given_again() {
    let shared = SharedWorld::with(Limits { batch_items: 8, ..Limits::default() });
    let [one, other] = [shared.join(), shared.join()];
    one.write("a", "x").unwrap();
    let mut queued = one.world().request::<Note>("given", Do::Write("as asked".into()));
    queued.request.give_id = Some(50);
    let given = one.world().hand_in(queued);
    let beside = one.world().ask_to_write("beside", "x");
    one.run();
    assert_eq!(one.world().reply(given).unwrap().id, 50);
    assert!(one.world().reply(beside).is_ok());
    let table = one.world().model.find("desk", "note").unwrap().id;
    assert!(shared.shared.connect().ids(table, 1).unwrap().start > 50, "the store has heard of it");
    for key in 0..60 {
        assert!(other.write(&format!("k-{key}"), "x").is_ok(), "{key}");
    }
}

#[test]
fn an_id_out_of_anothers_range_stops_no_instance() {
    let shared = SharedWorld::new();
    let [one, other] = [shared.join(), shared.join()];
    let first = one.write("a", "x").unwrap().id;
    assert!(write_as(&other, "given", first + 1).is_ok(), "the first has it, and has not given it yet");
    let ids: Vec<u64> = (0..3).map(|key| one.write(&format!("k-{key}"), "x").unwrap().id).collect();
    assert!(!ids.contains(&(first + 1)));
}
