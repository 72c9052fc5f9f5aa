//! The invariants: what must be true of every world that has come to rest, whatever went wrong in it.

use std::collections::{BTreeMap, BTreeSet};

use rcs::views::my_messages::{MyMessage, ResultWord};
use runtime::ports::{LogQuery, Query, Reader, Record};
use runtime::{Failure, TableId};
use sim::World;

use super::witness::{Heard, KNOWN, Seens};
use super::{NAMED, RESERVED, UNNAMED};

/// All of them. The first that does not hold panics and says why.
pub fn all(world: &mut World) {
    every_accepted_message_has_one_final_result(world);
    messages_are_listed_and_nothing_else_is(world);
    every_submission_happened_once(world);
    each_fact_is_published_once(world);
    a_witness_saw_each_event_once_and_in_order(world);
    the_same_idempotency_key_got_the_same_answer(world);
    timers_are_never_early(world);
    counters_agree_with_rows(world);
    a_rebuilt_view_is_the_live_one(world);
    nothing_is_left_to_do(world);
}

fn table(world: &World, service: &str, name: &str) -> TableId {
    world.model.find(service, name).unwrap().id
}

fn shown(world: &World) -> BTreeMap<String, MyMessage> {
    let page = world.store.page(table(world, "dashboard", "myMessages"), &Query::first(1000)).unwrap();
    page.rows.into_iter().map(|row| (row.key, serde_json::from_slice(&row.data).unwrap())).collect()
}

fn log(world: &World) -> Vec<Record> {
    world.store.log(&LogQuery { limit: 1_000_000, ..LogQuery::default() }).unwrap()
}

fn every_accepted_message_has_one_final_result(world: &World) {
    let mut accepted = BTreeSet::new();
    for answer in &world.answers {
        if (answer.name.starts_with("msg-") || answer.name.starts_with("unnamed-")) && answer.result.is_ok() {
            accepted.insert(answer.name.clone());
        }
        if answer.name.starts_with("clash-") {
            assert!(matches!(answer.result, Err(Failure::Refused(_))), "{}: {:?}", answer.name, answer.result);
        }
    }
    assert_eq!(accepted.len() as u64, NAMED + UNNAMED, "every client was answered in the end");
    let shown = shown(world);
    for key in accepted.iter().filter(|name| name.starts_with("msg-")) {
        let row = shown.get(key).unwrap_or_else(|| panic!("{key} is lost\n{}", world.tail(80)));
        assert_ne!(row.result, ResultWord::Accepted, "{key} never ended: {row:?}\n{}", world.tail(80));
    }
    assert_eq!(shown.len() as u64, NAMED + UNNAMED, "nothing is shown that nobody sent: {:?}", shown.keys());
}

fn messages_are_listed_and_nothing_else_is(world: &World) {
    let page = world.store.page(table(world, "message", "message"), &Query::first(1000)).unwrap();
    let listed: BTreeSet<String> = page.rows.into_iter().map(|row| row.key).collect();
    assert_eq!(listed, shown(world).into_keys().collect(), "the sender's list and my-page differ");
}

fn every_submission_happened_once(world: &World) {
    let mut submissions = BTreeSet::new();
    for call in world.far.seen() {
        assert_eq!(call.times, 1, "done twice: {call:?}\n{}", world.tail(80));
        if let Ok(rcs::delivery::handset::HandsetCall::Submit(submit)) = serde_json::from_str(&call.payload) {
            let submission = format!("{} {:?} {}", submit.message_id, submit.channel, submit.attempt);
            assert!(submissions.insert(submission.clone()), "submitted twice: {submission}\n{}", world.tail(120));
        }
    }
}

fn each_fact_is_published_once(world: &World) {
    let mut once = BTreeSet::new();
    for record in log(world).into_iter().filter(|record| KNOWN.contains(&record.event_type.as_str())) {
        let fact = (record.event_type.clone(), record.key.clone());
        assert!(once.insert(fact), "{} of {} was published twice", record.event_type, record.key);
    }
}

fn a_witness_saw_each_event_once_and_in_order(world: &World) {
    let mut published: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in log(world).into_iter().filter(|record| KNOWN.contains(&record.event_type.as_str())) {
        published.entry(record.key).or_default().push(record.id);
    }
    for (key, ids) in published {
        let row = |name| world.store.by_key(table(world, "witness", name), &key).unwrap();
        let seen = row("seens").map(|row| serde_json::from_slice::<Seens>(&row.data).unwrap().ids);
        assert_eq!(seen.as_ref(), Some(&ids), "a view saw otherwise: {key}\n{}", world.tail(80));
        let heard = row("heard").map(|row| serde_json::from_slice::<Heard>(&row.data).unwrap().ids);
        assert_eq!(heard.as_ref(), Some(&ids), "a policy heard otherwise: {key}\n{}", world.tail(80));
    }
}

fn the_same_idempotency_key_got_the_same_answer(world: &World) {
    let mut first: BTreeMap<&str, String> = BTreeMap::new();
    for answer in &world.answers {
        let said = match &answer.result {
            Ok(done) => format!("{} {}", done.id, done.version),
            Err(failure) => failure.to_string(),
        };
        let before = first.entry(&answer.name).or_insert_with(|| said.clone());
        assert_eq!(*before, said, "{} was answered in two ways", answer.name);
    }
}

fn timers_are_never_early(world: &World) {
    let at = rcs::send_time::instant(RESERVED, &jiff::tz::TimeZone::UTC).unwrap().as_millisecond();
    let shown = shown(world);
    for record in log(world).into_iter().filter(|record| record.event_type == "ValidateSucceed") {
        let reserved = shown.get(&record.key).is_some_and(|row| row.send_time.is_some());
        assert!(!reserved || record.time_ms >= at, "{} was let go before its time", record.key);
    }
}

fn counters_agree_with_rows(world: &World) {
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    for row in shown(world).values() {
        *counted.entry(row.result.as_str().to_owned()).or_default() += 1;
    }
    let kept = world.store.counters(table(world, "dashboard", "myMessages"), "result").unwrap();
    assert_eq!(kept.into_iter().filter(|(_, n)| *n > 0).collect::<BTreeMap<_, _>>(), counted);
}

fn a_rebuilt_view_is_the_live_one(world: &mut World) {
    let live = shown(world);
    world.rebuild("myMessages");
    assert_eq!(shown(world), live, "the rebuilt view differs");
}

fn nothing_is_left_to_do(world: &World) {
    let status = world.status();
    assert_eq!((status.effects, status.parked_keys), (0, 0), "work is left: {status:?}\n{}", world.tail(60));
    assert!(status.followers.iter().all(|follower| follower.lag == 0), "{:?}", status.followers);
    assert!(status.rebuild.is_none(), "the rebuild was not finished: {:?}", status.rebuild);
}
