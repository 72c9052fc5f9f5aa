//! A small system of notes on the in-memory store, and a client of its router.

#![allow(dead_code, missing_docs, clippy::unwrap_used)] // each test file uses its part, and a failing helper fails the test

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use driver::{Engine, EngineOptions};
use http_api::{HttpOptions, router};
use http_body_util::BodyExt;
use in_memory::{Counting, ManualClock, MemoryStore};
use kernel::{
    Aggregate, Context, Decision, Domain, EventMetadata, IndexValue, Kind, New, NoEffect, NoSettings, Rejected, Rejection, Row,
    Service, System, resource, view,
};
use pabal_core::Limits;
use ports::{Clock, Model, Reader};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower::ServiceExt;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Written {
    pub id: u64,
    pub title: String,
    pub colour: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Closed {
    pub id: u64,
}

kernel::events! {
    /// What happens to notes.
    pub enum NoteEvent {
        /// The note has a text.
        Written,
        /// The note is closed.
        Closed,
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum NoteCommand {
    Write { title: String, colour: String },
    Close,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AlreadyClosed;

impl Rejection for AlreadyClosed {
    fn rejected(&self) -> Rejected {
        Rejected::new(Kind::Rule, "already-closed", "a closed note says nothing new")
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Note {
    pub title: String,
    pub colour: String,
    pub closed: bool,
}

impl Aggregate for Note {
    const NAME: &'static str = "note";
    type Command = NoteCommand;
    type Event = NoteEvent;
    type Effect = NoEffect;
    type Rejection = AlreadyClosed;
    type Settings = NoSettings;

    fn decide(now: Option<&Self>, command: &NoteCommand, at: &Context<'_>) -> Result<Decision<Self>, AlreadyClosed> {
        match (command, now) {
            (NoteCommand::Write { .. }, Some(note)) if note.closed => Err(AlreadyClosed),
            (NoteCommand::Write { title, colour }, Some(note)) if note.title == *title && note.colour == *colour => {
                Ok(Decision::nothing())
            }
            (NoteCommand::Write { title, colour }, _) => {
                let written = Written { id: at.id, title: title.clone(), colour: colour.clone() };
                Ok(Decision { events: vec![NoteEvent::Written(written)], ..Decision::nothing() })
            }
            (NoteCommand::Close, Some(note)) if note.closed => Ok(Decision::nothing()),
            (NoteCommand::Close, _) => {
                Ok(Decision { events: vec![NoteEvent::Closed(Closed { id: at.id })], ..Decision::nothing() })
            }
        }
    }

    fn evolve(now: Option<Self>, event: &NoteEvent) -> Option<Self> {
        match event {
            NoteEvent::Written(written) => {
                Some(Self { title: written.title.clone(), colour: written.colour.clone(), closed: false })
            }
            NoteEvent::Closed(_) => now.map(|note| Self { closed: true, ..note }),
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub struct ShownNote {
    id: u64,
    title: String,
    colour: String,
    closed: bool,
}

#[derive(Deserialize, JsonSchema)]
pub struct Draft {
    name: Option<String>,
    #[schemars(length(max = 20))]
    title: String,
    colour: Option<Colour>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    Red,
    Blue,
}

impl Draft {
    fn write(self) -> NoteCommand {
        let colour = match self.colour.unwrap_or(Colour::Red) {
            Colour::Red => "red",
            Colour::Blue => "blue",
        };
        assert_ne!(self.title, "panic", "the note said so");
        NoteCommand::Write { title: self.title, colour: colour.into() }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    id: Option<u64>,
    #[serde(default)]
    title: String,
    #[serde(default)]
    colour: String,
    #[serde(default)]
    state: String,
    at: Option<kernel::Timestamp>,
}

impl Row for Line {
    fn id(&self) -> Option<u64> {
        self.id
    }
}

/// The system of notes, under a name.
pub fn notes(name: &'static str) -> System {
    let shown =
        |note: &Note, id: u64| ShownNote { id, title: note.title.clone(), colour: note.colour.clone(), closed: note.closed };
    let desk = Service::new("desk", 9082, Domain::Core, "Takes notes.").resource(
        resource::<Note, ShownNote>("notes", "Notes.", shown)
            .create("Takes a note.", |draft: Draft| Ok(New::keyed(draft.name.clone(), draft.write())))
            .replace("Rewrites a note.", |draft: Draft| Ok(draft.write()))
            .delete("Closes a note.", || NoteCommand::Close)
            .action("close", "Closes a note.", |_: kernel::resource::NoBody| Ok(NoteCommand::Close), |note: &Note| !note.closed)
            .search("title", |note: &Note| IndexValue::from(&note.title)),
    );
    let written = |line: &mut Line, event: &Written, seen: &EventMetadata| {
        assert_ne!(event.title, "torn", "the note said so");
        if event.title == "long" {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        *line = Line {
            id: Some(event.id),
            title: event.title.clone(),
            colour: event.colour.clone(),
            state: "open".into(),
            at: Some(seen.time),
        };
    };
    let wall = Service::new("wall", 9083, Domain::Supporting, "Shows notes.").view(
        view::<Line>("lines", "Notes on the wall.")
            .on(written)
            .on(|line: &mut Line, _: &Closed, _: &EventMetadata| line.state = "closed".into())
            .counted("state", |line: &Line| IndexValue::from(&line.state))
            .counted("colour", |line: &Line| IndexValue::from(&line.colour))
            .filter("title", |line: &Line| IndexValue::from(&line.title))
            .period("at", |line: &Line| IndexValue::from(line.at))
            .totals("state", "colour"),
    );
    System::new(name, "notes-topic", "Notes on a wall.").service(desk).service(wall)
}

/// Smaller than the default, so that tests span several batches.
pub const BATCH_ITEMS: usize = 64;

/// A running system with a manual clock.
pub fn engine(system: System) -> Arc<Engine> {
    let clock = Arc::new(ManualClock::at("2024-09-23T00:00:00Z".parse().unwrap()));
    engine_with(system, clock, |reader| reader)
}

/// A running system with this clock and reader.
pub fn engine_with(
    system: System,
    clock: Arc<dyn Clock>,
    reader: impl FnOnce(Arc<dyn Reader>) -> Arc<dyn Reader>,
) -> Arc<Engine> {
    let model = Model::new(system).unwrap();
    let store = MemoryStore::new(&model);
    let options = EngineOptions {
        model,
        reader: reader(Arc::new(store.clone())),
        store: Box::new(store),
        clock,
        ids: Arc::new(Counting::default()),
        zone: jiff::tz::TimeZone::UTC,
        limits: Limits { batch_items: BATCH_ITEMS, ..Limits::default() },
        channels: BTreeMap::new(),
        broker: None,
        group: None,
        join_later: false,
    };
    Engine::start(options).unwrap()
}

/// A client of one router.
pub struct Client(pub Router);

/// A response with its body.
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }
}

impl Client {
    /// One system of notes.
    pub fn one() -> Self {
        Self(router(vec![engine(notes("desk1"))], HttpOptions::default()))
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.0.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Reply { status: parts.status, headers: parts.headers, text }
    }

    /// `headers` as `name: value` lines; a body that begins with a brace is sent as JSON.
    pub async fn call(&self, method: &str, target: &str, headers: &[&str], body: &str) -> Reply {
        let mut request = Request::builder().method(method).uri(target).header("host", "here:8088");
        if body.starts_with('{') {
            request = request.header("content-type", "application/json");
        }
        for header in headers {
            let (name, value) = header.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub async fn get(&self, target: &str) -> Reply {
        self.call("GET", target, &[], "").await
    }

    pub async fn post(&self, target: &str, body: &str) -> Reply {
        self.call("POST", target, &[], body).await
    }

    /// Waits until a list has that many rows: views are updated after the command is answered.
    pub async fn until(&self, target: &str, rows: usize) -> Value {
        for _ in 0..200 {
            let list = self.get(target).await.json();
            if list["page"]["totalElements"] == rows {
                return list;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{target} never had {rows} rows: {}", self.get(target).await.text);
    }
}
