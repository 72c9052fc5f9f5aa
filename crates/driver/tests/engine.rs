//! The driver: a core on its own thread, and the callers of its engine.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../core/tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use common::store::{Fate, Fickle};
use common::system::{Do, Errand, Go, NEWS, Note, OnceErrand, office};
use common::world::{START_MS, json, said};
use driver::{Engine, EngineOptions};
use in_memory::{Counting, ManualClock, MemoryBroker, MemoryStore};
use jiff::tz::TimeZone;
use kernel::event::Cause;
use kernel::{Aggregate, EffectCall, Reaction, RetrySafety};
use pabal_core::{CommandError, CommandOutcome, CommandRequest, Input, Limits, Wait};
use ports::{Channel, Model, Reader};

/// A store, a clock and a broker under a test's control, and the engine's options.
struct Fixture {
    store: Fickle,
    reader: MemoryStore,
    clock: ManualClock,
    broker: MemoryBroker,
    model: Arc<Model>,
    channels: BTreeMap<String, Arc<dyn Channel>>,
    limits: Limits,
}

impl Fixture {
    fn new() -> Self {
        let model = Model::new(office()).unwrap();
        let reader = MemoryStore::new(&model);
        let store = Fickle::around(Box::new(reader.clone()));
        let (broker, clock) = (MemoryBroker::default(), ManualClock::at_ms(START_MS));
        Self { store, reader, clock, broker, model, channels: BTreeMap::new(), limits: Limits::default() }
    }

    fn start(&self) -> Arc<Engine> {
        Engine::start(EngineOptions {
            model: self.model.clone(),
            store: Box::new(self.store.clone()),
            reader: Arc::new(self.reader.clone()),
            clock: Arc::new(self.clock.clone()),
            ids: Arc::new(Counting::default()),
            zone: TimeZone::UTC,
            limits: self.limits.clone(),
            channels: self.channels.clone(),
            broker: Some(Arc::new(self.broker.clone())),
            group: None,
            join_later: false,
        })
        .unwrap()
    }

    fn text(&self, service: &str, name: &str, key: &str) -> String {
        let table = self.model.find(service, name).unwrap().id;
        let row = self.reader.by_key(table, key).unwrap();
        row.map_or(String::new(), |row| String::from_utf8(row.data).unwrap())
    }
}

fn request<A: Aggregate>(engine: &Engine, key: &str, command: A::Command) -> CommandRequest {
    CommandRequest {
        table: engine.model().by_type(std::any::TypeId::of::<A>()).unwrap(),
        key: key.into(),
        give_id: None,
        command: Arc::new(command),
        cause: Cause::default(),
        must_exist: false,
        expected_version: None,
        idempotency: None,
        wait: None,
    }
}

async fn write(engine: &Engine, key: &str, text: &str) -> Result<CommandOutcome, CommandError> {
    engine.submit(request::<Note>(engine, key, Do::Write(text.into()))).await
}

/// Calls an effect and waits until its outcome is in the state.
async fn errand<A: Aggregate<Command = Go>>(
    engine: &Engine,
    text: &str,
    heard: fn(&A) -> bool,
) -> Result<CommandOutcome, CommandError> {
    let mut request = request::<A>(engine, "e", Go::Out(1, text.into(), None));
    let settled = move |state: &kernel::context::Opaque| state.downcast_ref::<A>().is_some_and(heard);
    request.wait = Some(Wait { settled: Arc::new(settled), deadline_ms: i64::MAX });
    engine.submit(request).await
}

/// Polls a future once: its command is in the inbox then, or rejected.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Waits for a commit after which the condition holds.
async fn until(engine: &Engine, mut holds: impl FnMut() -> bool) {
    let mut committed = engine.committed();
    while !holds() {
        committed.changed().await.unwrap();
    }
}

