//! The in-memory and the system's own implementations of what stands outside keep its contracts.
#![allow(clippy::unwrap_used, reason = "a fixture that fails fails its check")]

use std::time::Duration;

use contract_tests::outside;
use contract_tests::sample::{Errand, far_sides};
use kernel::Repeat;
use runtime::memory::{Counting, LocalCaller, ManualClock, MemoryChannel};
use runtime::ports::caller::Answer;
use runtime::ports::clock::{SystemClock, Uuids};

#[tokio::test]
async fn channels_in_memory_keep_each_promise() {
    let effect = serde_json::to_vec(&Errand::default()).unwrap();
    for repeat in [Repeat::Idempotent, Repeat::Queryable, Repeat::Never] {
        let channel = MemoryChannel::new(far_sides(repeat).remove(0));
        outside::a_channel_keeps_its_promise(&channel, &effect).await;
    }
}

fn caller() -> LocalCaller {
    let caller = LocalCaller::with_deadline(Duration::from_millis(20));
    caller.serve("echo", |called| Box::pin(std::future::ready(Answer { status: 200, body: called.body })));
    caller.serve("mute", |_| Box::pin(std::future::pending()));
    caller
}

#[tokio::test]
async fn a_caller_in_one_process_keeps_the_contract() {
    outside::a_caller_brings_back_the_answer(&caller()).await;
    outside::a_caller_says_unreachable_of_a_service_that_is_not_there(&caller()).await;
    outside::a_caller_says_timed_out_of_a_service_that_does_not_answer(&caller()).await;
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
