//! Which index a query walks, and in which steps: decided here and not by SQLite, which has no statistics to decide by.
//!
//! A column with a `+` before it cannot be looked up in an index, so what stands without one is what is walked.

use std::cmp::Ordering;

use kernel::field::IndexValue;
use ports::query::COUNT_LIMIT;
use ports::{Condition, Cursor, Sort};

/// A condition on a field, by the field's place.
pub(crate) type On = (usize, Condition);

/// How a query is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Walk {
    /// In its order; whatever else is asked for is looked at row by row.
    Order,
    /// Along this condition, whose index gives its rows in the order asked for.
    Along(usize),
    /// Along this condition, which few rows meet, and these are sorted.
    Sorted(usize),
}

/// Decides for the index that gives the fewest rows, if they come in order or are few enough to be sorted.
///
/// `size` tells how many rows meet a condition; it need not count beyond [`COUNT_LIMIT`] by more than one.
pub(crate) fn walk<E>(conditions: &[On], sort: Sort, mut size: impl FnMut(&On) -> Result<u64, E>) -> Result<Walk, E> {
    let ordered = |(field, condition): &On| match sort.field {
        None => matches!(condition, Condition::Is(_)),
        Some(sorted) => *field == sorted,
    };
    match conditions {
        [] => return Ok(Walk::Order),
        [only] if ordered(only) => return Ok(Walk::Along(0)),
        _ => {}
    }
    let mut fewest: Option<(u64, usize)> = None;
    let mut fewest_ordered: Option<(u64, usize)> = None;
    for (place, condition) in conditions.iter().enumerate() {
        let found = (size(condition)?, place);
        fewest = Some(fewest.map_or(found, |other| other.min(found)));
        if ordered(condition) {
            fewest_ordered = Some(fewest_ordered.map_or(found, |other| other.min(found)));
        }
    }
    Ok(match (fewest, fewest_ordered) {
        (Some((rows, place)), None) if rows <= COUNT_LIMIT => Walk::Sorted(place),
        (Some((rows, place)), Some((in_order, _))) if rows <= COUNT_LIMIT && rows < in_order => Walk::Sorted(place),
        (_, Some((_, place))) => Walk::Along(place),
        _ => Walk::Order,
    })
}

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

    const BY_ID: Sort = Sort { field: None, descending: false };
    const BY_FIRST: Sort = Sort { field: Some(0), descending: false };

    fn is(field: usize) -> On {
        (field, Condition::Is(IndexValue::Int(1)))
    }
    fn within(field: usize) -> On {
        (field, Condition::Within(Some(1), None))
    }
    fn walked(conditions: &[On], sort: Sort, sizes: &[u64]) -> Walk {
        walk::<()>(conditions, sort, |(field, _)| Ok(sizes[*field])).unwrap()
    }

    #[test]
    fn one_filter_in_the_order_of_ids_counts_nothing() {
        assert_eq!(walk::<()>(&[is(0)], BY_ID, |_| Err(())), Ok(Walk::Along(0)));
        assert_eq!(walk::<()>(&[within(0)], BY_FIRST, |_| Err(())), Ok(Walk::Along(0)));
    }

    #[test]
    fn a_period_in_the_order_of_ids_is_sorted_if_it_is_short_and_else_looked_for_in_that_order() {
        assert_eq!(walked(&[within(0)], BY_ID, &[COUNT_LIMIT]), Walk::Sorted(0));
        assert_eq!(walked(&[within(0)], BY_ID, &[COUNT_LIMIT + 1]), Walk::Order);
    }

    #[test]
    fn of_several_filters_the_one_with_fewest_rows_leads() {
        assert_eq!(walked(&[is(0), is(1)], BY_ID, &[50_000, 40_000]), Walk::Along(1));
        assert_eq!(walked(&[is(0), within(1)], BY_ID, &[50_000, 9]), Walk::Sorted(1));
        assert_eq!(walked(&[is(0), within(1)], BY_ID, &[9, 9]), Walk::Along(0));
        assert_eq!(walked(&[is(0), within(1)], BY_ID, &[60_000, COUNT_LIMIT + 1]), Walk::Along(0));
    }

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
