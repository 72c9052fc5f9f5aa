//! Changes whose response waits for an effect: the external system of an errand replies when the test lets it.

#![allow(missing_docs, clippy::unwrap_used)] // a failing helper fails the test

mod common;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use common::Client;
use driver::SystemClock;
use driver::{Engine, EngineOptions};
use http_api::{HttpOptions, router};
use in_memory::{Counting, MemoryStore};
use kernel::{
    Aggregate, Context, Decision, Domain, Effect, EffectCall, New, NoSettings, Outcome, Reaction, Rejected, Rejection,
    RetrySafety, Service, System, resource,
};
use ports::{Channel, Model};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Semaphore;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Went {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Came {
    pub with: String,
}

kernel::events! {
    /// What happens to errands.
    pub enum ErrandEvent {
        /// The effect was called.
        Went,
        /// The reply arrived.
        Came,
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum Command {
    Go,
    Hear(String),
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Call {}

impl Effect for Call {
    const PORT: &'static str = "far";
    type Reply = String;
}

#[derive(Debug, Clone, PartialEq)]
pub enum Never {}

impl Rejection for Never {
    fn rejected(&self) -> Rejected {
        match *self {}
    }
}

/// An errand: its reply.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Errand {
    with: Option<String>,
}

impl Aggregate for Errand {
    const NAME: &'static str = "errand";
    type Command = Command;
    type Event = ErrandEvent;
    type Effect = Call;
    type Rejection = Never;
    type Settings = NoSettings;

    fn decide(now: Option<&Self>, command: &Command, _: &Context<'_>) -> Result<Decision<Self>, Never> {
        Ok(match command {
            Command::Go if now.is_some() => Decision::nothing(),
            Command::Go => Decision::event(ErrandEvent::Went(Went {})).effect(Call {}),
            Command::Hear(with) => Decision::event(ErrandEvent::Came(Came { with: with.clone() })),
        })
    }

    fn evolve(_: Option<Self>, event: &ErrandEvent) -> Option<Self> {
        Some(match event {
            ErrandEvent::Went(_) => Self::default(),
            ErrandEvent::Came(came) => Self { with: Some(came.with.clone()) },
        })
    }

    fn answered(_: Call, outcome: Outcome<String>) -> Option<Command> {
        match outcome {
            Outcome::Reply(with) => Some(Command::Hear(with)),
            _ => None,
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub struct ShownErrand {
    with: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
pub struct Draft {
    name: Option<String>,
}

/// A channel that replies once per permit.
struct PermittedChannel(Arc<Semaphore>);

impl Channel for PermittedChannel {
    fn call<'a>(&'a self, _: &'a [u8], _: EffectCall<'a>) -> Pin<Box<dyn Future<Output = Reaction<Vec<u8>>> + Send + 'a>> {
        Box::pin(async move {
            self.0.acquire().await.unwrap().forget();
            Reaction::reply(br#""bread""#.to_vec())
        })
    }

    fn repeat(&self) -> RetrySafety {
        RetrySafety::Idempotent
    }
}

/// A client of errands that waits for that long, and the permits of the external system.
fn errands(settle_within_ms: i64) -> (Arc<Client>, Arc<Semaphore>) {
    let resource = resource::<Errand, ShownErrand>("errands", "Errands.", |errand, _| ShownErrand { with: errand.with.clone() })
        .create("Sends somebody.", |draft: Draft| Ok(New::keyed(draft.name, Command::Go)))
        .answers_when(|errand| errand.with.is_some());
    let service = Service::new("runner", 9082, Domain::Core, "Runs errands.").resource(resource);
    let model = Model::new(System::new("town", "town-topic", "A town.").service(service)).unwrap();
    let store = MemoryStore::new(&model);
    let permits = Arc::new(Semaphore::new(0));
    let far: Arc<dyn Channel> = Arc::new(PermittedChannel(permits.clone()));
    let options = EngineOptions {
        model,
        reader: Arc::new(store.clone()),
        store: Box::new(store),
        clock: Arc::new(SystemClock),
        ids: Arc::new(Counting::default()),
        zone: jiff::tz::TimeZone::UTC,
        limits: pabal_core::Limits::default(),
        channels: BTreeMap::from_iter([("far".to_owned(), far)]),
        broker: None,
        group: None,
        join_later: false,
    };
    let options_of_http = HttpOptions { settle_within_ms, ..HttpOptions::default() };
    (Arc::new(Client(router(vec![Engine::start(options).unwrap()], options_of_http))), permits)
}

const KEY: [&str; 1] = ["idempotency-key: k-1"];
const BODY: &str = r#"{"name": "shop"}"#;

#[tokio::test]
async fn a_change_that_settles_in_time_returns_the_settled_state() {
    let (client, permits) = errands(20_000);
    permits.add_permits(1);
    let made = client.post("/errands", BODY).await;
    assert_eq!((made.status.as_u16(), made.json()["with"].clone()), (201, json!("bread")), "{}", made.text);
    let again = client.post("/errands", BODY).await;
    assert_eq!((again.status.as_u16(), again.json()["with"].clone()), (200, json!("bread")));
}

#[tokio::test]
async fn a_change_that_does_not_settle_in_time_is_durable_and_replayed_later() {
    let (client, permits) = errands(50);
    let late = client.call("POST", "/errands", &KEY, BODY).await;
    assert_eq!((late.status.as_u16(), late.header("retry-after")), (503, "1"), "{}", late.text);
    assert_eq!(late.json()["type"], "/problems/unsettled");
    assert_eq!(client.get("/errands/1").await.json()["with"], json!(null));
    permits.add_permits(1);
    let mut last = 503;
    for _ in 0..200 {
        let again = client.call("POST", "/errands", &KEY, BODY).await;
        last = again.status.as_u16();
        if last == 201 {
            assert_eq!((again.header("idempotency-replayed"), again.json()["with"].clone()), ("true", json!("bread")));
            break;
        }
        assert_eq!(last, 503, "{}", again.text);
    }
    assert_eq!(last, 201);
}

#[tokio::test]
async fn a_retry_while_the_first_request_waits_is_in_flight() {
    let (client, permits) = errands(20_000);
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.call("POST", "/errands", &KEY, BODY).await }
    });
    // Committed and waiting: from here on a retry finds it in flight.
    while client.get("/errands/1").await.status != 200 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let repeated = client.call("POST", "/errands", &KEY, BODY).await;
    assert_eq!((repeated.status.as_u16(), repeated.header("retry-after")), (409, "1"), "{}", repeated.text);
    assert_eq!(repeated.json()["type"], "/problems/in-flight");
    permits.add_permits(1);
    assert_eq!(first.await.unwrap().json()["with"], "bread");
    let replayed = client.call("POST", "/errands", &KEY, BODY).await;
    assert_eq!((replayed.status.as_u16(), replayed.json()["with"].clone()), (201, json!("bread")));
}
