//! Views: read models, built from events alone, one row per correlation key.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::context::Opaque;
use crate::erased::to_json;
use crate::event::{CodecError, Event, EventMetadata, from_json};
use crate::field::{Ask, Field, FieldInfo, IndexValue};
use crate::schema;

/// A row of a view. It starts empty with the first event of its key, whichever that is.
pub trait Row: Default + Clone + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// Schema version of the row as written.
    const VERSION: u16 = 1;
    /// The id under which it is listed; a row without one is kept, but not listed yet.
    fn id(&self) -> Option<u64>;

    /// Reads a row of any released version.
    fn read(version: u16, json: &[u8]) -> Result<Self, CodecError> {
        let _ = version;
        from_json(json)
    }
}

type Apply<R> = Box<dyn Fn(&mut R, u16, &[u8], &EventMetadata) -> Result<(), CodecError> + Send + Sync>;

/// A view being declared.
pub struct View<R: Row> {
    name: &'static str,
    sentence: &'static str,
    handlers: HashMap<String, Apply<R>>,
    events: Vec<String>,
    fields: Vec<Field<R>>,
    crossed: Vec<[&'static str; 2]>,
}

/// Declares a view; the sentence stands in the documents.
pub fn view<R: Row>(name: &'static str, sentence: &'static str) -> View<R> {
    View { name, sentence, handlers: HashMap::new(), events: Vec::new(), fields: Vec::new(), crossed: Vec::new() }
}

impl<R: Row> View<R> {
    /// How one event type changes the row of its correlation key.
    pub fn on<E: Event>(mut self, apply: fn(&mut R, &E, &EventMetadata)) -> Self {
        let name = E::TYPE.to_owned();
        let handler = move |row: &mut R, version: u16, json: &[u8], seen: &EventMetadata| {
            apply(row, &E::read(version, json)?, seen);
            Ok(())
        };
        self.handlers.insert(name.clone(), Box::new(handler));
        self.events.push(name);
        self
    }

    /// A filter over few values, with a counter for each.
    pub fn counted(self, name: &'static str, value: fn(&R) -> IndexValue) -> Self {
        self.field(name, Ask::Counted, value)
    }

    /// A filter over many values.
    pub fn filter(self, name: &'static str, value: fn(&R) -> IndexValue) -> Self {
        self.field(name, Ask::Filter, value)
    }

    /// A filter by the row's own key, under the name that it has in the row.
    pub fn keyed(self, name: &'static str, value: fn(&R) -> IndexValue) -> Self {
        self.field(name, Ask::Key, value)
    }

    /// A filter over a span of time.
    pub fn period(self, name: &'static str, value: fn(&R) -> IndexValue) -> Self {
        self.field(name, Ask::Period, value)
    }

    fn field(mut self, name: &'static str, ask: Ask, value: fn(&R) -> IndexValue) -> Self {
        self.fields.push(Field::new(name, ask, value));
        self
    }

    /// Totals for each pair of values of two counted fields.
    pub fn totals(mut self, by: &'static str, and: &'static str) -> Self {
        self.crossed.push([by, and]);
        self
    }

    pub(crate) fn erase(self) -> ViewDef {
        ViewDef {
            name: self.name,
            sentence: self.sentence,
            events: self.events,
            fields: self.fields.iter().map(|field| field.info.clone()).collect(),
            crossed: self.crossed,
            row: Arc::new(Rows { handlers: self.handlers, fields: self.fields }),
        }
    }
}

/// A declared view without its type.
#[derive(Clone)]
pub struct ViewDef {
    /// Its name, which is also its resource's.
    pub name: &'static str,
    /// One sentence for the documents.
    pub sentence: &'static str,
    /// The events that feed it.
    pub events: Vec<String>,
    /// What may be filtered.
    pub fields: Vec<FieldInfo>,
    /// Pairs of counted fields whose combinations are counted too.
    pub crossed: Vec<[&'static str; 2]>,
    /// How its rows are read, written and changed.
    pub row: Arc<dyn AnyRow>,
}

/// A view's row type without its type.
pub trait AnyRow: Send + Sync {
    /// Schema version of the row.
    fn version(&self) -> u16;
    /// Reads a stored row.
    fn decode(&self, version: u16, json: &[u8]) -> Result<Opaque, CodecError>;
    /// Writes a row.
    fn encode(&self, row: &Opaque) -> Result<Vec<u8>, CodecError>;
    /// The row after an event.
    fn apply(&self, row: Option<&Opaque>, version: u16, json: &[u8], seen: &EventMetadata) -> Result<Opaque, CodecError>;
    /// The id under which it is listed.
    fn id(&self, row: &Opaque) -> Option<u64>;
    /// The values of its declared fields, in their order.
    fn index(&self, row: &Opaque) -> Vec<IndexValue>;
    /// The row's JSON Schema, inlined.
    fn schema(&self) -> Value;
}

struct Rows<R: Row> {
    handlers: HashMap<String, Apply<R>>,
    fields: Vec<Field<R>>,
}

impl<R: Row> AnyRow for Rows<R> {
    fn version(&self) -> u16 {
        R::VERSION
    }
    fn decode(&self, version: u16, json: &[u8]) -> Result<Opaque, CodecError> {
        Ok(Arc::new(R::read(version, json)?))
    }
    fn encode(&self, row: &Opaque) -> Result<Vec<u8>, CodecError> {
        to_json(typed::<R>(row)?)
    }
    fn apply(&self, row: Option<&Opaque>, version: u16, json: &[u8], seen: &EventMetadata) -> Result<Opaque, CodecError> {
        let mut row = row.map(|row| typed::<R>(row).cloned()).transpose()?.unwrap_or_default();
        if let Some(handler) = self.handlers.get(&seen.event_type) {
            handler(&mut row, version, json, seen)?;
        }
        Ok(Arc::new(row))
    }
    fn id(&self, row: &Opaque) -> Option<u64> {
        row.downcast_ref::<R>().and_then(Row::id)
    }
    fn index(&self, row: &Opaque) -> Vec<IndexValue> {
        let row = row.downcast_ref::<R>();
        self.fields.iter().map(|field| row.map_or(IndexValue::Null, |row| (field.value)(row))).collect()
    }
    fn schema(&self) -> Value {
        schema::inline::<R>().to_value()
    }
}

fn typed<R: 'static>(row: &Opaque) -> Result<&R, CodecError> {
    row.downcast_ref::<R>().ok_or_else(|| CodecError("a row of another type".into()))
}

/// One line of a row's timeline: what happened, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Happened {
    /// The event's name.
    pub event: String,
    /// When it was decided, UTC.
    pub at: Timestamp,
    /// What a person should know about it, e.g. a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Happened {
    /// A line for an event.
    pub fn from(seen: &EventMetadata) -> Self {
        Self { event: seen.event_type.clone(), at: seen.time, note: None }
    }

    /// With a note.
    pub fn noting(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }

    /// Puts a line in its place by time, whatever the order of arrival.
    pub fn insert(self, timeline: &mut Vec<Self>) {
        let place = timeline.partition_point(|line| line.at <= self.at);
        timeline.insert(place, self);
    }
}
