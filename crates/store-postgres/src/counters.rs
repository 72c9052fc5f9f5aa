//! Counters: how many rows there are of each counted value.
//!
//! The row of a counter that is often changed would make all writers wait for each other until their commits are on disk.
//! So each counter is the sum of a few rows, and an instance changes the one in its own slot.

use std::collections::BTreeMap;

use ports::CounterDelta;

use crate::error::Failed;
use crate::pipeline::Pipeline;
use crate::shape::Tables;
use crate::value::{Value, values};

/// Slots: more instances than that share them.
pub(crate) const SLOTS: u64 = 16;

/// By table, name and value: in the order in which their rows are locked.
pub(crate) type Counted = BTreeMap<(String, String, String), i64>;

/// The changes of a commit.
pub(crate) fn changes(tables: Tables<'_>, deltas: &[CounterDelta]) -> Result<Counted, Failed> {
    let mut changes = Counted::new();
    for CounterDelta { table, counter, delta } in deltas {
        let at = (tables.name(*table)?.to_owned(), counter.name.clone(), counter.value.clone());
        *changes.entry(at).or_default() += delta;
    }
    Ok(changes)
}

/// Writes them.
pub(crate) fn write(work: &mut Pipeline<'_>, slot: i16, changes: Counted) {
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
    let sql = "INSERT INTO counter AS there (tbl, name, value, slot, number) \
               SELECT tbl, name, value, $5::int2, delta FROM unnest($1::text[], $2::text[], $3::text[], $4::int8[]) \
               WITH ORDINALITY AS new(tbl, name, value, delta, place) ORDER BY place \
               ON CONFLICT (tbl, name, value, slot) DO UPDATE SET number = there.number + excluded.number";
    work.add(sql, values![tables, names, texts, deltas, slot] as Vec<Value<'_>>);
}

/// What a counter comes to.
pub(crate) const ONE: &str = "SELECT coalesce(sum(number), 0)::bigint FROM counter WHERE tbl = $1 AND name = $2 AND value = $3";

/// All counters of one name. One without rows is not there.
pub(crate) const ALL: &str = "SELECT value, sum(number)::bigint FROM counter WHERE tbl = $1 AND name = $2 \
                              GROUP BY value HAVING sum(number) > 0 ORDER BY value";
