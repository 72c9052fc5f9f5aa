//! An office: notes that are copied elsewhere and listed, errands to far sides of every kind, and news from another system.
//!
//! What happens to a note is in its text: `panic-policy`, `refuse`, `unreadable` … are the ways in which things go wrong.

use kernel::rejection::{Rejected, Rejection};
use kernel::{
    Aggregate, CommandFor, Context, Decision, Domain, Effect, EffectCall, Event, EventMetadata, IndexValue, NoEffect, NoSettings,
    Outcome, Question, Reaction, RetrySafety, Row, Service, System, Timestamp, event::CodecError, event::from_json, view,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The topic of the office.
pub const TOPIC: &str = "office-events";
/// The topic of the other system.
pub const NEWS: &str = "news-events";

/// The system: `desk` has no subscriptions, `copies` has policies, `book` has a view, `errands` has effects, `listeners` follow
/// another topic.
pub fn office() -> System {
    let lines = view::<Line>("lines", "Every note.")
        .on::<Written>(|line, written, _| {
            assert!(written.text != "panic-view", "as the text says");
            line.texts.push(written.text.clone());
            line.number = Some(if written.text == "same-id" { 1 } else { written.number });
        })
        .on::<Removed>(|line, _, _| line.gone = true)
        .counted("last", |line| {
            let last = line.texts.last();
            assert!(last.is_none_or(|text| text != "panic-field"), "as the text says");
            IndexValue::from(last.cloned())
        })
        .counted("gone", |line| IndexValue::from(i64::from(line.gone)))
        .totals("last", "gone");
    let news = view::<Line>("news", "What the others say.").on::<Said>(|line, said, _| line.texts.push(said.text.clone()));
    System::new("office", TOPIC, "Notes and errands.")
        .service(Service::new("desk", 8001, Domain::Core, "Writes.").aggregate::<Note>().answers(weather))
        .service(
            Service::new("copies", 8002, Domain::Supporting, "Copies.")
                .aggregate::<Copied>()
                .whenever(copy)
                .whenever(stamp.repeats()),
        )
        .service(Service::new("book", 8003, Domain::General, "Lists.").view(lines))
        .service(
            Service::new("errands", 8004, Domain::Supporting, "Goes out.")
                .aggregate::<Errand>()
                .aggregate::<QueryErrand>()
                .aggregate::<OnceErrand>()
                .effect_handler::<Call, NoSettings>(RetrySafety::Idempotent, |call, far, _| {
                    effect_handler(call.number, &call.text, far)
                })
                .effect_handler::<QueryCall, NoSettings>(RetrySafety::Queryable, |call, far, _| {
                    effect_handler(call.number, &call.text, far)
                })
                .effect_handler::<OnceCall, NoSettings>(RetrySafety::Never, |call, far, _| {
                    effect_handler(call.number, &call.text, far)
                }),
        )
        .service(
            Service::new("listeners", 8005, Domain::General, "Listens.")
                .follows(NEWS)
                .aggregate::<Heard>()
                .view(news)
                .whenever(hear)
                .whenever(hear_news.from_now()),
        )
}

fn effect_handler(number: u32, text: &str, _: &EffectCall<'_>) -> Reaction<String> {
    assert!(text != "panic", "as the text says");
    Reaction::reply(format!("done {number}"))
}

/// A note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What it says.
    pub text: String,
}

/// What may be asked of a note.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum Do {
    /// Says so; the same again is nothing.
    Write(String),
    /// Says so, in private.
    Hide(String),
    /// Says what another note says.
    Quote(String),
    /// Says how many of the notes `n-0`, `n-1` … there are, looking one after the other.
    Count,
    /// Asks for a row of another service.
    Spy,
    /// Asks a directory about a city.
    Ask(String),
    /// Never has enough.
    AskForEver,
    /// Says so at an instant, in milliseconds.
    Later(String, i64, String),
    /// Thinks better of it.
    Forget(String),
    /// Says so, and forgets.
    WriteAndForget(String, String),
    /// Is gone.
    Remove,
    /// Is refused.
    Refuse,
    /// Panics.
    Panic,
    /// Sets a timer that cannot be written down.
    Unwritable(Unwritable),
}

