//! The store in memory: the reading side.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use kernel::field::{Ask, IndexValue};

use super::store::{Contents, MemoryStore};
use super::tables::{Kept, Rows};
use ports::model::{Counter, TableId, text};
use ports::query::COUNT_LIMIT;
use ports::{Condition, Cursor, LogQuery, Page, ParkedRow, Query, Reader, Record, Sort, Start, StoreError, StoredRow, Total};

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
        let rows = contents.rows(table)?.listed().filter(|(_, kept)| meets(kept, query));
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
        if let Some(counter) = contents.counter_of(table, query) {
            return Ok(Total { rows: rows.counter(&counter), exact: true });
        }
        let found = rows.listed().filter(|(_, kept)| meets(kept, query));
        let found = (0..=COUNT_LIMIT).zip(found).count() as u64;
        Ok(Total { rows: found.min(COUNT_LIMIT), exact: found <= COUNT_LIMIT })
    }

    fn counters(&self, table: TableId, name: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let contents = self.contents();
        let counters = contents.rows(table)?.counters.iter().filter(|(counter, _)| counter.name == name);
        Ok(counters.map(|(counter, rows)| (counter.value.clone(), *rows)).collect())
    }

    fn log(&self, query: &LogQuery) -> Result<Vec<Record>, StoreError> {
        let contents = self.contents();
        let records = contents.log.range(query.after.saturating_add(1)..).map(|(_, record)| record);
        Ok(records.filter(|record| wanted(query, record)).take(query.limit).cloned().collect())
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
    fn rows(&self, table: TableId) -> Result<&Rows, StoreError> {
        self.tables.get(table).ok_or_else(|| StoreError::Corrupt(format!("there is no table {}", table.0)))
    }

    /// The counter that knows the total: that of all rows, of one counted field, or of a crossed pair.
    fn counter_of(&self, table: TableId, query: &Query) -> Option<Counter> {
        let counter = |name: &str, value: String| Counter { name: name.to_owned(), value };
        let fields = self.fields.get(table.0)?;
        match query.conditions.as_slice() {
            [] => Some(counter("", String::new())),
            [(field, Condition::Is(wanted))] => {
                let field = fields.get(*field).filter(|field| field.ask == Ask::Counted)?;
                Some(counter(field.name, text(wanted)))
            }
            [(one, Condition::Is(first)), (other, Condition::Is(second))] => {
                let crossed = self.crossed.get(table.0)?;
                let (a, b, first, second) = if crossed.contains(&(*one, *other)) {
                    (one, other, first, second)
                } else if crossed.contains(&(*other, *one)) {
                    (other, one, second, first)
                } else {
                    return None;
                };
                let name = format!("{}*{}", fields.get(*a)?.name, fields.get(*b)?.name);
                Some(counter(&name, format!("{}\u{1f}{}", text(first), text(second))))
            }
            _ => None,
        }
    }
}

fn meets(kept: &Kept, query: &Query) -> bool {
    query.conditions.iter().all(|(field, condition)| {
        let value = kept.index.get(*field).unwrap_or(&IndexValue::Null);
        match (condition, value) {
            (Condition::Is(wanted), value) => value == wanted,
            (Condition::Within(None, None), _) => true,
            (Condition::Within(from, until), IndexValue::Int(at)) => {
                from.is_none_or(|from| *at >= from) && until.is_none_or(|until| *at < until)
            }
            (Condition::Within(..), _) => false,
        }
    })
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
    match &query.start {
        Start::Offset(_) => true,
        Start::After(cursor) => compare(query.sort, (value(query.sort, kept), id), (&cursor.value, cursor.id)).is_gt(),
    }
}

/// The page's rows out of all rows in order; one more is looked at, to know whether there is a next page.
fn cut<'a>(query: &Query, rows: impl Iterator<Item = (u64, &'a Kept)>) -> Page {
    let passed = match query.start {
        Start::Offset(rows) => usize::try_from(rows).unwrap_or(usize::MAX),
        Start::After(_) => 0,
    };
    let mut rows = rows.skip(passed);
    let here: Vec<_> = rows.by_ref().take(usize::try_from(query.limit).unwrap_or(usize::MAX)).collect();
    let last = here.last().filter(|_| rows.next().is_some());
    let next = last.map(|(id, kept)| Cursor { value: value(query.sort, kept).clone(), id: *id });
    Page { rows: here.into_iter().map(|(_, kept)| kept.row.clone()).collect(), next }
}

fn wanted(query: &LogQuery, record: &Record) -> bool {
    query.event_type.as_ref().is_none_or(|wanted| record.event_type == *wanted)
        && query.key.as_ref().is_none_or(|wanted| record.key == *wanted)
        && query.request.as_ref().is_none_or(|wanted| record.cause.request == *wanted)
        && query.from_ms.is_none_or(|from| record.time_ms >= from)
        && query.until_ms.is_none_or(|until| record.time_ms < until)
}
