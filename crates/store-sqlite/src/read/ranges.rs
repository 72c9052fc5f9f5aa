//! The key ranges of a page in the order of a field: SQLite seeks to the beginning of each in the field's index.

use std::cmp::Ordering;

use kernel::field::IndexValue;
use ports::{Condition, Cursor};

/// A range of rows in the order of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyRange {
    /// Every listed row.
    All,
    /// The rows of one value; with an id only those after it.
    Point(IndexValue, Option<u64>),
    /// The rows between two values, without those that are null.
    Span(Low, Option<IndexValue>),
}

/// The lower bound of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Low {
    Open,
    Inclusive(IndexValue),
    Exclusive(IndexValue),
}

/// The upper bound of a period; without an end it is the first text, since texts sort after numbers.
pub(crate) fn end(until_ms: Option<i64>) -> IndexValue {
    until_ms.map_or(IndexValue::Text(String::new()), IndexValue::Int)
}

/// The ranges after a cursor in the order of a field, on which there may be a condition.
///
/// They are separate because no index serves "a later value, or the same value and a larger id" in one seek: it would be read
/// from the beginning of the value, however many rows share it.
pub(crate) fn ranges(descending: bool, condition: Option<&Condition>, after: Option<&Cursor>) -> Vec<KeyRange> {
    let whole = match condition {
        None => KeyRange::All,
        Some(Condition::Is(value)) => KeyRange::Point(value.clone(), None),
        Some(Condition::Within(from, until)) => {
            KeyRange::Span(from.map_or(Low::Open, |from| Low::Inclusive(from.into())), Some(end(*until)))
        }
    };
    let Some(Cursor { value, id }) = after else { return vec![whole] };
    let here = KeyRange::Point(value.clone(), Some(*id));
    let null = *value == IndexValue::Null;
    match position(&whole, value) {
        Ordering::Equal => {}
        // All of it lies after the cursor, or none.
        order if (order == Ordering::Less) != descending => return vec![whole],
        _ => return Vec::new(),
    }
    match (whole, descending) {
        (KeyRange::Point(..), _) => vec![here],
        (KeyRange::All, false) if null => vec![here, KeyRange::Span(Low::Open, None)],
        (KeyRange::All, false) => vec![here, KeyRange::Span(Low::Exclusive(value.clone()), None)],
        (KeyRange::All, true) if null => vec![here],
        (KeyRange::All, true) => {
            vec![here, KeyRange::Span(Low::Open, Some(value.clone())), KeyRange::Point(IndexValue::Null, None)]
        }
        (KeyRange::Span(_, high), false) => vec![here, KeyRange::Span(Low::Exclusive(value.clone()), high)],
        (KeyRange::Span(low, _), true) => vec![here, KeyRange::Span(low, Some(value.clone()))],
    }
}

/// Whether a value lies before, in or after a range.
fn position(range: &KeyRange, value: &IndexValue) -> Ordering {
    match range {
        KeyRange::All => Ordering::Equal,
        KeyRange::Point(only, _) => value.cmp(only),
        KeyRange::Span(low, high) => {
            let before = match low {
                Low::Open => *value == IndexValue::Null,
                Low::Inclusive(low) => value < low,
                Low::Exclusive(low) => value <= low,
            };
            if before {
                Ordering::Less
            } else if high.as_ref().is_some_and(|high| value >= high) {
                Ordering::Greater
            } else {
                Ordering::Equal
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_within_a_value_continues_with_that_value_and_then_after_it() {
        let cursor = Cursor { value: IndexValue::Int(5), id: 9 };
        let here = KeyRange::Point(IndexValue::Int(5), Some(9));
        let up = ranges(false, None, Some(&cursor));
        assert_eq!(up, [here.clone(), KeyRange::Span(Low::Exclusive(IndexValue::Int(5)), None)]);
        let down = ranges(true, None, Some(&cursor));
        assert_eq!(down, [here, KeyRange::Span(Low::Open, Some(IndexValue::Int(5))), KeyRange::Point(IndexValue::Null, None)]);
    }

    #[test]
    fn a_cursor_outside_of_a_period_finds_all_of_it_or_nothing() {
        let period = Condition::Within(Some(10), Some(20));
        let at = |value: i64| Cursor { value: IndexValue::Int(value), id: 1 };
        let all = [KeyRange::Span(Low::Inclusive(IndexValue::Int(10)), Some(IndexValue::Int(20)))];
        assert_eq!(ranges(false, Some(&period), Some(&at(9))), all);
        assert_eq!(ranges(true, Some(&period), Some(&at(9))), []);
        assert_eq!(ranges(false, Some(&period), Some(&at(20))), []);
        assert_eq!(ranges(true, Some(&period), Some(&at(20))), all);
    }
}