/// A value that cannot be written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Unwritable {}

impl Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it cannot be written"))
    }
}

kernel::events! {
    /// What happens to a note.
    pub enum NoteEvent {
        /// Written.
        Written { version: 1, read: written },
        /// Written in private.
        Hidden { private },
        /// Gone.
        Removed,
    }
}

/// A note was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Written {
    /// What it says.
    pub text: String,
    /// The note's id.
    pub number: u64,
}

fn written(_: u16, json: &[u8]) -> Result<Written, CodecError> {
    let written: Written = from_json(json)?;
    if written.text == "unreadable" { Err(CodecError("as the text says".into())) } else { Ok(written) }
}

/// A note was written in private.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hidden {
    /// What it says.
    pub text: String,
}

/// A note is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Removed {}

/// It may not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct No;

impl Rejection for No {
    fn rejected(&self) -> Rejected {
        Rejected::rule("no", "it may not be")
    }
}

/// Asks how the weather is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Weather {
    /// Where.
    pub city: String,
}

impl Question for Weather {
    const PORT: &'static str = "weather";
    type Answer = String;
}

fn weather(asked: &Weather) -> Option<String> {
    assert!(asked.city != "panic", "as the city says");
    (asked.city != "nowhere").then(|| format!("sunny in {}", asked.city))
}

impl Aggregate for Note {
    const NAME: &'static str = "note";
    type Command = Do;
    type Event = NoteEvent;
    type Effect = NoEffect;
    type Rejection = No;
    type Settings = NoSettings;

    fn decide(now: Option<&Self>, command: &Do, context: &Context<'_>) -> Result<Decision<Self>, No> {
        let written = |text: String| Decision::event(Written { text, number: context.id });
        Ok(match command {
            Do::Write(text) if now.is_some_and(|note| note.text == *text) => Decision::nothing(),
            Do::Write(text) if text.starts_with("barred") && context.find::<Self>("gate").is_none() => {
                panic!("the gate is closed")
            }
            Do::Write(text) => written(text.clone()),
            Do::Hide(text) => Decision::event(Hidden { text: text.clone() }),
            Do::Quote(key) => written(context.find::<Self>(key).map_or("nothing".into(), |note| format!("\"{}\"", note.text))),
            Do::Count => {
                let mut found = 0;
                while context.find::<Self>(&format!("n-{found}")).is_some() {
                    found += 1;
                }
                written(format!("{found} notes"))
            }
            Do::Spy => written(context.find::<Copied>("secret").map_or(String::new(), |copied| copied.texts.join(","))),
            Do::Ask(city) => written(context.ask(&Weather { city: city.clone() }).unwrap_or("no answer".into())),
            Do::AskForEver => {
                let known = (0..1_000).take_while(|place| context.ask(&Weather { city: format!("city {place}") }).is_some());
                written(format!("{} cities", known.count()))
            }
            Do::Later(name, due_ms, text) => {
                let due = Timestamp::from_millisecond(*due_ms).unwrap_or_default();
                Decision::nothing().timer(name, due, Do::Write(text.clone()))
            }
            Do::Forget(name) => Decision::nothing().clear(name),
            Do::WriteAndForget(text, name) => written(text.clone()).clear(name),
            Do::Remove => Decision::event(Removed {}),
            Do::Refuse => return Err(No),
            Do::Panic => panic!("as it was told"),
            Do::Unwritable(value) => written("half".into()).timer("never", context.now, Do::Unwritable(value.clone())),
        })
    }

    fn evolve(_: Option<Self>, event: &NoteEvent) -> Option<Self> {
        match event {
            NoteEvent::Written(written) => Some(Self { text: written.text.clone() }),
            NoteEvent::Hidden(hidden) => Some(Self { text: hidden.text.clone() }),
            NoteEvent::Removed(_) => None,
        }
    }
}

/// A copy: everything that its note has said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// In order.
    pub texts: Vec<String>,
}

/// What may be asked of a copy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum CopyDo {
    /// Takes a text. One that says `gated` panics as long as there is no copy named `gate`.
    Take(String),
    /// Takes a stamp.
    Stamp,
}

