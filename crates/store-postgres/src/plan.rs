//! Which index a query walks.

use ports::query::COUNT_LIMIT;
use ports::{Condition, Sort};

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

/// Whether the index of a condition gives its rows in that order: it has the field and then the id.
fn ordered(sort: Sort, (field, condition): &On) -> bool {
    match sort.field {
        None => matches!(condition, Condition::Is(_)),
        Some(sorted) => *field == sorted,
    }
}

/// Whether it depends on how many rows meet each condition.
pub(crate) fn needs_sizes(conditions: &[On], sort: Sort) -> bool {
    match conditions {
        [] => false,
        [only] => !ordered(sort, only),
        _ => true,
    }
}

/// Decides for the index that gives the fewest rows, if they come in order or are few enough to be sorted.
///
/// A size need not be counted beyond [`COUNT_LIMIT`] by more than one.
pub(crate) fn walk(conditions: &[On], sort: Sort, sizes: &[u64]) -> Walk {
    if !needs_sizes(conditions, sort) {
        return if conditions.is_empty() { Walk::Order } else { Walk::Along(0) };
    }
    let found = || sizes.iter().zip(0..);
    let fewest = found().min();
    let in_order = found().filter(|(_, place)| conditions.get(*place).is_some_and(|on| ordered(sort, on))).min();
    match (fewest, in_order) {
        (Some((rows, place)), None) if *rows <= COUNT_LIMIT => Walk::Sorted(place),
        (Some((rows, place)), Some((others, _))) if *rows <= COUNT_LIMIT && rows < others => Walk::Sorted(place),
        (_, Some((_, place))) => Walk::Along(place),
        _ => Walk::Order,
    }
}

#[cfg(test)]
mod tests {
    use kernel::field::IndexValue;

    use super::*;

    const BY_ID: Sort = Sort { field: None, descending: false };
    const BY_FIRST: Sort = Sort { field: Some(0), descending: false };

    fn is(field: usize) -> On {
        (field, Condition::Is(IndexValue::Int(1)))
    }

    fn within(field: usize) -> On {
        (field, Condition::Within(Some(1), None))
    }

    #[test]
    fn one_condition_whose_index_is_in_order_is_walked_uncounted() {
        assert_eq!(walk(&[], BY_ID, &[]), Walk::Order);
        assert_eq!(walk(&[is(0)], BY_ID, &[]), Walk::Along(0));
        assert_eq!(walk(&[within(0)], BY_FIRST, &[]), Walk::Along(0));
    }

    #[test]
    fn a_period_in_the_order_of_ids_is_sorted_if_it_is_short() {
        assert_eq!(walk(&[within(0)], BY_ID, &[COUNT_LIMIT]), Walk::Sorted(0));
        assert_eq!(walk(&[within(0)], BY_ID, &[COUNT_LIMIT + 1]), Walk::Order);
    }

    #[test]
    fn of_several_conditions_the_one_with_fewest_rows_leads() {
        assert_eq!(walk(&[is(0), is(1)], BY_ID, &[50_000, 40_000]), Walk::Along(1));
        assert_eq!(walk(&[is(0), within(1)], BY_ID, &[50_000, 9]), Walk::Sorted(1));
        assert_eq!(walk(&[is(0), within(1)], BY_ID, &[9, 9]), Walk::Along(0));
        assert_eq!(walk(&[is(1), within(0)], BY_FIRST, &[60_000, 70_000]), Walk::Along(1));
    }
}
