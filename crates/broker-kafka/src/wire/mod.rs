//! Records as messages of a topic, and back. Pure: no client, no clock.
//!
//! | header | of ours | on old topics |
//! |---|---|---|
//! | `type` | the event's type | – |
//! | `contentType` | `"application/json"` with the quotes | the same |
//! | `b3` | from `traceparent` | – |
//! | `spring_json_header_types` | the three above, as far as they are there | `contentType` alone |
//! | `traceparent` | as it came with the command | the same |
//! | `ce_id`, `ce_source`, `ce_type`, `ce_time`, `ce_specversion`, `ce_traceparent` | CloudEvents 1.0 | the same |
//! | `ce_dataversion`, `ce_actor`, `ce_request`, `ce_causation` | extensions: the schema's version, and the cause | the same |
//! | `pabal_outbox`, `pabal_number` | the stamp that survives the relay | the same |
//! | `pabal_timed` | only where a reader could not tell that the value's time is the event's own field | the same |
//!
//! A record without `ce_id` is an *external* one: its `source` is empty, its id is `topic/partition/offset`, its key may be
//! empty, and its data are the unchanged value, time and unknown fields included.

mod read;
mod time;
mod trace;
mod write;

pub(crate) use read::stamp;
pub use read::{Arrived, NotAnEvent, read};
pub use write::{Message, write};

const TYPE: &str = "type";
const CONTENT_TYPE: &str = "contentType";
const HEADER_TYPES: &str = "spring_json_header_types";
const TRACEPARENT: &str = "traceparent";
const B3: &str = "b3";
const CE_ID: &str = "ce_id";
const CE_SOURCE: &str = "ce_source";
const CE_TYPE: &str = "ce_type";
const CE_TIME: &str = "ce_time";
const CE_SPECVERSION: &str = "ce_specversion";
const CE_TRACEPARENT: &str = "ce_traceparent";
const CE_DATAVERSION: &str = "ce_dataversion";
const CE_ACTOR: &str = "ce_actor";
const CE_REQUEST: &str = "ce_request";
const CE_CAUSATION: &str = "ce_causation";
const OUTBOX: &str = "pabal_outbox";
const NUMBER: &str = "pabal_number";
const TIMED: &str = "pabal_timed";

/// How a value begins that [`ports::Record::wire_value`] has put a time into, and how it began before.
fn timed_head(event_type: &str, time_ms: i64) -> (String, String) {
    let head = format!("{{\"eventType\":\"{event_type}\"");
    (format!("{head},\"timestamp\":{time_ms}"), head)
}

/// What stands behind the time, if the value begins as one that a time was put into.
fn behind_time<'a>(value: &'a [u8], timed: &str) -> Option<&'a [u8]> {
    value.strip_prefix(timed.as_bytes()).filter(|rest| matches!(rest.first(), Some(b',' | b'}')))
}

#[cfg(test)]
mod tests;
