//! Rebuilding a view beside the one that serves.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::store::Fate;
use common::world::World;
use pabal_core::{Input, Limits};
use ports::{Query, Reader, StoredRow};

const BOOK: &str = "office.book.lines";

fn rebuild(world: &mut World) {
    world.input(Input::Rebuild { view: "lines".into() });
}

/// Everything that readers of the view can see.
fn seen(world: &World) -> (Vec<StoredRow>, Vec<Vec<(String, u64)>>) {
    let table = world.model.find("book", "lines").unwrap();
    let rows = world.reader.page(table.id, &Query::first(10_000)).unwrap().rows;
    let counters = ["", "last", "gone", "last*gone"].map(|name| world.reader.counters(table.id, name).unwrap());
    (rows, counters.to_vec())
}

fn some_notes(world: &mut World, number: usize) {
    for place in 0..number {
        world.write(&format!("n-{}", place % 7), &format!("text {place}")).unwrap();
    }
}

#[test]
fn a_finished_rebuild_is_what_the_live_view_was() {
    for batch_items in [1, 5, 512] {
        let mut world = World::with(Limits { batch_items, ..Limits::default() });
        some_notes(&mut world, 30);
        world.command::<common::system::Note>("n-0", common::system::Do::Remove).unwrap();
        let live = seen(&world);
        rebuild(&mut world);
        world.run();
        assert!(world.status().rebuild.is_none());
        assert_eq!(seen(&world), live);
        world.write("n-1", "afterwards").unwrap();
        assert_eq!(world.line("n-1").last().unwrap(), "afterwards");
        world.restart();
        world.write("n-1", "and after a restart").unwrap();
        assert_eq!(world.line("n-1").last().unwrap(), "and after a restart");
    }
}

#[test]
fn an_empty_view_can_be_rebuilt_and_one_that_is_not_there_is_nothing() {
    let mut world = World::new();
    rebuild(&mut world);
    world.input(Input::Rebuild { view: "nothing".into() });
    world.run();
    assert!(world.status().rebuild.is_none());
    some_notes(&mut world, 3);
    assert_eq!(world.line("n-0"), ["text 0"]);
}

#[test]
fn a_rebuild_ends_even_if_every_batch_brings_new_events() {
    let mut world = World::with(Limits { batch_items: 4, ..Limits::default() });
    some_notes(&mut world, 30);
    rebuild(&mut world);
    let mut turns = 0;
    loop {
        world.ask_to_write("busy", &format!("text {turns}"));
        world.turn();
        turns += 1;
        let begun = turns > 1;
        if begun && world.status().rebuild.is_none() {
            break;
        }
        assert!(turns < 200, "{:?}", world.status());
    }
    world.run();
    let expected: Vec<String> = (0..turns).map(|turn| format!("text {turn}")).collect();
    assert_eq!(world.line("busy"), expected, "each event once");
    let live = seen(&world);
    rebuild(&mut world);
    world.run();
    assert_eq!(seen(&world), live);
}

#[test]
fn readers_see_the_old_view_until_the_new_one_is_finished() {
    let mut world = World::with(Limits { batch_items: 5, ..Limits::default() });
    some_notes(&mut world, 30);
    let live = seen(&world);
    rebuild(&mut world);
    for _ in 0..4 {
        world.turn();
        assert!(world.status().rebuild.is_some());
        assert_eq!(seen(&world), live);
    }
    assert!(world.status().rebuild.unwrap().position > 0);
}

#[test]
fn an_event_that_fails_gives_the_rebuild_up_and_the_old_view_serves_on() {
    for text in ["unreadable", "panic-view", "panic-field"] {
        let mut world = World::new();
        some_notes(&mut world, 10);
        world.write("bad", text).unwrap();
        some_notes(&mut world, 10);
        let live = seen(&world);
        rebuild(&mut world);
        world.run();
        let status = world.status().rebuild.unwrap();
        assert!(status.failed.is_some_and(|cause| cause.starts_with("at 21: lines")), "{text}");
        assert_eq!(seen(&world), live);
        assert_eq!(world.parked(BOOK).len(), 1, "what is parked remains so");
        world.write("n-0", "afterwards").unwrap();
        assert_eq!(world.line("n-0").last().unwrap(), "afterwards");
    }
}

