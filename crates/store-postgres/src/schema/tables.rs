//! Brings the row tables up to their declarations: creates missing tables, columns and indexes.
//!
//! Each declaration of a table so far has a number, and each row has that of the declaration it was written under. The latest
//! version backfills rows of earlier ones ([`crate::schema::backfill`]), also those that an earlier version, still running,
//! keeps writing: a rolling update needs no downtime. What is no longer declared is dropped one declaration later.

use std::collections::BTreeSet;

use tokio_postgres::Row;

use crate::connection::session::Connection;
use crate::error::DatabaseError;
use crate::layout::{TableLayout, quoted};
use crate::value::{get, values};

/// A declaration as recorded in `table_layout`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordedLayout {
    pub number: i32,
    pub columns: BTreeSet<String>,
    pub counted: BTreeSet<String>,
}

impl RecordedLayout {
    fn declared(layout: &TableLayout) -> Self {
        let columns = layout.columns.iter().cloned().collect();
        let counted = layout.fields.counted().into_iter().map(|(name, _)| name).collect();
        Self { number: 0, columns, counted }
    }

    fn read(row: &Row) -> Result<Self, DatabaseError> {
        let set = |column| Ok::<_, DatabaseError>(get::<Vec<String>>(row, column)?.into_iter().collect());
        Ok(Self { number: get(row, 0)?, columns: set(1)?, counted: set(2)? })
    }

    fn equals(&self, other: &Self) -> bool {
        self.columns == other.columns && self.counted == other.counted
    }

    fn is_within(&self, other: &Self) -> bool {
        self.columns.is_subset(&other.columns) && self.counted.is_subset(&other.counted)
    }
}

/// All declarations of a table, latest first.
pub(crate) async fn declared(conn: &mut Connection, layout: &TableLayout) -> Result<Vec<RecordedLayout>, DatabaseError> {
    let sql = "SELECT number, columns, counters FROM table_layout WHERE table_name = $1 ORDER BY number DESC";
    conn.rows(sql, &values![layout.name.as_str()]).await?.iter().map(RecordedLayout::read).collect()
}

/// Finds the number of a declaration; `None` if it is not recorded yet.
pub(crate) fn settle(layout: &mut TableLayout, known: &[RecordedLayout]) -> Option<()> {
    let mine = RecordedLayout::declared(layout);
    let latest = known.first()?;
    let same = known.iter().find(|other| other.equals(&mine))?;
    // Not the latest: an earlier version was started again. Accepted as long as the latest contains all of it.
    (same.number == latest.number || mine.is_within(latest)).then(|| {
        layout.number = same.number;
        layout.newest = same.number == latest.number;
        layout.others = known.len() > 1;
    })
}

/// Brings a table up to its declaration. One process at a time.
pub(crate) async fn create_or_alter(conn: &mut Connection, layout: &mut TableLayout) -> Result<(), DatabaseError> {
    if exists(conn, layout).await? {
        add_columns(conn, layout).await?;
    } else {
        create(conn, layout).await?;
    }
    let mut known = declared(conn, layout).await?;
    if settle(layout, &known).is_none() {
        known.push(declare(conn, layout, &known).await?);
        known.sort_by_key(|declared| -declared.number);
        settle(layout, &known);
    }
    if layout.newest {
        make_indexes(conn, layout, &known).await?;
    }
    Ok(())
}

async fn exists(conn: &mut Connection, layout: &TableLayout) -> Result<bool, DatabaseError> {
    let sql = "SELECT 1 FROM pg_class WHERE relname = $1 AND relnamespace = current_schema()::regnamespace AND relkind = 'r'";
    Ok(conn.row(sql, &values![layout.name.as_str()]).await?.is_some())
}

async fn create(conn: &mut Connection, layout: &TableLayout) -> Result<(), DatabaseError> {
    let (at, fields) = (layout.table(), layout.each_column(|_, column| format!("{column} bytea, ")));
    let indexes = layout.each_column(|_, column| format!("CREATE INDEX ON {at} ({column}, id) WHERE {column} IS NOT NULL; "));
    // Free space on each page allows HOT updates of rows whose indexed fields do not change.
    let create = format!(
        "BEGIN; CREATE TABLE {at} (key text COLLATE \"C\" PRIMARY KEY, id bigint, version bigint NOT NULL, \
         schema integer NOT NULL, layout integer NOT NULL, max_layout integer NOT NULL, {fields}data bytea NOT NULL) \
         WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05); \
         CREATE UNIQUE INDEX ON {at} (id) WHERE id IS NOT NULL; {indexes}COMMIT"
    );
    conn.batch(&create).await
}

async fn add_columns(conn: &mut Connection, layout: &TableLayout) -> Result<(), DatabaseError> {
    let sql = "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped";
    let rows = conn.rows(sql, &values![layout.table()]).await?;
    let there = rows.iter().map(|row| get(row, 0)).collect::<Result<BTreeSet<String>, _>>()?;
    for column in layout.columns.iter().filter(|column| !there.contains(*column)) {
        conn.batch(&format!("ALTER TABLE {} ADD COLUMN {} bytea", layout.table(), quoted(column))).await?;
        tracing::info!(store.table = layout.name, store.column = column, "added a column for a new field");
    }
    Ok(())
}

