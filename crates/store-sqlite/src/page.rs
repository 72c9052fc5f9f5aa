//! Pages and totals of listed rows.

use std::fmt::Write as _;

use kernel::field::IndexValue;
use ports::model::Counter;
use ports::query::planner::UnknownField;
use ports::query::{AccessPath, COUNT_LIMIT, Estimate, Planner};
use ports::{Condition, Cursor, Page, Predicate, Query, Sort, StoredRow, Total};
use rusqlite::types::Value;
use rusqlite::{Connection, Error, OptionalExtension, Result, params, params_from_iter};

use crate::plan::{Low, Step, end, steps};
use crate::shape::{KEY, ROW, Shape, quoted, stored};
use crate::value::{Held, Nat, limit};

/// A statement being written.
pub(crate) struct Select {
    pub sql: String,
    pub values: Vec<Value>,
}

/// One page.
pub(crate) fn page(conn: &Connection, shape: &Shape, query: &Query) -> Result<Page> {
    let planner = planner(shape, query)?;
    let estimates = planner.estimates().iter().map(|one| estimate(conn, shape, one)).collect::<Result<Vec<_>>>()?;
    let path = planner.access_path(&estimates);
    let mut rows: Vec<(StoredRow, IndexValue)> = Vec::new();
    for mut select in selects(shape, query, planner.predicates(), path) {
        let missing = query.fetch_limit().saturating_sub(rows.len());
        if missing == 0 {
            break;
        }
        let skipped = i64::try_from(query.start.offset()).unwrap_or(i64::MAX);
        select.values.extend([limit(missing).into(), skipped.into()]);
        let mut statement = conn.prepare_cached(&select.sql)?;
        let found = statement.query_map(params_from_iter(select.values), |row| Ok((stored(row)?, row.get::<_, Held>(5)?.0)))?;
        for row in found {
            rows.push(row?);
        }
    }
    let more = query.cut(&mut rows);
    let next = rows.last().filter(|_| more).and_then(|(row, value)| Some(Cursor { value: value.clone(), id: row.id? }));
    Ok(Page { rows: rows.into_iter().map(|(row, _)| row).collect(), next })
}

/// How many rows there are.
pub(crate) fn total(conn: &Connection, shape: &Shape, query: &Query) -> Result<Total> {
    let planner = planner(shape, query)?;
    if let Some(counter) = planner.total_counter() {
        return Ok(Total::exact(counted(conn, shape, &counter)?));
    }
    let estimates = planner.total_estimates().iter().map(|one| estimate(conn, shape, one)).collect::<Result<Vec<_>>>()?;
    let lead = planner.most_selective(&estimates);
    Ok(Total::counted(count(conn, shape, planner.predicates(), lead)?))
}

fn planner<'a>(shape: &'a Shape, query: &Query) -> Result<Planner<'a>> {
    Planner::new(&shape.fields, query).map_err(|UnknownField(field)| Error::InvalidColumnIndex(field))
}

fn counted(conn: &Connection, shape: &Shape, Counter { name, value }: &Counter) -> Result<u64> {
    let sql = "SELECT number FROM counter WHERE tbl = ?1 AND name = ?2 AND value = ?3";
    let mut statement = conn.prepare_cached(sql)?;
    let number = statement.query_row(params![shape.name, name, value], |row| row.get::<_, Nat>(0)).optional()?;
    Ok(number.map_or(0, |number| number.0))
}

fn estimate(conn: &Connection, shape: &Shape, estimate: &Estimate) -> Result<u64> {
    match estimate {
        Estimate::Counter(counter) => counted(conn, shape, counter),
        Estimate::Count(predicate) => count(conn, shape, std::slice::from_ref(predicate), 0),
    }
}

fn count(conn: &Connection, shape: &Shape, conditions: &[Predicate], lead: usize) -> Result<u64> {
    let mut select = counting(shape, conditions, lead);
    select.values.push(Value::Integer(i64::try_from(COUNT_LIMIT + 1).unwrap_or(i64::MAX)));
    let mut statement = conn.prepare_cached(&select.sql)?;
    Ok(statement.query_row(params_from_iter(select.values), |row| row.get::<_, Nat>(0))?.0)
}

/// A statement that counts up to a limit, its last argument.
pub(crate) fn counting(shape: &Shape, conditions: &[Predicate], lead: usize) -> Select {
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {} WHERE listed", shape.table());
    let mut select = Select { sql, values: Vec::new() };
    for (place, (field, condition)) in conditions.iter().enumerate() {
        select.meeting(&shape.column(*field), condition, place == lead);
    }
    select.sql.push_str(" LIMIT ?)");
    select
}

