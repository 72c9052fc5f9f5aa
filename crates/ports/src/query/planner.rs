//! The query planner: which index a page is read along, and how a total is found.
//!
//! The decision is made here, once for every store, and not by the database: SQLite keeps no statistics, and PostgreSQL's
//! may be stale. A store only estimates and executes:
//!
//! ```text
//! Planner::new(fields, query)
//!     page:   estimates()        ─▶ the store counts each ─▶ access_path(rows)    ─▶ the store's SELECT
//!     total:  total_counter()    ─▶ the store reads that counter, or
//!             total_estimates()  ─▶ the store counts each ─▶ most_selective(rows) ─▶ the store's SELECT count(*)
//! ```

use super::fields::TableFields;
use super::{COUNT_LIMIT, Condition, Predicate, Query, Sort};
use crate::model::Counter;

/// How the rows of a page are reached; predicates are named by their positions in [`Planner::predicates`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessPath {
    /// In the order asked for; each row is tested against the predicates.
    OrderedScan,
    /// Along this predicate's index, which returns its rows in the order asked for.
    Index(usize),
    /// Along this predicate's index; the rows, at most [`COUNT_LIMIT`], are sorted.
    IndexThenSort(usize),
}

impl AccessPath {
    /// The predicate whose index is read.
    pub fn predicate(self) -> Option<usize> {
        match self {
            Self::OrderedScan => None,
            Self::Index(predicate) | Self::IndexThenSort(predicate) => Some(predicate),
        }
    }

    /// Whether the rows are sorted after they were read.
    pub fn sorts(self) -> bool {
        matches!(self, Self::IndexThenSort(_))
    }
}

/// How the number of rows that meet one predicate is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Estimate {
    /// A maintained counter has it.
    Counter(Counter),
    /// The rows are counted in the predicate's index, at most up to [`COUNT_LIMIT`] + 1.
    Count(Predicate),
}

/// A query names a field that the table does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the table has no field {0}")]
pub struct UnknownField(
    /// The position that was asked for.
    pub usize,
);

/// Plans one query.
#[derive(Debug)]
pub struct Planner<'a> {
    fields: &'a TableFields,
    sort: Sort,
    predicates: Vec<Predicate>,
}

impl<'a> Planner<'a> {
    /// For a query of a table with these fields.
    pub fn new(fields: &'a TableFields, query: &Query) -> Result<Self, UnknownField> {
        let mut named = query.conditions.iter().map(|(field, _)| *field).chain(query.sort.field);
        if let Some(field) = named.find(|field| *field >= fields.len()) {
            return Err(UnknownField(field));
        }
        // A period without ends excludes nothing.
        let effective = query.conditions.iter().filter(|(_, condition)| *condition != Condition::Within(None, None));
        Ok(Self { fields, sort: query.sort, predicates: effective.cloned().collect() })
    }

    /// The conditions that exclude rows.
    pub fn predicates(&self) -> &[Predicate] {
        &self.predicates
    }

    /// What [`Self::access_path`] depends on: one estimate for each predicate, or none where the path is clear without.
    pub fn estimates(&self) -> Vec<Estimate> {
        match self.predicates.as_slice() {
            [] => Vec::new(),
            [only] if in_order(self.sort, only) => Vec::new(),
            predicates => self.estimates_of(predicates),
        }
    }

    /// Chooses the predicate that the fewest rows meet, if its index is in order or the rows are few enough to be sorted.
    ///
    /// `rows` are the results of [`Self::estimates`], in that order.
    pub fn access_path(&self, rows: &[u64]) -> AccessPath {
        if rows.is_empty() {
            return if self.predicates.is_empty() { AccessPath::OrderedScan } else { AccessPath::Index(0) };
        }
        let found = || rows.iter().zip(0..);
        let ordered = |position: &usize| self.predicates.get(*position).is_some_and(|one| in_order(self.sort, one));
        let fewest_in_order = found().filter(|(_, position)| ordered(position)).min();
        match (found().min(), fewest_in_order) {
            (Some((rows, position)), None) if *rows <= COUNT_LIMIT => AccessPath::IndexThenSort(position),
            (Some((rows, position)), Some((others, _))) if *rows <= COUNT_LIMIT && rows < others => {
                AccessPath::IndexThenSort(position)
            }
            (_, Some((_, position))) => AccessPath::Index(position),
            _ => AccessPath::OrderedScan,
        }
    }

    /// The counter that has the query's total.
    pub fn total_counter(&self) -> Option<Counter> {
        self.fields.counter(&self.predicates)
    }

    /// What [`Self::most_selective`] depends on where no counter has the total.
    pub fn total_estimates(&self) -> Vec<Estimate> {
        if self.predicates.len() > 1 { self.estimates_of(&self.predicates) } else { Vec::new() }
    }

    /// The predicate whose index the rows are counted along.
    ///
    /// `rows` are the results of [`Self::total_estimates`], in that order.
    pub fn most_selective(&self, rows: &[u64]) -> usize {
        rows.iter().zip(0..).min().map_or(0, |(_, position)| position)
    }

    fn estimates_of(&self, predicates: &[Predicate]) -> Vec<Estimate> {
        let estimate = |one: &Predicate| match self.fields.counter(std::slice::from_ref(one)) {
            Some(counter) => Estimate::Counter(counter),
            None => Estimate::Count(one.clone()),
        };
        predicates.iter().map(estimate).collect()
    }
}

