//! The store in memory: the reading side.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use kernel::field::IndexValue;

use super::store::{Contents, MemoryStore};
use super::tables::{Kept, Rows};
use ports::model::TableId;
use ports::query::{COUNT_LIMIT, Planner};
use ports::{Cursor, LogQuery, Page, ParkedRow, Predicate, Query, Reader, Record, Sort, StoreError, StoredRow, Total};

impl Reader for MemoryStore {
    fn by_id(&self, table: TableId, id: u64) -> Result<Option<StoredRow>, StoreError> {
        let contents = self.contents();
        let rows = contents.rows(table)?;
        Ok(rows.ids.get(&id).and_then(|key| rows.by_key.get(key)).map(|kept| kept.row.clone()))
    }

    fn by_key(&self, table: TableId, key: &str) -> Result<Option<StoredRow>, StoreError> {
        Ok(self.contents().rows(table)?.by_key.get(key).map(|kept| kept.row.clone()))
    }

    fn page(&self, table: TableId, query: &Query) -> Result<Page, StoreError> {
        let contents = self.contents();
        let rows = contents.rows(table)?.listed().filter(|(_, kept)| meets(kept, &query.conditions));
        let rows = rows.filter(|(id, kept)| behind(query, *id, kept));
        // Sorted by id they come as they are kept, and nobody has to look at all of them.
        Ok(match query.sort {
            Sort { field: None, descending: false } => cut(query, rows),
            Sort { field: None, descending: true } => cut(query, rows.rev()),
            sort => {
                let mut rows: Vec<_> = rows.collect();
                rows.sort_by(|(id, kept), (other_id, other)| {
                    compare(sort, (value(sort, kept), *id), (value(sort, other), *other_id))
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
        let found = rows.listed().filter(|(_, kept)| meets(kept, planner.predicates()));
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

    fn size_bytes(&self) -> u64 {
        0
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

fn meets(kept: &Kept, predicates: &[Predicate]) -> bool {
    predicates.iter().all(|(field, condition)| condition.is_met_by(kept.index.get(*field).unwrap_or(&IndexValue::Null)))
}

/// What a row is sorted by beside its id.
fn value(sort: Sort, kept: &Kept) -> &IndexValue {
    sort.field.and_then(|field| kept.index.get(field)).unwrap_or(&IndexValue::Null)
}

fn compare(sort: Sort, one: (&IndexValue, u64), other: (&IndexValue, u64)) -> Ordering {
    let order = one.cmp(&other);
    if sort.descending { order.reverse() } else { order }
}

fn behind(query: &Query, id: u64, kept: &Kept) -> bool {
    let behind = |cursor: &Cursor| compare(query.sort, (value(query.sort, kept), id), (&cursor.value, cursor.id)).is_gt();
    query.start.cursor().is_none_or(behind)
}

/// The page's rows out of all rows in order.
fn cut<'a>(query: &Query, rows: impl Iterator<Item = (u64, &'a Kept)>) -> Page {
    let skipped = usize::try_from(query.start.offset()).unwrap_or(usize::MAX);
    let mut rows: Vec<_> = rows.skip(skipped).take(query.fetch_limit()).collect();
    let more = query.cut(&mut rows);
    let next = rows.last().filter(|_| more).map(|(id, kept)| Cursor { value: value(query.sort, kept).clone(), id: *id });
    Page { rows: rows.into_iter().map(|(_, kept)| kept.row.clone()).collect(), next }
}