kernel::events! {
    /// What happens to a copy.
    pub enum CopyEvent {
        /// A text was taken.
        Taken,
        /// It was finished.
        Finished,
    }
}

/// A text was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Taken {
    /// The text.
    pub text: String,
}

/// A copy was finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finished {}

impl Aggregate for Copied {
    const NAME: &'static str = "copy";
    type Command = CopyDo;
    type Event = CopyEvent;
    type Effect = NoEffect;
    type Rejection = No;
    type Settings = NoSettings;

    fn decide(_: Option<&Self>, command: &CopyDo, context: &Context<'_>) -> Result<Decision<Self>, No> {
        let text = match command {
            CopyDo::Take(text) => text.clone(),
            CopyDo::Stamp => "stamped".into(),
        };
        if text.contains("refuse") {
            return Err(No);
        }
        assert!(!text.starts_with("gated") || context.find::<Self>("gate").is_some(), "the gate is closed");
        let finished = text == "finish";
        let taken = Decision::event(Taken { text });
        Ok(if finished { taken.and(CopyEvent::Finished(Finished {})) } else { taken })
    }

    fn evolve(now: Option<Self>, event: &CopyEvent) -> Option<Self> {
        let mut copied = now.unwrap_or_default();
        if let CopyEvent::Taken(taken) = event {
            copied.texts.push(taken.text.clone());
        }
        Some(copied)
    }
}

kernel::policies! {
    /// Whenever a note is written, it is copied.
    fn copy(written: &Written, seen: &EventMetadata) -> Vec<CommandFor<Copied>> {
        assert!(written.text != "panic-policy", "as the text says");
        let take = |key: &str| CommandFor::new(key, CopyDo::Take(written.text.clone()));
        match written.text.as_str() {
            "refuse, or nothing" => vec![take(&seen.key).or_nothing()],
            "refuse, or something else" => vec![take(&seen.key).or(CopyDo::Take("something else".into()))],
            "refuse, or refuse" => vec![take(&seen.key).or(CopyDo::Take("refuse again".into()))],
            "refuse the second" => vec![CommandFor::new("first", CopyDo::Take("half".into())), take(&seen.key)],
            _ => vec![take(&seen.key)],
        }
    }

    /// Whenever a copy is finished, it is stamped.
    fn stamp(_: &Finished, seen: &EventMetadata) -> CommandFor<Copied> {
        CommandFor::new(&seen.key, CopyDo::Stamp)
    }
}

/// A row of the book.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// What was written, in order.
    pub texts: Vec<String>,
    /// The note's id.
    pub number: Option<u64>,
    /// The note is gone.
    pub gone: bool,
}

impl Row for Line {
    fn id(&self) -> Option<u64> {
        self.number
    }
}

/// What may be asked of an errand.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum Go {
    /// Goes so often, each time with this text, in this lane.
    Out(u32, String, Option<String>),
    /// Takes back what has not been started, and says so.
    Back,
    /// Takes back what has not been started, silently.
    BackSilently,
    /// Takes it back and goes again.
    OutAgain,
    /// This is what came of it.
    Hear(String),
    /// Hears something at an instant, in milliseconds.
    Remind(i64),
}

kernel::events! {
    /// What happens to an errand.
    pub enum ErrandEvent {
        /// It went out.
        Went,
        /// Something came of it.
        Came,
    }
}

/// An errand went out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Went {
    /// How often.
    pub times: u32,
}

/// Something came of an errand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Came {
    /// What.
    pub what: String,
}

