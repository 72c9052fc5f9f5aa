//! The key ranges of a page in the order of a field: SQLite seeks to the beginning of each in the field's index.

use std::cmp::Ordering;

use kernel::field::IndexValue;
use ports::{Condition, Cursor};

/// One step of a walk in the order of a field: rows of one value, or of a span of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Every listed row.
    All,
    /// The rows of one value; with an id only those behind it.
    Value(IndexValue, Option<u64>),
    /// The rows between two values, without those that have none.
    Span(Low, Option<IndexValue>),
}

/// Where a span begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Low {
    Open,
    With(IndexValue),
    Behind(IndexValue),
}

/// Where a span of a period ends if it has no end: before all texts, which come behind all numbers.
pub(crate) fn end(until_ms: Option<i64>) -> IndexValue {
    until_ms.map_or(IndexValue::Text(String::new()), IndexValue::Int)
}

/// The steps behind a cursor in the order of a field, on which there may be a condition.
///
/// They are apart because no index serves "a later value, or the same value and a larger id" in one go: it would be
/// read from the beginning of the value, however many rows share it.
pub(crate) fn steps(descending: bool, condition: Option<&Condition>, after: Option<&Cursor>) -> Vec<Step> {
    let whole = match condition {
        None => Step::All,
        Some(Condition::Is(value)) => Step::Value(value.clone(), None),
        Some(Condition::Within(from, until)) => {
            Step::Span(from.map_or(Low::Open, |from| Low::With(from.into())), Some(end(*until)))
        }
    };
    let Some(Cursor { value, id }) = after else { return vec![whole] };
    let here = Step::Value(value.clone(), Some(*id));
    let null = *value == IndexValue::Null;
    match place(&whole, value) {
        Ordering::Equal => {}
        // The whole of it lies behind the cursor, or nothing does.
        order if (order == Ordering::Less) != descending => return vec![whole],
        _ => return Vec::new(),
    }
    match (whole, descending) {
        (Step::Value(..), _) => vec![here],
        (Step::All, false) if null => vec![here, Step::Span(Low::Open, None)],
        (Step::All, false) => vec![here, Step::Span(Low::Behind(value.clone()), None)],
        (Step::All, true) if null => vec![here],
        (Step::All, true) => {
            vec![here, Step::Span(Low::Open, Some(value.clone())), Step::Value(IndexValue::Null, None)]
        }
        (Step::Span(_, high), false) => vec![here, Step::Span(Low::Behind(value.clone()), high)],
        (Step::Span(low, _), true) => vec![here, Step::Span(low, Some(value.clone()))],
    }
}

/// Whether a value lies before, in or behind what a step covers.
fn place(step: &Step, value: &IndexValue) -> Ordering {
    match step {
        Step::All => Ordering::Equal,
        Step::Value(only, _) => value.cmp(only),
        Step::Span(low, high) => {
            let before = match low {
                Low::Open => *value == IndexValue::Null,
                Low::With(low) => value < low,
                Low::Behind(low) => value <= low,
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
    fn a_cursor_in_the_middle_of_a_value_goes_on_with_that_value_and_then_behind_it() {
        let cursor = Cursor { value: IndexValue::Int(5), id: 9 };
        let here = Step::Value(IndexValue::Int(5), Some(9));
        let up = steps(false, None, Some(&cursor));
        assert_eq!(up, [here.clone(), Step::Span(Low::Behind(IndexValue::Int(5)), None)]);
        let down = steps(true, None, Some(&cursor));
        assert_eq!(down, [here, Step::Span(Low::Open, Some(IndexValue::Int(5))), Step::Value(IndexValue::Null, None)]);
    }

    #[test]
    fn a_cursor_outside_of_a_period_finds_all_of_it_or_nothing() {
        let period = Condition::Within(Some(10), Some(20));
        let at = |value: i64| Cursor { value: IndexValue::Int(value), id: 1 };
        let all = [Step::Span(Low::With(IndexValue::Int(10)), Some(IndexValue::Int(20)))];
        assert_eq!(steps(false, Some(&period), Some(&at(9))), all);
        assert_eq!(steps(true, Some(&period), Some(&at(9))), []);
        assert_eq!(steps(false, Some(&period), Some(&at(20))), []);
        assert_eq!(steps(true, Some(&period), Some(&at(20))), all);
    }
}
