//! The declared fields of a table, and the counters that are maintained over them.

use kernel::field::{Ask, FieldInfo, IndexValue};

use super::{Condition, Predicate};
use crate::model::{Counter, Table, text};

/// Between the two values of a crossed counter.
const UNIT_SEPARATOR: &str = "\u{1f}";

/// The declared fields of a table, in the order of its index values.
#[derive(Debug, Clone, Default)]
pub struct TableFields {
    /// The fields.
    pub declared: Vec<FieldInfo>,
    /// Pairs of fields, by their positions, whose combinations are counted.
    pub crossed: Vec<(usize, usize)>,
}

impl From<&Table> for TableFields {
    fn from(table: &Table) -> Self {
        Self { declared: table.fields.clone(), crossed: table.crossed.clone() }
    }
}

impl TableFields {
    /// How many fields are declared.
    pub fn len(&self) -> usize {
        self.declared.len()
    }

    /// Whether none is declared.
    pub fn is_empty(&self) -> bool {
        self.declared.is_empty()
    }

    /// Whether a field is the row's key, and therefore has no column of its own.
    pub fn is_key(&self, field: usize) -> bool {
        self.declared.get(field).is_some_and(|field| field.ask == Ask::Key)
    }

    /// The positions of the fields that have a column of their own.
    pub fn with_column(&self) -> Vec<usize> {
        (0..self.declared.len()).filter(|field| !self.is_key(*field)).collect()
    }

    /// The maintained counters: each one's name, and the positions of the fields whose values it counts.
    pub fn counted(&self) -> Vec<(String, Vec<usize>)> {
        let single = self.declared.iter().enumerate().filter(|(_, field)| field.ask == Ask::Counted);
        let single = single.map(|(position, field)| (field.name.to_owned(), vec![position]));
        let pairs = self.crossed.iter().map(|(a, b)| (self.crossed_name(*a, *b), vec![*a, *b]));
        single.chain(pairs).collect()
    }

    /// The counter that has the number of rows meeting all predicates: the table's, a counted field's or a crossed pair's.
    pub fn counter(&self, predicates: &[Predicate]) -> Option<Counter> {
        match predicates {
            [] => Some(Counter { name: String::new(), value: String::new() }),
            [(field, Condition::Is(value))] => {
                let field = self.declared.get(*field).filter(|field| field.ask == Ask::Counted)?;
                Some(Counter { name: field.name.to_owned(), value: counter_value([value]) })
            }
            [(a, Condition::Is(first)), (b, Condition::Is(second))] => {
                self.crossed_counter((*a, first), (*b, second)).or_else(|| self.crossed_counter((*b, second), (*a, first)))
            }
            _ => None,
        }
    }

    fn crossed_counter(&self, (a, first): (usize, &IndexValue), (b, second): (usize, &IndexValue)) -> Option<Counter> {
        let name = self.crossed.contains(&(a, b)).then(|| self.crossed_name(a, b))?;
        Some(Counter { name, value: counter_value([first, second]) })
    }

    fn crossed_name(&self, a: usize, b: usize) -> String {
        let name = |field: usize| self.declared.get(field).map_or("", |field| field.name);
        format!("{}*{}", name(a), name(b))
    }
}

/// The value of a counter over these field values.
pub fn counter_value<'a>(values: impl IntoIterator<Item = &'a IndexValue>) -> String {
    values.into_iter().map(text).collect::<Vec<_>>().join(UNIT_SEPARATOR)
}

/// The first name that occurs twice, letter case aside: SQLite does not tell such names apart, and neither do readers.
pub fn repeated_name(names: impl IntoIterator<Item = String>) -> Option<String> {
    let mut seen = std::collections::HashSet::new();
    names.into_iter().find(|name| !seen.insert(name.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> TableFields {
        let declared = [("status", Ask::Counted), ("owner", Ask::Counted), ("due", Ask::Filter), ("name", Ask::Key)];
        let declared = declared.map(|(name, ask)| FieldInfo { name, ask }).to_vec();
        TableFields { declared, crossed: vec![(0, 1)] }
    }

    fn is(field: usize, value: &str) -> Predicate {
        (field, Condition::Is(value.into()))
    }

    fn counter(name: &str, value: &str) -> Counter {
        Counter { name: name.into(), value: value.into() }
    }

    #[test]
    fn a_counter_serves_the_whole_table_a_counted_field_and_a_crossed_pair_in_either_order() {
        assert_eq!(fields().counter(&[]), Some(counter("", "")));
        assert_eq!(fields().counter(&[is(0, "sent")]), Some(counter("status", "sent")));
        let pair = Some(counter("status*owner", "sent\u{1f}me"));
        assert_eq!(fields().counter(&[is(0, "sent"), is(1, "me")]), pair);
        assert_eq!(fields().counter(&[is(1, "me"), is(0, "sent")]), pair);
    }

    #[test]
    fn a_period_an_uncounted_field_and_an_uncrossed_pair_have_no_counter() {
        assert_eq!(fields().counter(&[(0, Condition::Within(Some(1), None))]), None);
        assert_eq!(fields().counter(&[is(2, "x")]), None);
        assert_eq!(fields().counter(&[is(0, "x"), is(2, "y")]), None);
    }

    #[test]
    fn counters_are_listed_under_the_names_that_lookups_use() {
        let names: Vec<_> = fields().counted().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["status", "owner", "status*owner"]);
    }

    #[test]
    fn the_key_has_no_column_of_its_own() {
        assert_eq!(fields().with_column(), [0, 1, 2]);
        assert!(fields().is_key(3) && !fields().is_key(9));
    }

    #[test]
    fn names_that_differ_in_case_only_are_repeated() {
        let names = |names: &[&str]| repeated_name(names.iter().map(|name| (*name).to_owned()));
        assert_eq!(names(&["a", "b", "A"]), Some("A".into()));
        assert_eq!(names(&["a", "b"]), None);
    }
}