/// The statements of a walk, one for each of its steps; limit and offset are their last arguments.
pub(crate) fn selects(shape: &Shape, query: &Query, conditions: &[Predicate], path: AccessPath) -> Vec<Select> {
    let after = query.start.cursor();
    let (lead, sorted) = (path.predicate(), path.sorts());
    let Some(field) = query.sort.field else {
        let mut select = Select::of(shape, "NULL", lead.is_none());
        let condition = |place: usize| (&conditions[place].1, place);
        for (condition, place) in (0..conditions.len()).map(condition) {
            select.meeting(&shape.column(conditions[place].0), condition, lead == Some(place));
        }
        select.behind(after.map(|cursor| cursor.id), query.sort, sorted);
        return vec![select.ordered(None, query.sort, sorted)];
    };
    // A condition on the sorted field itself is part of the steps.
    let own = lead.filter(|lead| !sorted && conditions[*lead].0 == field);
    let column = shape.column(field);
    let steps = steps(query.sort.descending, own.map(|own| &conditions[own].1), after);
    let statement = |step: &Step| {
        let mut select = Select::of(shape, &column, false);
        for (place, (field, condition)) in conditions.iter().enumerate().filter(|(place, _)| Some(*place) != own) {
            select.meeting(&shape.column(*field), condition, lead == Some(place));
        }
        select.step(&column, step, query.sort, sorted);
        select.ordered(Some(&column), query.sort, sorted)
    };
    steps.iter().map(statement).collect()
}

impl Select {
    /// Listed rows: in the table itself they are those with an id, in an index those that it has.
    fn of(shape: &Shape, sorted_by: &str, in_table: bool) -> Self {
        let listed = if in_table { "id > -1" } else { "listed" };
        Self { sql: format!("SELECT {ROW}, {sorted_by} FROM {} WHERE {listed}", shape.table()), values: Vec::new() }
    }

    fn and(&mut self, walked: bool, column: &str, operator: &str, value: &IndexValue) {
        // The key's column holds texts only, and SQLite would take a number for one. All texts come behind all numbers.
        if matches!(value, IndexValue::Int(_)) && column == quoted(KEY) {
            self.sql.push_str(if operator.starts_with('>') { " AND true" } else { " AND false" });
            return;
        }
        let mark = if walked { "" } else { "+" };
        // Writing to a text cannot fail.
        let _ = write!(self.sql, " AND {mark}{column} {operator} ?");
        self.values.push(match value {
            IndexValue::Null => Value::Null,
            IndexValue::Int(number) => Value::Integer(*number),
            IndexValue::Text(text) => Value::Text(text.clone()),
        });
    }

    fn equal(&mut self, walked: bool, column: &str, value: &IndexValue) {
        if *value == IndexValue::Null {
            let mark = if walked { "" } else { "+" };
            let _ = write!(self.sql, " AND {mark}{column} IS NULL");
        } else {
            self.and(walked, column, "=", value);
        }
    }

    fn meeting(&mut self, column: &str, condition: &Condition, walked: bool) {
        match condition {
            Condition::Is(value) => self.equal(walked, column, value),
            Condition::Within(from, until) => {
                if let Some(from) = from {
                    self.and(walked, column, ">=", &IndexValue::Int(*from));
                }
                self.and(walked, column, "<", &end(*until));
            }
        }
    }

    fn behind(&mut self, id: Option<u64>, sort: Sort, sorted: bool) {
        if let Some(id) = id {
            let operator = if sort.descending { "<" } else { ">" };
            self.and(!sorted, "id", operator, &id.into());
        }
    }

    fn step(&mut self, column: &str, step: &Step, sort: Sort, sorted: bool) {
        match step {
            Step::All => {}
            Step::Value(value, id) => {
                self.equal(!sorted, column, value);
                self.behind(*id, sort, sorted);
            }
            Step::Span(Low::Open, None) => {
                let _ = write!(self.sql, " AND {}{column} IS NOT NULL", if sorted { "+" } else { "" });
            }
            Step::Span(low, high) => {
                match low {
                    Low::Open => {}
                    Low::With(low) => self.and(!sorted, column, ">=", low),
                    Low::Behind(low) => self.and(!sorted, column, ">", low),
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
