//! Two cores over one store: the second commit is decided again, and nothing takes effect twice.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::shared_world::{Process, SharedWorld};
use common::store::Fate;
use common::system::{Copied, CopyDo, Do, Errand, Go, Note, TOPIC};
use common::world::{once, until_heard};
use pabal_core::{CommandError, Limits};
use ports::Partition;

const COPIES: &str = "office.copies";

/// Takes a text into a copy: every taking is to be seen in it.
fn take(process: &Process, key: &str, text: &str) -> u64 {
    process.world().command::<Copied>(key, CopyDo::Take(text.into())).unwrap().version
}

/// How often an event of this type and key is in the log.
fn logged(shared: &SharedWorld, event_type: &str, key: &str) -> usize {
    shared.log().iter().filter(|record| record.event_type == event_type && record.key == key).count()
}

fn two(shared: &SharedWorld) -> [Process; 2] {
    [shared.join(), shared.join()]
}

#[test]
fn what_one_has_committed_the_other_decides_upon() {
    let shared = SharedWorld::new();
    let [one, other] = two(&shared);
    for round in 0..3 {
        assert_eq!(take(&one, "a", "one"), 2 * round + 1);
        assert_eq!(take(&other, "a", "other"), 2 * round + 2);
    }
    assert_eq!(one.copies("a").len(), 6);
    one.write("b", "same").unwrap();
    assert!(!other.write("b", "same").unwrap().changed, "it is there, whoever has written it");
}

