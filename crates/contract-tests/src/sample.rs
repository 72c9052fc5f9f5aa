//! A small system to keep: parcels with a search field, and a view of them with every sort of field.

use kernel::aggregate::Decision;
use kernel::rejection::Never;
use kernel::{Aggregate, Context, Domain, IndexValue, New, NoEffect, NoSettings, Row, Service, System, resource, view};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The system.
pub fn depot() -> System {
    let parcels = resource("parcels", "What lies here.", |parcel: &Parcel, id| Shown { id, owner: parcel.owner.clone() })
        .create("Takes a parcel in.", |parcel: Parcel| Ok(New::keyed(None, Command::Take(parcel.owner))))
        .search("owner", |parcel| IndexValue::from(&parcel.owner));
    let lines = view::<Line>("lines", "A line for each parcel.")
        .on::<Taken>(|line, taken, seen| {
            line.key.clone_from(&seen.key);
            line.owner = Some(taken.owner.clone());
        })
        .counted("state", |line| IndexValue::from(&line.state))
        .counted("kind", |line| IndexValue::from(&line.kind))
        .filter("owner", |line| IndexValue::from(line.owner.clone()))
        .period("at", |line| IndexValue::from(line.at))
        .keyed("key", |line| IndexValue::from(&line.key))
        .totals("state", "kind");
    let service = Service::new("depot", 8080, Domain::Supporting, "Keeps parcels.").resource(parcels).view(lines);
    System::new("sample", "sample-events", "Something to keep.").service(service)
}

/// Where the fields of a [`Line`] stand among the index values.
pub mod field {
    /// Counted, and crossed with the kind.
    pub const STATE: usize = 0;
    /// Counted.
    pub const KIND: usize = 1;
    /// A filter; may be absent.
    pub const OWNER: usize = 2;
    /// A period; may be absent.
    pub const AT: usize = 3;
    /// The key itself.
    pub const KEY: usize = 4;
    /// All of them.
    pub const ALL: [usize; 5] = [STATE, KIND, OWNER, AT, KEY];
}

/// A row of the view.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// The business key.
    pub key: String,
    /// The id, once it is listed.
    pub id: Option<u64>,
    /// Few values.
    pub state: String,
    /// Few values.
    pub kind: String,
    /// Many values.
    pub owner: Option<String>,
    /// Milliseconds since 1970.
    pub at: Option<i64>,
}

impl Row for Line {
    fn id(&self) -> Option<u64> {
        self.id
    }
}

impl Line {
    /// A listed line.
    pub fn new(key: &str, id: u64) -> Self {
        Self { key: key.into(), id: Some(id), state: "new".into(), kind: "box".into(), owner: None, at: None }
    }

    /// In another state and of another kind.
    pub fn is(self, state: &str, kind: &str) -> Self {
        Self { state: state.into(), kind: kind.into(), ..self }
    }

    /// Its owner.
    pub fn of(self, owner: &str) -> Self {
        Self { owner: Some(owner.into()), ..self }
    }

    /// At an instant.
    pub fn at(self, ms: i64) -> Self {
        Self { at: Some(ms), ..self }
    }

    /// Not listed.
    pub fn unlisted(self) -> Self {
        Self { id: None, ..self }
    }
}

/// Lines of which many agree in every field; keys, ids and instants are in different orders.
pub fn lines(number: u64) -> Vec<Line> {
    let line = |place: u64| {
        let state = ["new", "sent", "failed"][usize::try_from(place % 3).unwrap_or_default()];
        let kind = if place.is_multiple_of(4) { "box" } else { "letter" };
        let line = Line::new(&format!("line-{:05}", number - place), 1 + (place * 7919) % 100_003).is(state, kind);
        let line = if place.is_multiple_of(5) { line } else { line.of(&format!("owner {}", place % 4)) };
        let at = i64::try_from((place * 31) % 10 * 1000).unwrap_or_default();
        if place.is_multiple_of(7) { line } else { line.at(at) }
    };
    (0..number).map(line).collect()
}

/// A parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Parcel {
    owner: String,
}

/// How a parcel is shown.
#[derive(Serialize, JsonSchema)]
struct Shown {
    id: u64,
    owner: String,
}

/// What may be asked of a parcel.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum Command {
    /// Take it in.
    Take(String),
}

kernel::events! {
    /// What happens to a parcel.
    pub enum Happens {
        /// It was taken in.
        Taken,
    }
}

/// A parcel was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Taken {
    owner: String,
}

impl Aggregate for Parcel {
    const NAME: &'static str = "parcel";
    type Command = Command;
    type Event = Happens;
    type Effect = NoEffect;
    type Rejection = Never;
    type Settings = NoSettings;

    fn decide(_: Option<&Self>, command: &Command, _: &Context<'_>) -> Result<Decision<Self>, Never> {
        let Command::Take(owner) = command;
        Ok(Decision::event(Taken { owner: owner.clone() }))
    }

    fn evolve(_: Option<Self>, event: &Happens) -> Option<Self> {
        let Happens::Taken(taken) = event;
        Some(Self { owner: taken.owner.clone() })
    }
}

/// An effect that is always answered.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Errand {}

impl kernel::Effect for Errand {
    const PORT: &'static str = "errands";
    type Reply = String;
}

/// Its effect handler, with that promise.
pub fn effect_handlers(repeat: kernel::RetrySafety) -> Vec<kernel::service::EffectHandlerDef> {
    let answer = |_: &Errand, _: &kernel::EffectCall<'_>, _: &NoSettings| kernel::Reaction::reply("done".to_owned());
    kernel::Service::new("runner", 0, kernel::Domain::Supporting, "Runs errands.").effect_handler(repeat, answer).effect_handlers
}
