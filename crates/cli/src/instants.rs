//! Times as people type them: an instant, a date in the installation's zone, or how long ago.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, civil};

use crate::failed::Failed;

/// Milliseconds since 1970.
pub fn read(flag: &str, text: &str, zone: &TimeZone, now: Timestamp) -> Result<i64, Failed> {
    let ago = || text.parse::<SignedDuration>().ok().and_then(|ago| now.checked_sub(ago).ok());
    let day_time = || text.parse::<civil::DateTime>().ok().and_then(|time| zone.to_timestamp(time).ok());
    let instant = text.parse::<Timestamp>().ok().or_else(day_time).or_else(ago);
    instant.map(Timestamp::as_millisecond).ok_or_else(|| {
        let forms = "an instant (2026-01-31T09:00:00Z), a date (2026-01-31), or how long ago (10m, 2h)";
        Failed::config(format!("{flag}: `{text}` is no time; write {forms}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_at_noon(text: &str) -> Option<String> {
        let now = "2026-01-31T12:00:00Z".parse().unwrap();
        let ms = read("--since", text, &TimeZone::get("Asia/Seoul").unwrap(), now).ok()?;
        Some(Timestamp::from_millisecond(ms).unwrap().to_string())
    }

    #[test]
    fn instants_dates_and_spans_are_read() {
        assert_eq!(read_at_noon("2026-01-30T01:00:00Z").as_deref(), Some("2026-01-30T01:00:00Z"));
        assert_eq!(read_at_noon("2026-01-30").as_deref(), Some("2026-01-29T15:00:00Z"), "midnight in Seoul");
        assert_eq!(read_at_noon("2026-01-30T10:00").as_deref(), Some("2026-01-30T01:00:00Z"));
        assert_eq!(read_at_noon("90m").as_deref(), Some("2026-01-31T10:30:00Z"));
        assert_eq!(read_at_noon("yesterday"), None);
    }
}