#[tokio::test]
async fn a_command_is_answered_once_it_is_committed() {
    let fixture = Fixture::new();
    let engine = fixture.start();
    let key = engine.fresh_key();
    assert_eq!(key, "key-1");
    let done = write(&engine, &key, "one").await.unwrap();
    assert_eq!((done.created, done.id, done.version), (true, 1, 1));
    assert_eq!(fixture.text("desk", "note", &key), r#"{"text":"one"}"#);
    assert!(matches!(engine.submit(request::<Note>(&engine, "a", Do::Refuse)).await, Err(CommandError::Rejected(_))));
    assert!(matches!(engine.submit(request::<Note>(&engine, "a", Do::Panic)).await, Err(CommandError::Fault(_))));
    assert_eq!(*engine.committed().borrow(), 2, "the note and its copy");
    engine.stop().await;
}

#[tokio::test]
async fn accepted_commands_are_answered_before_the_engine_stops_and_later_ones_are_unavailable() {
    let fixture = Fixture::new();
    let engine = fixture.start();
    let keys: Vec<_> = (0..50).map(|place| format!("n-{place}")).collect();
    let mut writes: Vec<_> = keys.iter().map(|key| Box::pin(write(&engine, key, "one"))).collect();
    let early: Vec<_> = writes.iter_mut().map(poll_once).collect();
    engine.stop().await;
    for (write, early) in writes.into_iter().zip(early) {
        let result = if early.is_ready() { early } else { Poll::Ready(write.await) };
        assert!(matches!(result, Poll::Ready(Ok(_))), "{result:?}");
    }
    assert!(keys.iter().all(|key| !fixture.text("desk", "note", key).is_empty()));
    assert!(matches!(write(&engine, "late", "one").await, Err(CommandError::Unavailable(_))));
    assert!(matches!(engine.tell(Input::Rebuild { view: "lines".into() }), Err(CommandError::Unavailable(_))));
    assert!(!engine.status().healthy, "the writer has ended");
    engine.stop().await;
    let again = fixture.start();
    assert_eq!(write(&again, "n-0", "two").await.unwrap().version, 2);
    again.stop().await;
}

#[tokio::test]
async fn commands_beyond_the_inbox_are_overloaded_at_once() {
    let mut fixture = Fixture::new();
    fixture.limits.queue = 2;
    let engine = fixture.start();
    let keys: Vec<_> = (0..10).map(|place| format!("n-{place}")).collect();
    let mut writes: Vec<_> = keys.iter().map(|key| Box::pin(write(&engine, key, "one"))).collect();
    let early: Vec<_> = {
        let _held = fixture.store.plan(); // the writer blocks while the test holds the store
        writes.iter_mut().map(poll_once).collect()
    };
    let mut overloaded = 0;
    for (write, early) in writes.into_iter().zip(early) {
        let result = if let Poll::Ready(early) = early { early } else { write.await };
        assert!(matches!(result, Ok(_) | Err(CommandError::Overloaded)), "{result:?}");
        overloaded += usize::from(result.is_err());
    }
    assert!((6..10).contains(&overloaded), "the inbox and the core each hold two: {overloaded}");
    engine.stop().await;
}

#[tokio::test]
async fn effect_handlers_are_called_and_their_outcomes_reach_the_aggregate() {
    let fixture = Fixture::new();
    let engine = fixture.start();
    let done = errand::<Errand>(&engine, "go", |errand| !errand.heard.is_empty()).await.unwrap();
    assert!(done.state.unwrap().contains("1: done 1"));
    engine.stop().await;
}

/// A channel that answers on its second poll, or panics when the effect says so.
struct Slow;

impl Channel for Slow {
    fn repeat(&self) -> RetrySafety {
        RetrySafety::Never
    }
    fn call<'a>(
        &'a self,
        effect: &'a [u8],
        call: EffectCall<'a>,
    ) -> Pin<Box<dyn Future<Output = Reaction<Vec<u8>>> + Send + 'a>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            assert!(!String::from_utf8_lossy(effect).contains("panic"), "the effect says so");
            Reaction::reply(json(&format!("slowly, at attempt {}", call.attempt)))
        })
    }
}

#[tokio::test]
async fn a_channel_replaces_the_effect_handler() {
    let mut fixture = Fixture::new();
    fixture.channels.insert("messenger".into(), Arc::new(Slow));
    let engine = fixture.start();
    let done = errand::<Errand>(&engine, "go", |errand| !errand.heard.is_empty()).await.unwrap();
    assert!(done.state.unwrap().contains("1: slowly, at attempt 1"));
    engine.stop().await;
}

#[tokio::test]
async fn an_effect_that_panics_has_an_unknown_outcome_and_the_engine_goes_on() {
    for slow in [true, false] {
        let mut fixture = Fixture::new();
        if slow {
            fixture.channels.insert("stranger".into(), Arc::new(Slow));
        }
        let engine = fixture.start();
        let done = errand::<OnceErrand>(&engine, "panic", |errand| !errand.heard.is_empty()).await.unwrap();
        assert!(done.state.unwrap().contains("1: unknown"), "slow: {slow}");
        assert!(write(&engine, "a", "one").await.is_ok());
        engine.stop().await;
    }
}

#[tokio::test]
async fn timers_fire_when_the_clock_advances() {
    let fixture = Fixture::new();
    let engine = fixture.start();
    engine.submit(request::<Note>(&engine, "a", Do::Later("t".into(), START_MS + 60_000, "due".into()))).await.unwrap();
    assert_eq!(fixture.text("desk", "note", "a"), "");
    fixture.clock.advance_ms(60_000);
    engine.tell(Input::Pause { service: "unknown".into(), paused: false }).unwrap(); // wakes the writer
    until(&engine, || !fixture.text("desk", "note", "a").is_empty()).await;
    engine.stop().await;
}

#[tokio::test]
async fn another_systems_topic_is_consumed_to_its_end_without_sleeping() {
    let mut fixture = Fixture::new();
    fixture.limits.backlog = 8;
    for seq in 1..=200 {
        let mut record = said(seq, "something");
        if seq < 200 {
            record.event_type = "Other".into();
        }
        fixture.broker.publish(NEWS, record);
    }
    let engine = fixture.start();
    let begun = std::time::Instant::now();
    until(&engine, || fixture.text("listeners", "heard", "everything").contains("something")).await;
    assert!(begun.elapsed().as_secs() < 10, "it does not sleep between two fetches");
    fixture.broker.publish(NEWS, said(0, "more"));
    until(&engine, || fixture.text("listeners", "heard", "everything").contains("more")).await;
    engine.stop().await;
}

#[tokio::test]
async fn the_status_shows_subscriptions_and_the_last_error() {
    let fixture = Fixture::new();
    let engine = fixture.start();
    write(&engine, "a", "one").await.unwrap();
    write(&engine, "b", "unreadable").await.unwrap();
    fixture.store.plan().fates.push_back(Fate::Full);
    assert!(matches!(write(&engine, "c", "one").await, Err(CommandError::Unavailable(_))));
    engine.stop().await;
    let status = engine.status();
    assert_eq!((status.last_seq, status.parked_keys, status.dead_keys), (3, 2, 2));
    let own = status.subscriptions.iter().filter(|subscription| subscription.topic == "office-events");
    assert!(own.clone().next().is_some());
    assert!(own.clone().all(|subscription| subscription.lag == 0), "{:?}", status.subscriptions);
    assert!(serde_json::to_value(&status).unwrap()["lastSeq"] == 3);
}
