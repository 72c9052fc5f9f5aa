//! Pages and totals of listed rows.

use std::fmt::Write as _;

use kernel::field::IndexValue;
use ports::model::Counter;
use ports::query::planner::UnknownField;
use ports::query::{AccessPath, COUNT_LIMIT, Estimate, Planner};
use ports::{Condition, Cursor, Page, Predicate, Query, Sort, StoredRow, Total};
use rusqlite::types::Value;
use rusqlite::{Connection, Error, OptionalExtension, Result, params, params_from_iter};

use crate::layout::{KEY, ROW, TableLayout, quoted, stored};
use crate::read::ranges::{KeyRange, Low, end, ranges};
use crate::value::{SqlValue, U64, limit};

/// A statement being written.
pub(crate) struct Select {
    pub sql: String,
    pub values: Vec<Value>,
}

/// One page.
pub(crate) fn page(conn: &Connection, layout: &TableLayout, query: &Query) -> Result<Page> {
    let planner = planner(layout, query)?;
    let estimates = planner.estimates().iter().map(|one| estimate(conn, layout, one)).collect::<Result<Vec<_>>>()?;
    let path = planner.access_path(&estimates);
    let mut rows: Vec<(StoredRow, IndexValue)> = Vec::new();
    for mut select in selects(layout, query, planner.predicates(), path) {
        let missing = query.fetch_limit().saturating_sub(rows.len());
        if missing == 0 {
            break;
        }
        let skipped = i64::try_from(query.start.offset()).unwrap_or(i64::MAX);
        select.values.extend([limit(missing).into(), skipped.into()]);
        let mut statement = conn.prepare_cached(&select.sql)?;
        let found =
            statement.query_map(params_from_iter(select.values), |row| Ok((stored(row)?, row.get::<_, SqlValue>(5)?.0)))?;
        for row in found {
            rows.push(row?);
        }
    }
    let more = query.cut(&mut rows);
    let next = rows.last().filter(|_| more).and_then(|(row, value)| Some(Cursor { value: value.clone(), id: row.id? }));
    Ok(Page { rows: rows.into_iter().map(|(row, _)| row).collect(), next })
}

/// How many rows there are.
pub(crate) fn total(conn: &Connection, layout: &TableLayout, query: &Query) -> Result<Total> {
    let planner = planner(layout, query)?;
    if let Some(counter) = planner.total_counter() {
        return Ok(Total::exact(counted(conn, layout, &counter)?));
    }
    let estimates = planner.total_estimates().iter().map(|one| estimate(conn, layout, one)).collect::<Result<Vec<_>>>()?;
    let lead = planner.most_selective(&estimates);
    Ok(Total::counted(count(conn, layout, planner.predicates(), lead)?))
}

fn planner<'a>(layout: &'a TableLayout, query: &Query) -> Result<Planner<'a>> {
    Planner::new(&layout.fields, query).map_err(|UnknownField(field)| Error::InvalidColumnIndex(field))
}

fn counted(conn: &Connection, layout: &TableLayout, Counter { name, value }: &Counter) -> Result<u64> {
    let sql = "SELECT number FROM counter WHERE table_name = ?1 AND name = ?2 AND value = ?3";
    let mut statement = conn.prepare_cached(sql)?;
    let number = statement.query_row(params![layout.name, name, value], |row| row.get::<_, U64>(0)).optional()?;
    Ok(number.map_or(0, |number| number.0))
}

fn estimate(conn: &Connection, layout: &TableLayout, estimate: &Estimate) -> Result<u64> {
    match estimate {
        Estimate::Counter(counter) => counted(conn, layout, counter),
        Estimate::Count(predicate) => count(conn, layout, std::slice::from_ref(predicate), 0),
    }
}

fn count(conn: &Connection, layout: &TableLayout, conditions: &[Predicate], lead: usize) -> Result<u64> {
    let mut select = counting(layout, conditions, lead);
    select.values.push(Value::Integer(i64::try_from(COUNT_LIMIT + 1).unwrap_or(i64::MAX)));
    let mut statement = conn.prepare_cached(&select.sql)?;
    Ok(statement.query_row(params_from_iter(select.values), |row| row.get::<_, U64>(0))?.0)
}

/// A statement that counts up to a limit, its last argument.
pub(crate) fn counting(layout: &TableLayout, conditions: &[Predicate], lead: usize) -> Select {
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {} WHERE listed", layout.table());
    let mut select = Select { sql, values: Vec::new() };
    for (position, (field, condition)) in conditions.iter().enumerate() {
        select.meeting(&layout.column(*field), condition, position == lead);
    }
    select.sql.push_str(" LIMIT ?)");
    select
}

