//! The invariants: what must be true of every installation that has come to rest, whatever failed in it.

use std::collections::{BTreeMap, BTreeSet};

use pabal_core::CommandError;
use ports::{Query, StoredRow};
use rcs::delivery::handset::HandsetCall;
use rcs::views::my_messages::{MyMessage, ResultWord};
use sim::{Cluster, Installation};

use super::witness::{Heard, KNOWN, Seens};
use super::{NAMED, RESERVED, UNNAMED};

/// All of them. The first that does not hold panics and says why.
pub fn all(world: &mut dyn Installation) {
    every_accepted_message_has_one_final_result(world);
    messages_are_listed_and_nothing_else_is(world);
    every_submission_happened_once(world);
    what_the_handset_has_is_shown(world);
    each_fact_is_published_once(world);
    a_witness_saw_each_event_once_and_in_order(world);
    each_timer_fired_and_each_answer_was_heard_once(world);
    the_same_idempotency_key_got_the_same_answer(world);
    timers_are_never_early(world);
    counters_agree_with_rows(world);
    a_rebuilt_view_is_the_live_one(world);
    nothing_is_left_to_do(world);
}

/// The same of a cluster, and that what was committed and what was published are one.
pub fn cluster(cluster: &mut Cluster) {
    let differ = cluster.lost_or_invented();
    assert!(differ.is_empty(), "store and topic differ: {differ:?}\n{}", cluster.tail(80));
    if cluster.records() > cluster.topic().len() {
        cluster.chance().note("record in the topic twice");
    }
    all(cluster);
}

fn shown(world: &dyn Installation) -> BTreeMap<String, MyMessage> {
    let table = world.table("dashboard", "myMessages");
    read(world.reader("dashboard").page(table, &Query::first(1000)).unwrap().rows)
}

fn read(rows: Vec<StoredRow>) -> BTreeMap<String, MyMessage> {
    rows.into_iter().map(|row| (row.key, serde_json::from_slice(&row.data).unwrap())).collect()
}

fn every_accepted_message_has_one_final_result(world: &dyn Installation) {
    let mut accepted = BTreeSet::new();
    for answer in world.answers() {
        if (answer.name.starts_with("msg-") || answer.name.starts_with("unnamed-")) && answer.result.is_ok() {
            accepted.insert(answer.name.clone());
        }
        if answer.name.starts_with("clash-") {
            assert!(matches!(answer.result, Err(CommandError::Rejected(_))), "{}: {:?}", answer.name, answer.result);
        }
    }
    assert_eq!(accepted.len() as u64, NAMED + UNNAMED, "every client was answered in the end");
    let shown = shown(world);
    for key in accepted.iter().filter(|name| name.starts_with("msg-")) {
        let row = shown.get(key).unwrap_or_else(|| panic!("{key} is lost\n{}", world.tail(80)));
        assert_ne!(row.result, ResultWord::Accepted, "{key} never ended: {row:?}\n{}", world.tail(80));
    }
    assert_eq!(shown.len() as u64, NAMED + UNNAMED, "only messages that were sent are shown: {:?}", shown.keys());
}

fn messages_are_listed_and_nothing_else_is(world: &dyn Installation) {
    let page = world.reader("message").page(world.table("message", "message"), &Query::first(1000)).unwrap();
    let listed: BTreeSet<String> = page.rows.into_iter().map(|row| row.key).collect();
    assert_eq!(listed, shown(world).into_keys().collect(), "the sender's list and my-page differ");
}

fn every_submission_happened_once(world: &dyn Installation) {
    let mut submissions = BTreeSet::new();
    for call in world.calls() {
        assert_eq!(call.times, 1, "done twice: {call:?}\n{}", world.tail(80));
        if let Ok(HandsetCall::Submit(submit)) = serde_json::from_str(&call.payload) {
            let submission = format!("{} {:?} {}", submit.message_id, submit.channel, submit.attempt);
            assert!(submissions.insert(submission.clone()), "submitted twice: {submission}\n{}", world.tail(120));
        }
    }
}

/// Handsets that always take a message, by number; they differ in receipts and in what they say to a recall.
const WILLING: [&str; 5] = ["01012341234", "01000000005", "01000000006", "01000000009", "01000000010"];

