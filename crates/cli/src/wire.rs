//! An event as a consumer of its topic reads it: one flat object with `eventType` and `timestamp`.

use runtime::ports::Record;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// What of a value is looked at before it goes out.
#[derive(Deserialize)]
struct Timed {
    timestamp: Option<IgnoredAny>,
}

/// The value, one line. Fields stay as they were written; the time stands behind the type, as existing services put it.
pub fn value(record: &Record) -> String {
    let data = String::from_utf8_lossy(&record.data);
    let timed = serde_json::from_str::<Timed>(&data).is_ok_and(|value| value.timestamp.is_some());
    let head = format!("{{\"eventType\":\"{}\"", record.event_type);
    match data.strip_prefix(&head) {
        Some(rest) if !timed => format!("{head},\"timestamp\":{}{rest}", record.time_ms),
        // Taken over from a foreign service as it came.
        _ => data.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::event::Cause;

    fn record(data: &str) -> Record {
        Record {
            seq: 1,
            id: "1".into(),
            source: "message".into(),
            event_type: "SendSuccess".into(),
            version: 1,
            key: "msg-1".into(),
            time_ms: 1_700_000_000_123,
            data: data.as_bytes().to_vec(),
            cause: Cause::default(),
        }
    }

    #[test]
    fn the_time_stands_behind_the_type() {
        let value = value(&record(r#"{"eventType":"SendSuccess","id":1,"description":"테스트 \"timestamp\""}"#));
        let expected = r#"{"eventType":"SendSuccess","timestamp":1700000000123,"id":1,"description":"테스트 \"timestamp\""}"#;
        assert_eq!(value, expected);
    }

    #[test]
    fn an_event_without_fields_is_well_formed_too() {
        assert_eq!(value(&record(r#"{"eventType":"SendSuccess"}"#)), r#"{"eventType":"SendSuccess","timestamp":1700000000123}"#);
    }

    #[test]
    fn a_time_that_is_there_already_stays() {
        let data = r#"{"eventType":"SendSuccess","timestamp":5}"#;
        assert_eq!(value(&record(data)), data);
    }
}
