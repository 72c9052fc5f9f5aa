//! When an event happened: what its value says, where that can be trusted.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz;
use serde_json::Value;

/// Text without zone was written by a machine in Korea, which has had no summer time since 1988.
const SEOUL: tz::Offset = tz::offset(9);

/// A time as text that is further from the record's own is wrong: some services write a week-based year, whose last days of
/// December belong to the next one, and some run in another zone.
const DOUBTFUL_MS: u64 = 3_600_000;

/// The time of an event by its value, beside the time that the topic gave to the record.
pub fn of_value(timestamp: Option<&Value>, own_ms: Option<i64>) -> i64 {
    match timestamp {
        Some(Value::Number(number)) => number.as_i64().filter(|ms| is_instant(*ms)).or(own_ms),
        Some(Value::String(text)) => credible(of_text(text), own_ms),
        _ => own_ms,
    }
    .unwrap_or(0)
}

/// An instant as CloudEvents writes it; none where no calendar reaches.
pub fn rfc3339(ms: i64) -> Option<String> {
    Timestamp::from_millisecond(ms).ok().map(|instant| instant.to_string())
}

/// The reverse.
pub fn of_rfc3339(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

fn is_instant(ms: i64) -> bool {
    Timestamp::from_millisecond(ms).is_ok()
}

fn credible(written: Option<i64>, own_ms: Option<i64>) -> Option<i64> {
    match (written, own_ms) {
        (Some(written), Some(own)) if written.abs_diff(own) > DOUBTFUL_MS => Some(own),
        (written, own) => written.or(own),
    }
}

/// `yyyyMMddHHmmss`, or milliseconds since 1970.
fn of_text(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return of_rfc3339(text);
    }
    if text.len() != 14 {
        return text.parse().ok().filter(|ms| is_instant(*ms));
    }
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<i8>().ok();
    let year = text.get(..4)?.parse::<i16>().ok()?;
    let (month, day, hour, minute, second) = (part(4, 6)?, part(6, 8)?, part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let civil = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    SEOUL.to_timestamp(civil).ok().map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// 2026-11-21 14:41:41 in Seoul.
    const OWN: i64 = 1_795_239_701_118;

    #[test]
    fn numbers_are_milliseconds_also_as_text() {
        assert_eq!(of_value(Some(&json!(1_795_239_693_819_i64)), Some(OWN)), 1_795_239_693_819);
        assert_eq!(of_value(Some(&json!("1795239693819")), Some(OWN)), 1_795_239_693_819);
        assert_eq!(of_value(Some(&json!(5)), Some(OWN)), 5, "a number is believed");
    }

    #[test]
    fn text_is_local_time_in_seoul() {
        assert_eq!(of_value(Some(&json!("20261121144141")), Some(OWN)), 1_795_239_701_000);
        assert_eq!(of_value(Some(&json!("20261121144141")), None), 1_795_239_701_000);
        assert_eq!(of_value(Some(&json!("2026-11-21T05:41:41Z")), Some(OWN)), 1_795_239_701_000);
    }

    #[test]
    fn a_doubtful_time_gives_way_to_the_records_own() {
        let december = Timestamp::from_millisecond(1_798_588_800_000).unwrap(); // 2026-12-30, whose week belongs to 2027
        let own = december.as_millisecond();
        assert_eq!(of_value(Some(&json!("20271230090000")), Some(own)), own);
        assert_eq!(of_value(Some(&json!("20261121054141")), Some(OWN)), OWN, "another zone");
    }

    #[test]
    fn what_is_no_time_gives_way_too() {
        for value in [
            json!(null),
            json!(true),
            json!(""),
            json!("soon"),
            json!("20261399999999"),
            json!(1e300),
            json!(i64::MAX),
            json!("1234"),
        ] {
            assert_eq!(of_value(Some(&value), Some(OWN)), OWN, "{value}");
        }
        assert_eq!(of_value(None, Some(OWN)), OWN);
        assert_eq!(of_value(None, None), 0);
        assert_eq!(of_value(Some(&json!("2026112114414é")), Some(OWN)), OWN);
    }
}