macro_rules! errand {
    ($errand:ident, $name:literal, $call:ident, $port:literal) => {
        /// An errand: how often it went out, and what came of it.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $errand {
            /// How often it went out.
            pub went: u32,
            /// What came of it.
            pub heard: Vec<String>,
        }

        /// A call.
        #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
        pub struct $call {
            /// Counts the calls of its errand.
            pub number: u32,
            /// What to say.
            pub text: String,
            /// The lane.
            pub lane: Option<String>,
        }

        impl Effect for $call {
            const PORT: &'static str = $port;
            type Reply = String;
            fn lane(&self) -> Option<String> {
                self.lane.clone()
            }
        }

        impl Aggregate for $errand {
            const NAME: &'static str = $name;
            type Command = Go;
            type Event = ErrandEvent;
            type Effect = $call;
            type Rejection = No;
            type Settings = NoSettings;

            fn decide(now: Option<&Self>, command: &Go, context: &Context<'_>) -> Result<Decision<Self>, No> {
                let went = now.map_or(0, |errand| errand.went);
                let out = |times: u32, text: &str, lane: &Option<String>| {
                    let calls = (1..=times).map(|time| $call { number: went + time, text: text.into(), lane: lane.clone() });
                    calls.fold(Decision::event(Went { times }), Decision::effect)
                };
                let came = |what: &str| Decision::event(Came { what: what.into() });
                Ok(match command {
                    Go::Out(times, text, lane) => out(*times, text, lane),
                    Go::Back => came("called back").withdraw(),
                    Go::BackSilently => Decision::nothing().withdraw(),
                    Go::OutAgain => out(1, "again", &None).withdraw(),
                    Go::Hear(what) if what.contains("refuse") => return Err(No),
                    Go::Hear(what) if what.contains("barred") && context.find::<Self>("gate").is_none() => {
                        panic!("the gate is closed")
                    }
                    Go::Hear(what) if what.contains("never mind") => came(what).clear("remind"),
                    Go::Hear(what) => came(what),
                    Go::Remind(due_ms) => {
                        let due = Timestamp::from_millisecond(*due_ms).unwrap_or_default();
                        Decision::nothing().timer("remind", due, Go::Hear("reminded".into()))
                    }
                })
            }

            fn evolve(now: Option<Self>, event: &ErrandEvent) -> Option<Self> {
                let mut errand = now.unwrap_or_default();
                match event {
                    ErrandEvent::Went(went) => errand.went += went.times,
                    ErrandEvent::Came(came) => errand.heard.push(came.what.clone()),
                }
                Some(errand)
            }

            fn answered(call: $call, outcome: Outcome<String>) -> Option<Go> {
                assert!(call.text != "panic when answered", "as the text says");
                let what = match outcome {
                    Outcome::Reply(reply) => reply,
                    Outcome::Unreachable => "unreachable".into(),
                    Outcome::Unknown => "unknown".into(),
                    Outcome::Withdrawn => "withdrawn".into(),
                };
                Some(Go::Hear(format!("{}: {what}", call.number)))
            }
        }
    };
}

errand!(Errand, "errand", Call, "messenger");
errand!(QueryErrand, "query-errand", QueryCall, "clerk");
errand!(OnceErrand, "once-errand", OnceCall, "stranger");

/// What was heard of another system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// In order.
    pub texts: Vec<String>,
}

/// Hears.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum Hear {
    /// This.
    This(String),
}

kernel::events! {
    /// What happens when something is heard.
    pub enum HeardEvent {
        /// It was heard.
        WasHeard,
    }
}

/// Something was heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WasHeard {
    /// What.
    pub text: String,
}

/// Another system's event.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Said {
    /// What was said.
    pub text: String,
}

impl Event for Said {
    const TYPE: &'static str = "Said";
}

impl Aggregate for Heard {
    const NAME: &'static str = "heard";
    type Command = Hear;
    type Event = HeardEvent;
    type Effect = NoEffect;
    type Rejection = No;
    type Settings = NoSettings;

    fn decide(_: Option<&Self>, Hear::This(text): &Hear, _: &Context<'_>) -> Result<Decision<Self>, No> {
        Ok(Decision::event(WasHeard { text: text.clone() }))
    }

    fn evolve(now: Option<Self>, HeardEvent::WasHeard(heard): &HeardEvent) -> Option<Self> {
        let mut all = now.unwrap_or_default();
        all.texts.push(heard.text.clone());
        Some(all)
    }
}

kernel::policies! {
    /// Whenever something is said, it is heard.
    fn hear(said: &Said) -> CommandFor<Heard> {
        CommandFor::new("everything", Hear::This(said.text.clone()))
    }

    /// Whenever something new is said, it is heard.
    fn hear_news(said: &Said) -> CommandFor<Heard> {
        CommandFor::new("news", Hear::This(said.text.clone()))
    }
}
