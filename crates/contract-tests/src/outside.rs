//! Effect channels, clocks and sources of ids. Each check is a function of the port.

use std::collections::BTreeSet;

use kernel::{EffectCall, Reaction, RetrySafety};
use ports::{Channel, Clock, Ids};

/// A channel keeps the promise that its `repeat` makes. The effect must be one that the channel's handler answers.
pub async fn a_channel_keeps_its_promise(channel: &dyn Channel, effect: &[u8]) {
    let call = |id: &'static str, attempt, asking| channel.call(effect, EffectCall { id, attempt, asking, version: 1 });
    match channel.repeat() {
        RetrySafety::Idempotent => {
            let first = call("one", 1, false).await;
            assert_eq!(call("one", 2, false).await, first, "the same id called again gets the same answer");
        }
        RetrySafety::Queryable => {
            assert_eq!(call("never-called", 1, true).await, Reaction::UnknownId, "of an unknown id it has never heard");
            let first = call("one", 1, false).await;
            assert_eq!(call("one", 2, true).await, first, "asked by id, it says what became of the call");
        }
        RetrySafety::Never => {}
    }
    let answered = matches!(call("another", 1, false).await, Reaction::Reply { .. });
    assert!(answered, "the effect of this check is one that is answered");
}

/// A clock shows whole milliseconds, as the log keeps them, and does not go back by itself.
pub fn a_clock_shows_whole_milliseconds_and_does_not_go_back(clock: &dyn Clock) {
    let mut last = clock.now();
    for _ in 0..1_000 {
        let now = clock.now();
        assert_eq!(now.as_nanosecond() % 1_000_000, 0, "{now} has parts of a millisecond");
        assert!(now >= last, "{now} comes after {last}");
        last = now;
    }
}

/// Keys are never empty, never the same, and short enough for any column.
pub fn ids_are_fresh_each_time(ids: &dyn Ids) {
    let keys: BTreeSet<String> = (0..10_000).map(|_| ids.fresh()).collect();
    assert_eq!(keys.len(), 10_000, "no key comes twice");
    assert!(keys.iter().all(|key| (1..=100).contains(&key.len())), "a key has 1 to 100 characters");
}