fn what_the_handset_has_is_shown(world: &dyn Installation) {
    let granted = world.topic().into_iter().filter(|record| record.event_type == "RecallGranted").map(|record| record.key);
    let granted: BTreeSet<String> = granted.collect();
    let shown = shown(world);
    for call in world.calls() {
        let Ok(HandsetCall::Submit(submit)) = serde_json::from_str(&call.payload) else { continue };
        if WILLING.contains(&submit.to.as_str()) && !granted.contains(&submit.message_id) {
            let result = shown.get(&submit.message_id).map(|row| row.result);
            assert_eq!(result, Some(ResultWord::SendSucceed), "{} is there\n{}", submit.message_id, world.tail(80));
        }
    }
}

fn each_fact_is_published_once(world: &dyn Installation) {
    let mut once = BTreeSet::new();
    for record in world.topic().into_iter().filter(|record| KNOWN.contains(&record.event_type.as_str())) {
        let fact = (record.event_type.clone(), record.key.clone());
        assert!(once.insert(fact), "{} of {} was published twice", record.event_type, record.key);
    }
}

fn a_witness_saw_each_event_once_and_in_order(world: &dyn Installation) {
    let mut published: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in world.topic().into_iter().filter(|record| KNOWN.contains(&record.event_type.as_str())) {
        published.entry(record.key).or_default().push(record.id);
    }
    for (key, ids) in published {
        let row = |name| world.reader("witness").by_key(world.table("witness", name), &key).unwrap();
        let seen = row("seens").map(|row| serde_json::from_slice::<Seens>(&row.data).unwrap().ids);
        assert_eq!(seen.as_ref(), Some(&ids), "a view saw otherwise: {key}\n{}", world.tail(80));
        let heard = row("heard").map(|row| serde_json::from_slice::<Heard>(&row.data).unwrap().ids);
        assert_eq!(heard.as_ref(), Some(&ids), "a policy heard otherwise: {key}\n{}", world.tail(80));
    }
}

/// Also those that failed at first: they are parked and tried again, and never dropped.
fn each_timer_fired_and_each_answer_was_heard_once(world: &dyn Installation) {
    let heard = world.reader("witness").page(world.table("witness", "heard"), &Query::first(1000)).unwrap();
    for row in heard.rows {
        let Heard { ids, reminded, echoed } = serde_json::from_slice(&row.data).unwrap();
        let sorted = |ids: Vec<String>| {
            ids.into_iter().fold(BTreeMap::new(), |mut count, id| {
                *count.entry(id).or_insert(0) += 1;
                count
            })
        };
        let expected = sorted(ids);
        assert_eq!(sorted(reminded), expected, "a timer of {} was lost or fired twice\n{}", row.key, world.tail(80));
        assert_eq!(sorted(echoed), expected, "an answer of {} was lost or heard twice\n{}", row.key, world.tail(80));
    }
}

fn the_same_idempotency_key_got_the_same_answer(world: &dyn Installation) {
    let mut first: BTreeMap<&str, String> = BTreeMap::new();
    for answer in world.answers() {
        let said = match &answer.result {
            Ok(done) => format!("{} {}", done.id, done.version),
            Err(failure) => failure.to_string(),
        };
        let before = first.entry(&answer.name).or_insert_with(|| said.clone());
        assert_eq!(*before, said, "{} was answered in two ways", answer.name);
    }
}

fn timers_are_never_early(world: &dyn Installation) {
    let at = rcs::send_time::instant(RESERVED, &jiff::tz::TimeZone::UTC).unwrap().as_millisecond();
    let shown = shown(world);
    let released = world.topic().into_iter().filter(|record| record.event_type == "ValidateSucceed");
    for record in released.filter(|record| shown.get(&record.key).is_some_and(|row| row.send_time.is_some())) {
        assert!(record.time_ms >= at, "{} was sent before its time", record.key);
    }
}

fn counters_agree_with_rows(world: &dyn Installation) {
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    for row in shown(world).values() {
        *counted.entry(row.result.as_str().to_owned()).or_default() += 1;
    }
    let kept = world.reader("dashboard").counters(world.table("dashboard", "myMessages"), "result").unwrap();
    assert_eq!(kept.into_iter().filter(|(_, n)| *n > 0).collect::<BTreeMap<_, _>>(), counted);
}

fn a_rebuilt_view_is_the_live_one(world: &mut dyn Installation) {
    let live = shown(world);
    assert_eq!(read(world.rebuilt("myMessages")), live, "the rebuilt view differs");
}

fn nothing_is_left_to_do(world: &dyn Installation) {
    for status in world.status() {
        let left = (status.effects, status.parked_keys);
        assert_eq!(left, (0, 0), "work is left: {status:?}\n{}", world.tail(60));
        assert!(status.subscriptions.iter().all(|subscription| subscription.lag == 0), "{:?}", status.subscriptions);
    }
}