#[test]
fn the_second_commit_decides_again_and_both_are_answered_rightly() {
    let shared = SharedWorld::new();
    let [one, other] = two(&shared);
    other.meanwhile(move || assert_eq!(take(&one, "a", "one"), 1));
    let done = other.world().command::<Copied>("a", CopyDo::Take("other".into())).unwrap();
    assert_eq!((done.version, done.created, done.changed), (2, false, true), "it did not come to be by this one");
    assert_eq!(&*done.state.unwrap(), r#"{"texts":["one","other"]}"#);
    assert_eq!((other.copies("a"), logged(&shared, "Taken", "a")), (vec!["one".into(), "other".into()], 2));
}

#[test]
fn a_command_that_expected_a_version_is_stale_once_another_was_first() {
    let shared = SharedWorld::new();
    let [one, other] = two(&shared);
    one.write("a", "first").unwrap();
    let racing = one.clone();
    other.meanwhile(move || drop(racing.write("a", "second").unwrap()));
    let mut queued = other.world().request::<Note>("a", Do::Write("third".into()));
    queued.request.expected_version = Some(1);
    assert_eq!(other.world().done(queued), Err(CommandError::Stale));
    assert_eq!(one.world().note("a").as_deref(), Some("second"));
}

#[test]
fn a_conflict_of_one_key_leaves_the_rest_of_its_batch_whole() {
    let shared = SharedWorld::new();
    let [one, other] = two(&shared);
    other.meanwhile(move || assert_eq!(take(&one, "k-3", "one"), 1));
    let ask = |key: usize| other.world().ask::<Copied>(&format!("k-{key}"), CopyDo::Take("x".into()));
    let tickets: Vec<u64> = (0..8).map(ask).collect();
    other.run();
    assert!(tickets.into_iter().all(|ticket| other.world().reply(ticket).is_ok()));
    assert!((0..8).all(|key| logged(&shared, "Taken", &format!("k-{key}")) == 1 + usize::from(key == 3)));
}

#[test]
fn one_that_others_always_come_before_says_so_in_the_end_and_goes_on_afterwards() {
    let mut shared = SharedWorld::new();
    let [one, other] = two(&shared);
    for _ in 0..100 {
        let one = one.clone();
        other.meanwhile(move || assert!(take(&one, "a", "one") > 0));
    }
    let done = other.world().command::<Copied>("a", CopyDo::Take("other".into()));
    assert!(matches!(done, Err(CommandError::Unavailable(_))), "{done:?}");
    let store = other.world().store.clone();
    assert!(store.plan().meanwhile.len() > 50, "it does not try for ever");
    store.plan().meanwhile.clear();
    shared.pass(&[&one, &other], 1_000);
    take(&other, "a", "other");
    assert_eq!(one.copies("a").iter().filter(|text| *text == "other").count(), 1, "what was unavailable was not done");
}

#[test]
fn an_idempotency_key_that_both_are_given_is_carried_out_once() {
    let shared = SharedWorld::new();
    let [one, other] = two(&shared);
    let send = |process: &Process, fingerprint: &str| {
        let mut queued = process.world().request::<Copied>("a", CopyDo::Take("x".into()));
        queued.request.idempotency = Some(once("key", fingerprint));
        process.world().done(queued)
    };
    other.meanwhile(move || {
        let done = send(&one, "same").unwrap();
        assert_eq!((done.replayed, done.version), (false, 1));
    });
    let done = send(&other, "same").unwrap();
    assert_eq!((done.replayed, done.version, done.created), (true, 1, true), "it is the other's answer");
    assert_eq!(other.copies("a"), ["x"]);
    assert_eq!(send(&other, "another"), Err(CommandError::KeyReused));
}

#[test]
fn an_idempotency_key_for_another_row_is_carried_out_once_too() {
    let shared = SharedWorld::new();
    let [one, other] = two(&shared);
    let send = |process: &Process, key: &str| {
        let mut queued = process.world().request::<Copied>(key, CopyDo::Take("x".into()));
        queued.request.idempotency = Some(once("key", "same"));
        process.world().done(queued).unwrap()
    };
    other.meanwhile(move || drop(send(&one, "a")));
    assert!(send(&other, "b").replayed, "no row stands in the way, only the key");
    assert_eq!((other.copies("a").len(), other.copies("b").len()), (1, 0));
}

#[test]
fn a_timer_that_both_see_fires_once() {
    let mut shared = SharedWorld::new();
    let [one, other] = two(&shared);
    let due_ms = one.world().now_ms + 3_000;
    one.world().command::<Errand>("a", Go::Remind(due_ms)).unwrap();
    shared.pass(&[&one, &other], 2_500);
    shared.pass(&[], 500);
    shared.awake(&one);
    shared.awake(&other);
    other.meanwhile(move || one.run());
    other.run();
    shared.pass(&[&other], 10_000);
    assert_eq!(other.heard("errand", "a"), ["reminded"]);
}

#[test]
fn a_timer_that_another_moves_when_it_is_due_fires_when_it_was_moved_to() {
    let mut shared = SharedWorld::new();
    let [one, other] = two(&shared);
    let due_ms = one.world().now_ms + 3_000;
    let later = |at_ms: i64, text: &str| Do::Later("t".into(), at_ms, text.into());
    one.world().command::<Note>("a", later(due_ms, "early")).unwrap();
    shared.pass(&[&one, &other], 2_500);
    shared.pass(&[], 500);
    shared.awake(&other);
    let moving = one.clone();
    other.meanwhile(move || drop(moving.world().command::<Note>("a", later(due_ms + 2_000, "late")).unwrap()));
    other.run();
    assert_eq!(other.world().note("a"), None, "no row has changed, only the timer");
    shared.pass(&[&one, &other], 2_000);
    assert_eq!((other.world().note("a").as_deref(), logged(&shared, "Written", "a")), (Some("late"), 1));
}

#[test]
fn a_timer_of_a_process_that_hangs_is_fired_by_another() {
    let mut shared = SharedWorld::new();
    let [one, other] = two(&shared);
    let due_ms = one.world().now_ms + 3_000;
    one.world().command::<Errand>("a", Go::Remind(due_ms)).unwrap();
    shared.pass(&[&other], 2_500);
    assert_eq!(other.heard("errand", "a"), [""; 0]);
    shared.pass(&[&other], 1_500);
    assert_eq!(other.heard("errand", "a"), ["reminded"]);
}

#[test]
fn a_parked_event_that_both_think_theirs_is_retried_once() {
    let mut shared = SharedWorld::with(Limits { event_retries_ms: vec![2_000; 9], ..Limits::default() });
    let [one, other] = two(&shared);
    one.own();
    one.write("a", "gated").unwrap();
    one.deliver(shared.log());
    one.run();
    other.own(); // the first has not heard yet that it has lost it
    assert_eq!((one.status().parked_keys, other.status().parked_keys), (1, 1));
    one.world().open_the_gate();
    shared.pass(&[], 2_500);
    shared.awake(&one);
    shared.awake(&other);
    let first = one.clone();
    other.meanwhile(move || first.run());
    other.run();
    shared.pass(&[&one, &other], 10_000);
    assert_eq!((one.copies("a"), one.parked(COPIES).len()), (vec!["gated".to_owned()], 0));
    assert_eq!((one.status().parked_keys, other.status().parked_keys), (0, 0));
}

#[test]
fn a_parked_event_that_fails_again_in_both_has_been_tried_once_more() {
    let mut shared = SharedWorld::with(Limits { event_retries_ms: vec![2_000; 9], ..Limits::default() });
    let [one, other] = two(&shared);
    one.own();
    one.write("a", "gated").unwrap();
    one.deliver(shared.log());
    one.run();
    other.own();
    shared.pass(&[], 2_500);
    shared.awake(&one);
    shared.awake(&other);
    let first = one.clone();
    other.meanwhile(move || first.run());
    other.run();
    assert_eq!(one.parked(COPIES)[0].attempts, 2);
}

#[test]
fn a_zombie_whose_partition_is_anothers_does_nothing_twice() {
    let mut shared = SharedWorld::new();
    let [zombie, heir] = two(&shared);
    zombie.own();
    for text in ["one", "two", "three"] {
        heir.write("a", text).unwrap();
    }
    zombie.deliver(shared.log());
    heir.own();
    heir.deliver(shared.log());
    let first = heir.clone();
    zombie.meanwhile(move || first.run());
    zombie.run();
    shared.pass(&[&zombie, &heir], 5_000);
    assert_eq!((heir.copies("a"), heir.line("a")), (strings(&["one", "two", "three"]), strings(&["one", "two", "three"])));
    let wants = zombie.world().core.wants();
    assert_eq!(wants.first().map(|(_, after, _)| *after), Some(3), "it has read where the other has come to");
    zombie.world().lose(&[Partition::only(TOPIC)]);
    assert_eq!(zombie.world().core.wants(), []);
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_zombie_that_parks_what_another_has_handled_parks_nothing() {
    let shared = SharedWorld::new();
    let [zombie, heir] = two(&shared);
    zombie.own();
    heir.own();
    heir.write("a", "gated").unwrap();
    let records = shared.log();
    zombie.deliver(records.clone());
    let first = heir.clone();
    zombie.meanwhile(move || {
        first.world().open_the_gate();
        first.deliver(records);
        first.run();
    });
    zombie.run();
    assert_eq!((heir.copies("a"), heir.parked(COPIES).len()), (strings(&["gated"]), 0));
    assert_eq!(zombie.status().parked_keys, 0);
}

#[test]
fn two_that_are_given_a_new_partition_at_once_both_find_their_place() {
    let shared = SharedWorld::new();
    let [zombie, heir] = two(&shared);
    let first = heir.clone();
    zombie.meanwhile(move || first.own());
    zombie.own();
    assert_eq!(zombie.status().cause, None);
    let wants = heir.world().core.wants();
    assert_eq!((wants.len(), zombie.world().core.wants()), (1, wants));
    heir.write("a", "one").unwrap();
    for process in [&zombie, &heir] {
        process.deliver(shared.log());
        process.run();
    }
    assert_eq!(heir.copies("a"), ["one"]);
}

#[test]
fn a_commit_of_unknown_outcome_is_asked_after_by_the_instance_that_made_it() {
    let shared = SharedWorld::new();
    let [one, other] = two(&shared);
    for (fate, taken) in [(Fate::AppliedUnheard, 1), (Fate::LostUnheard, 1)] {
        take(&other, "other", "so that the others' numbers are others");
        one.world().store.plan().fates.extend([fate]);
        let done = one.world().command::<Copied>("a", CopyDo::Take("x".into()));
        assert_eq!((done.is_ok(), one.copies("a").len()), (fate == Fate::AppliedUnheard, taken));
        one.world().pass(1_000);
    }
}

#[test]
fn who_waits_is_answered_though_another_settles_it() {
    let mut shared = SharedWorld::new();
    let [one, other] = two(&shared);
    let due_ms = one.world().now_ms + 1_000;
    let ticket = {
        let mut world = one.world();
        let mut queued = world.request::<Errand>("a", Go::Remind(due_ms));
        queued.request.wait = Some(until_heard::<Errand>(&world, |errand| !errand.heard.is_empty(), 60_000));
        world.hand_in(queued)
    };
    one.run();
    shared.pass(&[&other], 2_000);
    assert_eq!(other.heard("errand", "a"), ["reminded"]);
    shared.pass(&[&one, &other], 2_000);
    assert!(one.world().reply(ticket).is_ok());
}
