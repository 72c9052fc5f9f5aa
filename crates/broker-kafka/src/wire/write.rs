//! A record as it is put on a topic.

use std::borrow::Cow;

use ports::{Record, Stamp};

use super::{
    B3, CE_ACTOR, CE_CAUSATION, CE_DATAVERSION, CE_ID, CE_REQUEST, CE_SOURCE, CE_SPECVERSION, CE_TIME, CE_TRACEPARENT, CE_TYPE,
    CONTENT_TYPE, HEADER_TYPES, NUMBER, OUTBOX, TIMED, TRACEPARENT, TYPE, behind_time, time, timed_head, trace,
};
use crate::config::Generation;

/// A message as the producer takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<'a> {
    /// The correlation key; none where there is none, so that such records are spread.
    pub key: Option<&'a str>,
    /// One flat JSON object.
    pub value: Vec<u8>,
    /// In the order in which they are written.
    pub headers: Vec<(&'static str, Cow<'a, str>)>,
}

/// What goes on the topic for a record.
pub fn write<'a>(stamp: Option<&'a Stamp>, record: &'a Record, generation: Generation) -> Message<'a> {
    let value = record.wire_value();
    let mut headers: Vec<(&'static str, Cow<'a, str>)> = Vec::with_capacity(18);
    for_spring(&mut headers, record, generation);
    let cause = &record.cause;
    put(&mut headers, TRACEPARENT, &cause.trace);
    headers.push((CE_SPECVERSION, "1.0".into()));
    headers.push((CE_ID, record.id.as_str().into()));
    headers.push((CE_SOURCE, record.source.as_str().into()));
    headers.push((CE_TYPE, record.event_type.as_str().into()));
    headers.extend(time::rfc3339(record.time_ms).map(|text| (CE_TIME, text.into())));
    headers.push((CE_DATAVERSION, record.version.to_string().into()));
    put(&mut headers, CE_TRACEPARENT, &cause.trace);
    put(&mut headers, CE_ACTOR, &cause.actor);
    put(&mut headers, CE_REQUEST, &cause.request);
    put(&mut headers, CE_CAUSATION, &cause.causation);
    if let Some(stamp) = stamp {
        headers.push((OUTBOX, stamp.outbox.as_str().into()));
        headers.push((NUMBER, stamp.number.to_string().into()));
    }
    let (timed, _) = timed_head(&record.event_type, record.time_ms);
    if behind_time(&record.data, &timed).is_some() {
        headers.push((TIMED, "true".into()));
    }
    Message { key: Some(record.key.as_str()).filter(|key| !key.is_empty()), value, headers }
}

/// The headers that Spring Cloud Stream reads. One that is declared as text and is not JSON text makes the old one log an error.
fn for_spring<'a>(headers: &mut Vec<(&'static str, Cow<'a, str>)>, record: &'a Record, generation: Generation) {
    headers.push((CONTENT_TYPE, "\"application/json\"".into()));
    let types = match generation {
        Generation::Old => r#"{"contentType":"java.lang.String"}"#,
        Generation::New => {
            headers.push((TYPE, record.event_type.as_str().into()));
            match trace::b3(&record.cause.trace) {
                Some(b3) => {
                    headers.push((B3, b3.into()));
                    r#"{"contentType":"java.lang.String","type":"java.lang.String","b3":"java.lang.String"}"#
                }
                None => r#"{"contentType":"java.lang.String","type":"java.lang.String"}"#,
            }
        }
    };
    headers.push((HEADER_TYPES, types.into()));
}

fn put<'a>(headers: &mut Vec<(&'static str, Cow<'a, str>)>, name: &'static str, value: &'a str) {
    if !value.is_empty() {
        headers.push((name, value.into()));
    }
}
