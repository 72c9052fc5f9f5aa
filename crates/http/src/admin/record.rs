//! Records of the log in JSON.

use kernel::Timestamp;
use ports::Record;
use serde_json::{Value, json};

/// A record, with its payload as JSON.
pub(super) fn record_json(record: &Record) -> Value {
    // A payload that is not JSON is shown as text: it is probably the reason why the record is looked at.
    let data: Value = serde_json::from_slice(&record.data).unwrap_or_else(|_| String::from_utf8_lossy(&record.data).into());
    json!({
        "seq": record.seq,
        "id": record.id,
        "source": record.source,
        "type": record.event_type,
        "version": record.version,
        "key": record.key,
        "time": rfc3339(record.time_ms),
        "data": data,
        "cause": record.cause,
    })
}

/// Milliseconds since 1970 as RFC 3339.
pub(super) fn rfc3339(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}
