//! The store in memory: the reading side.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use kernel::field::IndexValue;

use super::store::{Contents, MemoryStore};
use super::tables::{IndexedRow, Rows};
use ports::model::TableId;
use ports::query::{COUNT_LIMIT, Planner};
use ports::{Cursor, LogQuery, Page, ParkedRow, Predicate, Query, Reader, Record, Sort, StoreError, StoredRow, Total};

impl Reader for MemoryStore {
    fn by_id(&self, table: TableId, id: u64) -> Result<Option<StoredRow>, StoreError> {
        let contents = self.contents();
        let rows = contents.rows(table)?;
        Ok(rows.ids.get(&id).and_then(|key| rows.by_key.get(key)).map(|indexed| indexed.row.clone()))
    }

    fn by_key(&self, table: TableId, key: &str) -> Result<Option<StoredRow>, StoreError> {
        Ok(self.contents().rows(table)?.by_key.get(key).map(|indexed| indexed.row.clone()))
    }

    fn page(&self, table: TableId, query: &Query) -> Result<Page, StoreError> {
        let contents = self.contents();
        let rows = contents.rows(table)?.listed().filter(|(_, indexed)| meets(indexed, &query.conditions));
        let rows = rows.filter(|(id, indexed)| follows(query, *id, indexed));
        // Rows are stored in the order of ids: no need to sort all of them.
        Ok(match query.sort {
            Sort { field: None, descending: false } => cut(query, rows),
            Sort { field: None, descending: true } => cut(query, rows.rev()),
            sort => {
                let mut rows: Vec<_> = rows.collect();
                rows.sort_by(|(id, indexed), (other_id, other)| {
                    compare(sort, (value(sort, indexed), *id), (value(sort, other), *other_id))
                });
                cut(query, rows.into_iter())
            }
        })
    }

    fn total(&self, table: TableId, query: &Query) -> Result<Total, StoreError> {
        let contents = self.contents();
        let rows = contents.rows(table)?;
        let planner = contents.planner(table, query)?;
        if let Some(counter) = planner.total_counter() {
            return Ok(Total::exact(rows.counter(&counter)));
        }
        let found = rows.listed().filter(|(_, indexed)| meets(indexed, planner.predicates()));
        Ok(Total::counted((0..=COUNT_LIMIT).zip(found).count() as u64))
    }

    fn counters(&self, table: TableId, name: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let contents = self.contents();
        let counters = contents.rows(table)?.counters.iter().filter(|(counter, _)| counter.name == name);
        Ok(counters.map(|(counter, rows)| (counter.value.clone(), *rows)).collect())
    }

    fn log(&self, query: &LogQuery) -> Result<Vec<Record>, StoreError> {
        let contents = self.contents();
        let records = contents.log.range(query.after.saturating_add(1)..).map(|(_, record)| record);
        Ok(records.filter(|record| query.matches(record)).take(query.limit).cloned().collect())
    }

    fn last_seq(&self) -> Result<u64, StoreError> {
        Ok(self.contents().last_seq)
    }

    fn first_seq(&self) -> Result<u64, StoreError> {
        let contents = self.contents();
        Ok(contents.log.first_key_value().map_or(contents.last_seq + 1, |(seq, _)| *seq))
    }

    fn positions(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let contents = self.contents();
        let mut positions: BTreeMap<String, u64> = BTreeMap::new();
        for ((subscription, _), consumer_offset) in &contents.positions {
            *positions.entry(subscription.clone()).or_default() += consumer_offset.position;
        }
        Ok(positions.into_iter().collect())
    }

    fn all_parked(&self, dead_only: bool, limit: usize) -> Result<Vec<ParkedRow>, StoreError> {
        let contents = self.contents();
        let mut rows: Vec<_> = contents.parked.values().filter(|row| row.dead || !dead_only).collect();
        rows.sort_by_key(|row| (row.since_ms, &row.subscription, row.position));
        Ok(rows.into_iter().take(limit).cloned().collect())
    }
}

impl Contents {
    fn planner(&self, table: TableId, query: &Query) -> Result<Planner<'_>, StoreError> {
        let missing = || StoreError::Corrupt(format!("there is no table {}", table.0));
        let fields = self.fields.get(table.0).ok_or_else(missing)?;
        Planner::new(fields, query).map_err(|unknown| StoreError::Corrupt(unknown.to_string()))
    }

    fn rows(&self, table: TableId) -> Result<&Rows, StoreError> {
        self.tables.get(table).ok_or_else(|| StoreError::Corrupt(format!("there is no table {}", table.0)))
    }
}

fn meets(indexed: &IndexedRow, predicates: &[Predicate]) -> bool {
    predicates.iter().all(|(field, condition)| condition.is_met_by(indexed.index.get(*field).unwrap_or(&IndexValue::Null)))
}

/// The sort value of a row.
fn value(sort: Sort, indexed: &IndexedRow) -> &IndexValue {
    sort.field.and_then(|field| indexed.index.get(field)).unwrap_or(&IndexValue::Null)
}

fn compare(sort: Sort, one: (&IndexValue, u64), other: (&IndexValue, u64)) -> Ordering {
    let order = one.cmp(&other);
    if sort.descending { order.reverse() } else { order }
}

fn follows(query: &Query, id: u64, indexed: &IndexedRow) -> bool {
    let follows = |cursor: &Cursor| compare(query.sort, (value(query.sort, indexed), id), (&cursor.value, cursor.id)).is_gt();
    query.start.cursor().is_none_or(follows)
}

/// Cuts the page out of all rows in order.
fn cut<'a>(query: &Query, rows: impl Iterator<Item = (u64, &'a IndexedRow)>) -> Page {
    let skipped = usize::try_from(query.start.offset()).unwrap_or(usize::MAX);
    let mut rows: Vec<_> = rows.skip(skipped).take(query.fetch_limit()).collect();
    let more = query.cut(&mut rows);
    let next = rows.last().filter(|_| more).map(|(id, indexed)| Cursor { value: value(query.sort, indexed).clone(), id: *id });
    Page { rows: rows.into_iter().map(|(_, indexed)| indexed.row.clone()).collect(), next }
}
