//! The in-memory and the system's own channels, clocks and ids keep the contract.
#![allow(clippy::unwrap_used, reason = "a harness that fails fails its check")]

use contract_tests::outside;
use contract_tests::sample::{Errand, effect_handlers};
use driver::{SystemClock, Uuids};
use in_memory::{Counting, ManualClock, MemoryChannel};
use kernel::RetrySafety;

#[tokio::test]
async fn channels_in_memory_keep_each_promise() {
    let effect = serde_json::to_vec(&Errand::default()).unwrap();
    for repeat in [RetrySafety::Idempotent, RetrySafety::Queryable, RetrySafety::Never] {
        let channel = MemoryChannel::new(effect_handlers(repeat).remove(0));
        outside::a_channel_keeps_its_promise(&channel, &effect).await;
    }
}

#[test]
fn clocks_keep_the_contract() {
    outside::a_clock_shows_whole_milliseconds_and_does_not_go_back(&SystemClock);
    outside::a_clock_shows_whole_milliseconds_and_does_not_go_back(&ManualClock::at_ms(1_700_000_000_123));
}

#[test]
fn sources_of_keys_keep_the_contract() {
    outside::ids_are_fresh_each_time(&Uuids);
    outside::ids_are_fresh_each_time(&Counting::default());
}
