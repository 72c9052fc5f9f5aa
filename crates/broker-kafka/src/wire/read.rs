//! A message of a topic as a record: of ours without loss, of others whatever can be made of it.

use std::borrow::Cow;
use std::fmt;

use kernel::event::Cause;
use ports::{Delivery, Record, Stamp};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{
    B3, CE_ACTOR, CE_CAUSATION, CE_DATAVERSION, CE_ID, CE_REQUEST, CE_SOURCE, CE_TIME, CE_TRACEPARENT, NUMBER, OUTBOX, TIMED,
    TRACEPARENT, behind_time, time, timed_head, trace,
};

/// A message as it came from a topic.
#[derive(Debug, Clone, Default)]
pub struct Arrived<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition's number.
    pub partition: u32,
    /// Its offset there, from 0.
    pub offset: u64,
    /// When it was written, by the producer's clock or the broker's.
    pub time_ms: Option<i64>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The headers.
    pub headers: Vec<(&'a str, &'a [u8])>,
    /// The value.
    pub value: Option<&'a [u8]>,
}

/// Why a message is not an event. Every reader skips and counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NotAnEvent {
    /// A tombstone, or nothing at all.
    #[error("it has no value")]
    NoValue,
    /// Bytes that are no text.
    #[error("its value is no UTF-8 text")]
    NotText,
    /// Text that is no JSON.
    #[error("its value is no JSON")]
    NotJson,
    /// JSON that is no object.
    #[error("its value is no JSON object")]
    NotAnObject,
    /// An object that does not say what it is.
    #[error("its value has no eventType")]
    NoEventType,
}

impl NotAnEvent {
    /// As a metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::NoValue => "no_value",
            Self::NotText => "not_text",
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::NoEventType => "no_event_type",
        }
    }
}

impl Arrived<'_> {
    /// The last header of a name, as text; none where it is empty or none at all.
    fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let found = self.headers.iter().rev().find(|(header, _)| *header == name);
        found.map(|(_, value)| String::from_utf8_lossy(value)).filter(|value| !value.is_empty())
    }

    fn text(&self, name: &str) -> String {
        self.header(name).unwrap_or_default().into_owned()
    }
}

/// The envelope's fields in a value. Of a repeated field the last counts, as for Java's readers.
#[derive(Default)]
struct Head {
    event_type: Option<Value>,
    timestamp: Option<Value>,
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Head;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Head, A::Error> {
        let mut head = Head::default();
        while let Some(name) = fields.next_key::<Cow<'de, str>>()? {
            match name.as_ref() {
                "eventType" => head.event_type = Some(fields.next_value()?),
                "timestamp" => head.timestamp = Some(fields.next_value()?),
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(head)
    }
}

/// The record that a message is; its `seq` is its offset plus one.
pub fn read(arrived: &Arrived<'_>) -> Result<Delivery, NotAnEvent> {
    let value = arrived.value.filter(|value| !value.is_empty()).ok_or(NotAnEvent::NoValue)?;
    let (event_type, timestamp) = head(value)?;
    let ours = arrived.header(CE_ID);
    let time_ms = arrived.header(CE_TIME).filter(|_| ours.is_some()).and_then(|text| time::of_rfc3339(&text));
    let time_ms = time_ms.unwrap_or_else(|| time::of_value(timestamp.as_ref(), arrived.time_ms));
    let data = match ours {
        Some(_) if arrived.header(TIMED).is_none() => untimed(value, &event_type, time_ms),
        _ => value.to_vec(),
    };
    let record = Record {
        seq: arrived.offset.saturating_add(1),
        source: if ours.is_some() { arrived.text(CE_SOURCE) } else { String::new() },
        id: ours.map_or_else(|| format!("{}/{}/{}", arrived.topic, arrived.partition, arrived.offset), Cow::into_owned),
        event_type,
        version: arrived.header(CE_DATAVERSION).and_then(|text| text.parse().ok()).unwrap_or(1),
        key: String::from_utf8_lossy(arrived.key.unwrap_or_default()).into_owned(),
        time_ms,
        data,
        cause: cause(arrived),
    };
    Ok(Delivery { record, stamp: stamp(arrived) })
}

fn head(value: &[u8]) -> Result<(String, Option<Value>), NotAnEvent> {
    let text = std::str::from_utf8(value).map_err(|_| NotAnEvent::NotText)?;
    if !text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
        let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
        return Err(if is_json { NotAnEvent::NotAnObject } else { NotAnEvent::NotJson });
    }
    let head: Head = serde_json::from_str(text).map_err(|_| NotAnEvent::NotJson)?;
    match head.event_type {
        Some(Value::String(name)) if !name.is_empty() => Ok((name, head.timestamp)),
        _ => Err(NotAnEvent::NoEventType),
    }
}

/// Without the time that the writer has inserted into the value.
fn untimed(value: &[u8], event_type: &str, time_ms: i64) -> Vec<u8> {
    let (timed, head) = timed_head(event_type, time_ms);
    match behind_time(value, &timed) {
        Some(rest) => [head.as_bytes(), rest].concat(),
        None => value.to_vec(),
    }
}

fn cause(arrived: &Arrived<'_>) -> Cause {
    let written = arrived.header(CE_TRACEPARENT).or_else(|| arrived.header(TRACEPARENT)).map(Cow::into_owned);
    let trace = written.or_else(|| arrived.header(B3).and_then(|b3| trace::traceparent(&b3)));
    Cause {
        actor: arrived.text(CE_ACTOR),
        request: arrived.text(CE_REQUEST),
        causation: arrived.text(CE_CAUSATION),
        trace: trace.unwrap_or_default(),
    }
}

/// The stamp alone, for looking back at what a relay has published.
pub(crate) fn stamp(arrived: &Arrived<'_>) -> Option<Stamp> {
    let outbox = arrived.header(OUTBOX)?.into_owned();
    let number = arrived.header(NUMBER)?.parse().ok()?;
    Some(Stamp { outbox, number })
}
