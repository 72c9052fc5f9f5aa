//! Counters: the number of rows for each counted value.
//!
//! A single row for a frequently changed counter would serialize all commits until each is on disk. So a counter is the sum of
//! a few rows, and an instance updates the one in its own slot.

use std::collections::BTreeMap;

use ports::CounterDelta;

use crate::connection::pipeline::Pipeline;
use crate::error::DatabaseError;
use crate::layout::Layouts;
use crate::value::{Value, values};

/// Slots of a counter; instances beyond that share them.
pub(crate) const SLOTS: u64 = 16;

/// By table, name and value, which is the locking order.
pub(crate) type CounterChanges = BTreeMap<(String, String, String), i64>;

/// Sums up the changes of a commit.
pub(crate) fn changes(tables: Layouts<'_>, deltas: &[CounterDelta]) -> Result<CounterChanges, DatabaseError> {
    let mut changes = CounterChanges::new();
    for CounterDelta { table, counter, delta } in deltas {
        let at = (tables.name(*table)?.to_owned(), counter.name.clone(), counter.value.clone());
        *changes.entry(at).or_default() += delta;
    }
    Ok(changes)
}

/// Writes the changes.
pub(crate) fn write(work: &mut Pipeline<'_>, slot: i16, changes: CounterChanges) {
    let (mut tables, mut names, mut texts, mut deltas) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for ((table, name, value), delta) in changes.into_iter().filter(|(_, delta)| *delta != 0) {
        tables.push(table);
        names.push(name);
        texts.push(value);
        deltas.push(delta);
    }
    if deltas.is_empty() {
        return;
    }
    let sql = "INSERT INTO counter AS there (table_name, name, value, slot, number) \
               SELECT table_name, name, value, $5::int2, delta FROM unnest($1::text[], $2::text[], $3::text[], $4::int8[]) \
               WITH ORDINALITY AS new(table_name, name, value, delta, ordinal) ORDER BY ordinal \
               ON CONFLICT (table_name, name, value, slot) DO UPDATE SET number = there.number + excluded.number";
    work.add(sql, values![tables, names, texts, deltas, slot] as Vec<Value<'_>>);
}

/// The sum of one counter.
pub(crate) const ONE: &str =
    "SELECT coalesce(sum(number), 0)::bigint FROM counter WHERE table_name = $1 AND name = $2 AND value = $3";

/// All counters of one name, without those at zero.
pub(crate) const ALL: &str = "SELECT value, sum(number)::bigint FROM counter WHERE table_name = $1 AND name = $2 \
                              GROUP BY value HAVING sum(number) > 0 ORDER BY value";
