//! A group member whose broker does not answer during a rebalance.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../core/tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::system::{Do, NEWS, Note, office};
use common::world::{START_MS, said};
use driver::{Engine, EngineOptions};
use in_memory::{Counting, ManualClock, MemoryBroker, MemoryStore};
use jiff::tz::TimeZone;
use kernel::event::Cause;
use pabal_core::{CommandRequest, Limits};
use ports::{Broker, BrokerError, Delivery, GroupMember, Model, Partition, Reader};

/// A broker that fails to tell the end of a partition until a test lets it answer.
#[derive(Clone, Default)]
struct SilentBroker {
    topics: MemoryBroker,
    answers: Arc<AtomicBool>,
    asked: Arc<AtomicU32>,
    member: Arc<Mutex<Option<Box<dyn GroupMember>>>>,
}

impl Broker for SilentBroker {
    fn fetch(&self, partition: &Partition, after: u64, limit: usize) -> Result<Vec<Delivery>, BrokerError> {
        self.topics.fetch(partition, after, limit)
    }

    fn end(&self, partition: &Partition) -> Result<u64, BrokerError> {
        let answers = self.answers.load(Ordering::SeqCst);
        self.asked.fetch_add(1, Ordering::SeqCst);
        if answers { self.topics.end(partition) } else { Err(BrokerError("it does not answer".into())) }
    }

    fn watch(&self, topic: &str, wake: Box<dyn Fn() + Send + Sync>) {
        self.topics.watch(topic, wake);
    }

    fn join(&self, _: &str, _: &[String], member: Box<dyn GroupMember>) -> Result<(), BrokerError> {
        *self.member.lock().unwrap() = Some(member);
        Ok(())
    }
}

impl SilentBroker {
    fn assigns(&self) {
        self.member.lock().unwrap().as_ref().unwrap().assigned(vec![Partition::only(NEWS)]);
    }

    fn revokes(&self) {
        self.member.lock().unwrap().as_ref().unwrap().revoked(vec![Partition::only(NEWS)]);
    }

    /// Waits until it has been asked so many times.
    async fn is_asked(&self, times: u32) {
        while self.asked.load(Ordering::SeqCst) < times {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn start(broker: &SilentBroker) -> (Arc<Engine>, MemoryStore) {
    let model = Model::new(office()).unwrap();
    let store = MemoryStore::new(&model);
    let engine = Engine::start(EngineOptions {
        model,
        store: Box::new(store.clone()),
        reader: Arc::new(store.clone()),
        clock: Arc::new(ManualClock::at_ms(START_MS)),
        ids: Arc::new(Counting::default()),
        zone: TimeZone::UTC,
        limits: Limits::default(),
        channels: BTreeMap::new(),
        broker: Some(Arc::new(broker.clone())),
        group: None,
        join_later: false,
    });
    (engine.unwrap(), store)
}

async fn write(engine: &Engine, key: &str) {
    let request = CommandRequest {
        table: engine.model().by_type(std::any::TypeId::of::<Note>()).unwrap(),
        key: key.into(),
        give_id: None,
        command: Arc::new(Do::Write("one".into())),
        cause: Cause::default(),
        must_exist: false,
        expected_version: None,
        idempotency: None,
        wait: None,
    };
    engine.submit(request).await.unwrap();
}

#[tokio::test]
async fn commands_are_accepted_while_the_broker_does_not_answer_and_its_events_are_consumed_once_it_does() {
    let broker = SilentBroker::default();
    broker.topics.publish(NEWS, said(1, "first"));
    let (engine, store) = start(&broker);
    broker.assigns();
    broker.is_asked(1).await;
    write(&engine, "a").await;
    let news = engine.model().find("listeners", "news").unwrap().id;
    assert!(store.by_key(news, "speaker").unwrap().is_none());
    broker.answers.store(true, Ordering::SeqCst);
    let mut committed = engine.committed();
    while store.by_key(news, "speaker").unwrap().is_none() {
        committed.changed().await.unwrap();
    }
    engine.stop().await;
}

#[tokio::test]
async fn a_partition_revoked_before_the_broker_has_answered_is_not_consumed() {
    let broker = SilentBroker::default();
    broker.topics.publish(NEWS, said(1, "first"));
    let (engine, store) = start(&broker);
    broker.assigns();
    broker.is_asked(1).await;
    broker.revokes();
    broker.answers.store(true, Ordering::SeqCst);
    // Longer than the first delay of the backoff.
    tokio::time::sleep(Duration::from_millis(300)).await;
    write(&engine, "a").await;
    let news = engine.model().find("listeners", "news").unwrap().id;
    assert!(store.by_key(news, "speaker").unwrap().is_none(), "the partition is another process's now");
    engine.stop().await;
}
