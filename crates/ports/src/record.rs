//! Record: one event as stored in the log, and as consumers of the topic read it.

use serde::{Deserialize, Serialize};

use kernel::event::Cause;

/// One event as stored in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Position in its log, counted from 1, without gaps in an embedded log.
    pub seq: u64,
    /// CloudEvents `id`.
    pub id: String,
    /// The service that published it.
    pub source: String,
    /// The event's name.
    pub event_type: String,
    /// Schema version of the payload.
    pub version: u16,
    /// The correlation key.
    pub key: String,
    /// When it was decided, milliseconds since 1970.
    pub time_ms: i64,
    /// The flat JSON object with `eventType`.
    #[serde(with = "json_text")]
    pub data: Vec<u8>,
    /// The actor, request and causation of the event.
    pub cause: Cause,
}

impl Record {
    /// The metadata that handlers see beside the payload.
    pub fn metadata(&self) -> kernel::EventMetadata {
        kernel::EventMetadata {
            id: self.id.clone(),
            source: self.source.clone(),
            event_type: self.event_type.clone(),
            key: self.key.clone(),
            time: kernel::Timestamp::from_millisecond(self.time_ms).unwrap_or_default(),
        }
    }

    /// The value on the topic: one flat JSON object on one line. Fields stay as written; the timestamp follows the type, as
    /// existing services expect it.
    pub fn wire_value(&self) -> Vec<u8> {
        let head = format!("{{\"eventType\":\"{}\"", self.event_type);
        match self.data.strip_prefix(head.as_bytes()) {
            Some(rest) if !is_timed(&self.data) => {
                [head.as_bytes(), format!(",\"timestamp\":{}", self.time_ms).as_bytes(), rest].concat()
            }
            // An external record, copied as it came.
            _ => self.data.clone(),
        }
    }
}

/// Whether there is a `timestamp` member, be it `null`: a member must not occur twice.
fn is_timed(data: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Timed {
        #[serde(default, deserialize_with = "there")]
        timestamp: bool,
    }
    fn there<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| true)
    }
    serde_json::from_slice::<Timed>(data).is_ok_and(|value| value.timestamp)
}

/// Payloads are JSON; within a record that is serialized as JSON they are strings.
pub(crate) mod json_text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&String::from_utf8_lossy(data))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        Ok(String::deserialize(deserializer)?.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(data: &str) -> String {
        let record = Record {
            seq: 1,
            id: "1".into(),
            source: "message".into(),
            event_type: "SendSuccess".into(),
            version: 1,
            key: "msg-1".into(),
            time_ms: 1_700_000_000_123,
            data: data.into(),
            cause: Cause::default(),
        };
        String::from_utf8(record.wire_value()).unwrap()
    }

    #[test]
    fn the_time_stands_behind_the_type() {
        let written = r#"{"eventType":"SendSuccess","id":1,"description":"테스트 \"timestamp\""}"#;
        let expected = r#"{"eventType":"SendSuccess","timestamp":1700000000123,"id":1,"description":"테스트 \"timestamp\""}"#;
        assert_eq!(value(written), expected);
    }

    #[test]
    fn an_event_without_fields_is_well_formed_too() {
        assert_eq!(value(r#"{"eventType":"SendSuccess"}"#), r#"{"eventType":"SendSuccess","timestamp":1700000000123}"#);
    }

    #[test]
    fn a_time_that_is_there_already_stays() {
        for data in [r#"{"eventType":"SendSuccess","timestamp":5}"#, r#"{"eventType":"SendSuccess","timestamp":null}"#] {
            assert_eq!(value(data), data);
        }
    }
}