/// Whether a predicate's index returns its rows in the order asked for: it holds the field and then the id.
fn in_order(sort: Sort, (field, condition): &Predicate) -> bool {
    match sort.field {
        None => matches!(condition, Condition::Is(_)),
        Some(sorted) => *field == sorted,
    }
}

#[cfg(test)]
mod tests {
    use kernel::field::{Ask, FieldInfo, IndexValue};

    use super::*;
    use crate::query::Start;

    const BY_ID: Sort = Sort { field: None, descending: false };
    const BY_FIRST: Sort = Sort { field: Some(0), descending: false };

    fn is(field: usize) -> Predicate {
        (field, Condition::Is(IndexValue::Int(1)))
    }

    fn within(field: usize) -> Predicate {
        (field, Condition::Within(Some(1), None))
    }

    fn fields(asks: [Ask; 2]) -> TableFields {
        let [a, b] = asks;
        TableFields { declared: vec![FieldInfo { name: "a", ask: a }, FieldInfo { name: "b", ask: b }], crossed: Vec::new() }
    }

    fn query(conditions: &[Predicate], sort: Sort) -> Query {
        Query { conditions: conditions.to_vec(), sort, start: Start::Offset(0), limit: 20 }
    }

    fn planner(conditions: &[Predicate], sort: Sort) -> Planner<'static> {
        static FIELDS: std::sync::LazyLock<TableFields> = std::sync::LazyLock::new(|| fields([Ask::Filter; 2]));
        Planner::new(&FIELDS, &query(conditions, sort)).unwrap()
    }

    fn path(conditions: &[Predicate], sort: Sort, rows: &[u64]) -> AccessPath {
        planner(conditions, sort).access_path(rows)
    }

    #[test]
    fn a_single_predicate_whose_index_is_in_order_needs_no_estimate() {
        for (conditions, sort) in [(vec![], BY_ID), (vec![is(0)], BY_ID), (vec![within(0)], BY_FIRST)] {
            assert_eq!(planner(&conditions, sort).estimates(), []);
        }
        assert_eq!(path(&[], BY_ID, &[]), AccessPath::OrderedScan);
        assert_eq!(path(&[is(0)], BY_ID, &[]), AccessPath::Index(0));
        assert_eq!(path(&[within(0)], BY_FIRST, &[]), AccessPath::Index(0));
    }

    #[test]
    fn a_period_in_the_order_of_ids_is_sorted_if_it_is_short_and_scanned_in_order_if_not() {
        assert_eq!(planner(&[within(0)], BY_ID).estimates(), [Estimate::Count(within(0))]);
        assert_eq!(path(&[within(0)], BY_ID, &[COUNT_LIMIT]), AccessPath::IndexThenSort(0));
        assert_eq!(path(&[within(0)], BY_ID, &[COUNT_LIMIT + 1]), AccessPath::OrderedScan);
    }

    #[test]
    fn of_several_predicates_the_most_selective_one_leads() {
        assert_eq!(path(&[is(0), is(1)], BY_ID, &[50_000, 40_000]), AccessPath::Index(1));
        assert_eq!(path(&[is(0), within(1)], BY_ID, &[50_000, 9]), AccessPath::IndexThenSort(1));
        assert_eq!(path(&[is(0), within(1)], BY_ID, &[9, 9]), AccessPath::Index(0));
        assert_eq!(path(&[is(0), within(1)], BY_ID, &[60_000, COUNT_LIMIT + 1]), AccessPath::Index(0));
        assert_eq!(path(&[is(1), within(0)], BY_FIRST, &[60_000, 70_000]), AccessPath::Index(1));
    }

    #[test]
    fn an_estimate_is_read_from_a_counter_where_there_is_one() {
        let fields = fields([Ask::Counted, Ask::Filter]);
        let planner = Planner::new(&fields, &query(&[is(0), is(1)], BY_ID)).unwrap();
        let counter = Counter { name: "a".into(), value: "1".into() };
        assert_eq!(planner.estimates(), [Estimate::Counter(counter), Estimate::Count(is(1))]);
    }

    #[test]
    fn a_total_is_read_from_its_counter_or_counted_along_the_most_selective_predicate() {
        assert!(planner(&[], BY_FIRST).total_counter().is_some());
        assert_eq!(planner(&[is(0)], BY_ID).total_counter(), None);
        assert_eq!(planner(&[is(0)], BY_ID).total_estimates(), []);
        assert_eq!(planner(&[is(0), is(1)], BY_ID).total_estimates().len(), 2);
        assert_eq!(planner(&[is(0), is(1)], BY_ID).most_selective(&[9, 3]), 1);
        assert_eq!(planner(&[is(0)], BY_ID).most_selective(&[]), 0);
    }

    #[test]
    fn a_period_without_ends_is_no_predicate() {
        let conditions = [(0, Condition::Within(None, None)), is(1)];
        assert_eq!(planner(&conditions, BY_ID).predicates(), [is(1)]);
    }

    #[test]
    fn an_unknown_field_is_rejected_in_a_condition_and_in_the_order() {
        let fields = fields([Ask::Filter; 2]);
        let of = |query: Query| Planner::new(&fields, &query).map(drop);
        assert_eq!(of(query(&[is(2)], BY_ID)), Err(UnknownField(2)));
        assert_eq!(of(query(&[], Sort { field: Some(7), descending: false })), Err(UnknownField(7)));
    }
}