/// The statements of an access path, one for each key range; limit and offset are their last arguments.
pub(crate) fn selects(layout: &TableLayout, query: &Query, conditions: &[Predicate], path: AccessPath) -> Vec<Select> {
    let after = query.start.cursor();
    let (lead, sorted) = (path.predicate(), path.sorts());
    let Some(field) = query.sort.field else {
        let mut select = Select::new(layout, "NULL", lead.is_none());
        let condition = |position: usize| (&conditions[position].1, position);
        for (condition, position) in (0..conditions.len()).map(condition) {
            select.meeting(&layout.column(conditions[position].0), condition, lead == Some(position));
        }
        select.after(after.map(|cursor| cursor.id), query.sort, sorted);
        return vec![select.ordered(None, query.sort, sorted)];
    };
    // A condition on the sort field itself is part of the key ranges.
    let own = lead.filter(|lead| !sorted && conditions[*lead].0 == field);
    let column = layout.column(field);
    let ranges = ranges(query.sort.descending, own.map(|own| &conditions[own].1), after);
    let statement = |range: &KeyRange| {
        let mut select = Select::new(layout, &column, false);
        for (position, (field, condition)) in conditions.iter().enumerate().filter(|(position, _)| Some(*position) != own) {
            select.meeting(&layout.column(*field), condition, lead == Some(position));
        }
        select.within(&column, range, query.sort, sorted);
        select.ordered(Some(&column), query.sort, sorted)
    };
    ranges.iter().map(statement).collect()
}

impl Select {
    /// Listed rows: in the table itself those with a positive id, in a partial index those that it contains.
    fn new(layout: &TableLayout, sorted_by: &str, in_table: bool) -> Self {
        let listed = if in_table { "id > -1" } else { "listed" };
        Self { sql: format!("SELECT {ROW}, {sorted_by} FROM {} WHERE {listed}", layout.table()), values: Vec::new() }
    }

    fn and(&mut self, indexed: bool, column: &str, operator: &str, value: &IndexValue) {
        // The key's column holds texts only, and SQLite would convert a number to one. Texts sort after numbers.
        if matches!(value, IndexValue::Int(_)) && column == quoted(KEY) {
            self.sql.push_str(if operator.starts_with('>') { " AND true" } else { " AND false" });
            return;
        }
        let mark = if indexed { "" } else { "+" };
        // Writing to a text cannot fail.
        let _ = write!(self.sql, " AND {mark}{column} {operator} ?");
        self.values.push(match value {
            IndexValue::Null => Value::Null,
            IndexValue::Int(number) => Value::Integer(*number),
            IndexValue::Text(text) => Value::Text(text.clone()),
        });
    }

    fn equal(&mut self, indexed: bool, column: &str, value: &IndexValue) {
        if *value == IndexValue::Null {
            let mark = if indexed { "" } else { "+" };
            let _ = write!(self.sql, " AND {mark}{column} IS NULL");
        } else {
            self.and(indexed, column, "=", value);
        }
    }

    fn meeting(&mut self, column: &str, condition: &Condition, indexed: bool) {
        match condition {
            Condition::Is(value) => self.equal(indexed, column, value),
            Condition::Within(from, until) => {
                if let Some(from) = from {
                    self.and(indexed, column, ">=", &IndexValue::Int(*from));
                }
                self.and(indexed, column, "<", &end(*until));
            }
        }
    }

    fn after(&mut self, id: Option<u64>, sort: Sort, sorted: bool) {
        if let Some(id) = id {
            let operator = if sort.descending { "<" } else { ">" };
            self.and(!sorted, "id", operator, &id.into());
        }
    }

    fn within(&mut self, column: &str, range: &KeyRange, sort: Sort, sorted: bool) {
        match range {
            KeyRange::All => {}
            KeyRange::Point(value, id) => {
                self.equal(!sorted, column, value);
                self.after(*id, sort, sorted);
            }
            KeyRange::Span(Low::Open, None) => {
                let _ = write!(self.sql, " AND {}{column} IS NOT NULL", if sorted { "+" } else { "" });
            }
            KeyRange::Span(low, high) => {
                match low {
                    Low::Open => {}
                    Low::Inclusive(low) => self.and(!sorted, column, ">=", low),
                    Low::Exclusive(low) => self.and(!sorted, column, ">", low),
                }
                if let Some(high) = high {
                    self.and(!sorted, column, "<", high);
                }
            }
        }
    }

    fn ordered(mut self, column: Option<&str>, sort: Sort, sorted: bool) -> Self {
        let (mark, way) = (if sorted { "+" } else { "" }, if sort.descending { " DESC" } else { "" });
        let first = column.map(|column| format!("{mark}{column}{way}, ")).unwrap_or_default();
        let _ = write!(self.sql, " ORDER BY {first}{mark}id{way} LIMIT ? OFFSET ?");
        self
    }
}
