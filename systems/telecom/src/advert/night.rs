//! The night, when advertising needs a consent of its own: 21:00 to 08:00 where the recipient
//! lives (정보통신망법 Art. 50(3)).
//!
//! The window is data, because other channels keep other hours (KakaoTalk brand messages:
//! 20:50–08:00). The clock is never read here: the caller says what time it is, and where.

use jiff::Timestamp;
use jiff::civil::{Time, time};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A stretch of every day, in local time: from `start`, included, to `end`, excluded. It may run
/// over midnight. A window whose two ends are equal is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NightWindow {
    /// First moment of the night, as `21:00:00`.
    #[schemars(with = "String")]
    pub start: Time,
    /// First moment of the day after it, as `08:00:00`.
    #[schemars(with = "String")]
    pub end: Time,
}

impl NightWindow {
    /// The night of the law.
    pub const LAW: Self = Self { start: time(21, 0, 0, 0), end: time(8, 0, 0, 0) };

    /// Whether it is night at `at` in `zone`.
    pub fn contains(&self, at: Timestamp, zone: &TimeZone) -> bool {
        let local = zone.to_datetime(at).time();
        if self.start <= self.end { self.start <= local && local < self.end } else { self.start <= local || local < self.end }
    }

    /// The first end of a night after `at`: with the law's window, the next 08:00 in `zone`.
    /// Where the clock skips that time, the moment it skips to. At the end of the calendar
    /// (year 9999), the last timestamp there is.
    pub fn next_end(&self, at: Timestamp, zone: &TimeZone) -> Timestamp {
        let today = zone.to_datetime(at).date();
        // A day or two ahead is enough: local days may be skipped, but never two in a row.
        let days = [Some(today), today.tomorrow().ok()];
        let more = days[1].and_then(|date| date.tomorrow().ok());
        days.into_iter()
            .chain([more])
            .flatten()
            .filter_map(|date| zone.to_timestamp(date.to_datetime(self.end)).ok())
            .find(|end| *end > at)
            .unwrap_or(Timestamp::MAX)
    }

    /// Until when a message for the day has to wait: `None` when it is day at `at`.
    pub fn hold_until(&self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        self.contains(at, zone).then(|| self.next_end(at, zone))
    }
}

impl Default for NightWindow {
    fn default() -> Self {
        Self::LAW
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seoul() -> TimeZone {
        TimeZone::get("Asia/Seoul").unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn night_is_from_nine_in_the_evening_to_eight_in_the_morning() {
        let cases = [
            ("2024-09-23T20:59:59+09:00", false),
            ("2024-09-23T21:00:00+09:00", true),
            ("2024-09-24T00:00:00+09:00", true),
            ("2024-09-24T07:59:59.999+09:00", true),
            ("2024-09-24T08:00:00+09:00", false),
            ("2024-09-24T12:00:00+09:00", false),
        ];
        for (text, night) in cases {
            assert_eq!(NightWindow::LAW.contains(at(text), &seoul()), night, "{text}");
        }
    }

    #[test]
    fn a_held_message_waits_for_the_next_eight_in_the_morning() {
        let cases = [
            ("2024-09-23T22:00:00+09:00", Some("2024-09-24T08:00:00+09:00")),
            ("2024-09-24T03:00:00+09:00", Some("2024-09-24T08:00:00+09:00")),
            ("2024-12-31T23:00:00+09:00", Some("2025-01-01T08:00:00+09:00")),
            ("2024-09-24T08:00:00+09:00", None),
        ];
        for (text, until) in cases {
            let held = NightWindow::LAW.hold_until(at(text), &seoul());
            assert_eq!(held, until.map(at), "{text}");
        }
    }

    #[test]
    fn the_next_end_is_never_the_present_moment() {
        let eight = at("2024-09-24T08:00:00+09:00");
        let next = NightWindow::LAW.next_end(eight, &seoul());
        assert_eq!(next, at("2024-09-25T08:00:00+09:00"));
    }

    #[test]
    fn a_window_within_one_day_and_an_empty_one_are_kept_as_well() {
        let noon = at("2024-09-23T12:00:00+09:00");
        let window = |start, end| NightWindow { start: time(start, 0, 0, 0), end: time(end, 0, 0, 0) };
        assert!(window(11, 13).contains(noon, &seoul()));
        assert!(!window(13, 14).contains(noon, &seoul()));
        assert!(!window(12, 12).contains(noon, &seoul()));
    }

    #[test]
    fn at_the_end_of_the_calendar_nothing_panics() {
        let last = NightWindow::LAW.next_end(Timestamp::MAX, &seoul());
        assert_eq!(last, Timestamp::MAX);
    }

    proptest! {
        #[test]
        fn a_hold_ends_by_day_and_within_the_length_of_a_night(second in 0_i64..4_000_000_000) {
            let now = Timestamp::from_second(second).unwrap();
            let zone = seoul();
            if let Some(end) = NightWindow::LAW.hold_until(now, &zone) {
                prop_assert!(!NightWindow::LAW.contains(end, &zone));
                // A summer-time change (1987–1988) may add one hour to the eleven.
                prop_assert!(end.as_second() - second <= 12 * 3_600);
            }
        }
    }
}