/// Records the declaration: as the latest, or before all others if the latest contains it. A counter that is maintained now and
/// was not before starts from zero, whatever an earlier time has left.
async fn declare(conn: &mut Connection, layout: &TableLayout, known: &[RecordedLayout]) -> Result<RecordedLayout, DatabaseError> {
    let mine = RecordedLayout::declared(layout);
    let within = known.first().is_some_and(|latest| mine.is_within(latest));
    let number = match (known.first(), known.last()) {
        (Some(_), Some(first)) if within => first.number - 1,
        (Some(latest), _) => latest.number + 1,
        (None, _) => 1,
    };
    let sql = "WITH new AS (INSERT INTO table_layout (table_name, number, columns, counters) VALUES ($1, $2, $3, $4)) \
               DELETE FROM counter WHERE table_name = $1 AND name = ANY($5::text[])";
    let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
    let counted_before = known.first().map(|latest| latest.counted.clone()).unwrap_or_default();
    let anew: Vec<String> = mine.counted.difference(&counted_before).cloned().collect();
    conn.rows(sql, &values![layout.name.as_str(), number, list(&mine.columns), list(&mine.counted), anew]).await?;
    Ok(RecordedLayout { number, ..mine })
}

/// An index: its name, its first column, its predicate, and whether it is valid.
struct Index {
    name: String,
    first: String,
    condition: String,
    valid: bool,
}

async fn indexes(conn: &mut Connection, layout: &TableLayout) -> Result<Vec<Index>, DatabaseError> {
    let sql = "SELECT indexrelid::regclass::text, coalesce(attname::text, ''), coalesce(pg_get_expr(indpred, indrelid), ''), \
               indisvalid FROM pg_index LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0] \
               WHERE indrelid = $1::text::regclass AND NOT indisunique";
    let rows = conn.rows(sql, &values![layout.table()]).await?;
    let index = |row: &Row| Ok(Index { name: get(row, 0)?, first: get(row, 1)?, condition: get(row, 2)?, valid: get(row, 3)? });
    rows.iter().map(index).collect()
}

/// Creates missing indexes concurrently, and drops unused ones. Indexes are recognized by their columns: their names are stale
/// once two tables were swapped.
async fn make_indexes(conn: &mut Connection, layout: &TableLayout, known: &[RecordedLayout]) -> Result<(), DatabaseError> {
    let kept: BTreeSet<&String> = known.iter().take(2).flat_map(|declared| &declared.columns).collect();
    let stale_rows = format!("(layout < {})", layout.number);
    let mut there = BTreeSet::new();
    for Index { name, first, condition, valid } in indexes(conn, layout).await? {
        let wanted = if first == "key" { condition == stale_rows } else { kept.contains(&first) };
        if wanted && valid && there.insert(first) {
            continue;
        }
        // An invalid index is left by an interrupted CREATE INDEX CONCURRENTLY.
        tracing::info!(store.table = layout.name, store.index = name, "dropped an unused or invalid index");
        conn.batch(&format!("DROP INDEX CONCURRENTLY {name}")).await?;
    }
    let at = layout.table();
    if layout.may_need_backfill() && !there.contains("key") {
        conn.batch(&format!("CREATE INDEX CONCURRENTLY ON {at} (key) WHERE layout < {}", layout.number)).await?;
    }
    for column in layout.columns.iter().filter(|column| !there.contains(*column)) {
        let column = quoted(column);
        conn.batch(&format!("CREATE INDEX CONCURRENTLY ON {at} ({column}, id) WHERE {column} IS NOT NULL")).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kernel::field::{Ask, FieldInfo};
    use ports::query::TableFields;

    use super::*;

    fn layout(fields: &[&'static str]) -> TableLayout {
        let fields = fields.iter().map(|name| FieldInfo { name, ask: Ask::Counted }).collect();
        TableLayout::new("t", TableFields { declared: fields, crossed: Vec::new() })
    }

    fn recorded(number: i32, fields: &[&'static str]) -> RecordedLayout {
        RecordedLayout { number, ..RecordedLayout::declared(&layout(fields)) }
    }

    fn horizon(fields: &[&'static str], known: &[RecordedLayout]) -> Option<(i32, bool)> {
        let mut layout = layout(fields);
        settle(&mut layout, known).map(|()| (layout.number, layout.newest))
    }

    #[test]
    fn an_older_version_that_restarts_keeps_its_number_and_one_that_needs_more_gets_a_new_one() {
        let known = [recorded(2, &["a", "b"]), recorded(1, &["a"])];
        assert_eq!(horizon(&["a", "b"], &known), Some((2, true)));
        assert_eq!(horizon(&["a"], &known), Some((1, false)));
        assert_eq!(horizon(&["c"], &known), None);
        let known = [recorded(3, &["c"]), recorded(2, &["a", "b"])];
        assert_eq!(horizon(&["a", "b"], &known), None, "what it needs is not written any more");
        assert_eq!(horizon(&["a"], &[]), None);
        let known = [recorded(1, &["a", "b"]), recorded(0, &["a"])];
        assert_eq!(horizon(&["a"], &known), Some((0, false)), "one that came only after the later one");
    }
}
