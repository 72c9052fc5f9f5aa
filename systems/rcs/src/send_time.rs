//! When a message is to be sent: what people write, and the instant that it means.

use kernel::Timestamp;
use kernel::context::Context;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::settings::RcsSettings;

/// The instant of a text: RFC 3339, or a bare date-time or date in `zone`; a date alone is its midnight.
/// `None` where it says no time.
pub fn instant(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.trim();
    let exact: Result<Timestamp, _> = text.parse();
    exact.or_else(|_| text.parse().and_then(|bare: DateTime| zone.to_timestamp(bare))).ok()
}

/// The instant a message waits for: `None` when it is to be sent now, because no time was said, or one that is past,
/// or (by an external service) none that can be read.
pub fn still_to_come(text: Option<&str>, context: &Context<'_, RcsSettings>) -> Option<Timestamp> {
    text.and_then(|text| instant(text, context.zone)).filter(|due| *due > context.now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seoul() -> TimeZone {
        TimeZone::get("Asia/Seoul").unwrap()
    }

    #[test]
    fn a_bare_date_is_its_midnight_in_the_configured_zone() {
        let cases = [
            ("2024-09-23", "2024-09-22T15:00:00Z"),
            ("2024-09-23T10:30", "2024-09-23T01:30:00Z"),
            ("2024-09-23 10:30:15", "2024-09-23T01:30:15Z"),
            ("2024-09-23T10:30:00Z", "2024-09-23T10:30:00Z"),
            ("2024-09-23T10:30:00+09:00", "2024-09-23T01:30:00Z"),
        ];
        for (text, expected) in cases {
            assert_eq!(instant(text, &seoul()), expected.parse().ok(), "{text}");
        }
    }

    #[test]
    fn a_text_that_says_no_time_has_no_instant() {
        for text in ["tomorrow", "2024-13-01", "", "12:00"] {
            assert_eq!(instant(text, &seoul()), None, "{text}");
        }
    }
}