#[test]
fn a_page_that_the_store_refuses_gives_the_rebuild_up() {
    let mut world = World::new();
    some_notes(&mut world, 10);
    let live = seen(&world);
    world.store.plan().refused_key = Some("n-3".into());
    rebuild(&mut world);
    world.pass(1_000);
    assert!(world.status().rebuild.unwrap().failed.is_some());
    assert_eq!(seen(&world), live);
    world.store.plan().refused_key = None;
    rebuild(&mut world);
    world.run();
    assert!(world.status().rebuild.is_none());
    assert_eq!(seen(&world), live);
}

#[test]
fn what_was_parked_for_the_old_view_vanishes_with_it() {
    let mut world = World::new();
    world.write("a", "one").unwrap();
    world.write("b", "same-id").unwrap();
    world.write("b", "two").unwrap();
    assert_eq!(world.parked(BOOK).len(), 2, "an id of another row: {:?}", world.parked(BOOK));
    // The row that stood in the way is gone from the log: pruned, as a fixed view's fault would be.
    let table = world.model.find("book", "lines").unwrap().id;
    assert_eq!(world.reader.by_key(table, "b").unwrap(), None);
    prune(&mut world, 1);
    rebuild(&mut world);
    world.run();
    assert!(world.status().rebuild.is_none(), "{:?}", world.status().rebuild);
    assert_eq!((world.parked(BOOK), world.status().parked_keys), (vec![], 0));
    assert_eq!(world.line("b"), ["same-id", "two"], "what was parked is in the new one, once");
    world.write("b", "three").unwrap();
    assert_eq!(world.line("b").len(), 3);
}

/// Removes the log's first records.
fn prune(world: &mut World, upto: u64) {
    ports::Store::prune(&mut world.reader, i64::MAX, upto, 0, usize::MAX).unwrap();
}

#[test]
fn a_crash_in_the_middle_leaves_the_old_view() {
    let mut world = World::with(Limits { batch_items: 5, ..Limits::default() });
    some_notes(&mut world, 30);
    let live = seen(&world);
    rebuild(&mut world);
    for _ in 0..4 {
        world.turn();
    }
    world.restart();
    world.run();
    assert!(world.status().rebuild.is_none());
    assert_eq!(seen(&world), live);
    rebuild(&mut world);
    world.run();
    assert_eq!(seen(&world), live, "what the first one left does not matter");
}

#[test]
fn a_rebuild_goes_on_when_the_store_works_again() {
    for skipped in 0..12 {
        let mut world = World::with(Limits { batch_items: 10, ..Limits::default() });
        some_notes(&mut world, 20);
        let live = seen(&world);
        world.store.plan().fates.extend([Fate::Fine].repeat(skipped));
        world.store.plan().fates.extend([Fate::Full, Fate::LostUnheard, Fate::AppliedUnheard]);
        rebuild(&mut world);
        world.pass(5_000);
        assert!(world.status().rebuild.is_none(), "{skipped}: {:?}", world.status());
        assert_eq!(seen(&world), live, "{skipped}");
    }
}

#[test]
fn a_view_of_another_systems_events_is_not_rebuilt_from_this_systems_log() {
    let mut world = World::new();
    world.said(1, &["hello"]);
    world.run();
    some_notes(&mut world, 3);
    world.input(Input::Rebuild { view: "news".into() });
    world.run();
    assert!(world.status().rebuild.unwrap().failed.is_some());
    assert_eq!(world.row("listeners", "news", "speaker")["texts"][0], "hello");
    assert_eq!(world.position("office.listeners.news"), 1);
    rebuild(&mut world);
    world.run();
    assert!(world.status().rebuild.is_none(), "another view can be");
}

#[test]
fn old_events_do_not_go_while_a_rebuild_needs_them() {
    let mut world = World::with(Limits { retention_ms: Some(0), batch_items: 4, ..Limits::default() });
    some_notes(&mut world, 30);
    let live = seen(&world);
    world.now_ms += 100_000;
    rebuild(&mut world);
    world.run();
    assert_eq!(seen(&world).0.len(), live.0.len());
}
