//! Makes the row tables what the declarations say: new tables, new columns, new indexes.
//!
//! Each declaration that a table has had has a number, and each row says under which one it was written. Whoever runs the
//! latest fills the rows of earlier ones ([`crate::refill`]), also those that an earlier version, still running beside it,
//! goes on writing. So nothing needs the old version to have ended; what nobody declares any more goes a declaration later.

use std::collections::BTreeSet;

use tokio_postgres::Row;

use crate::error::Failed;
use crate::session::Link;
use crate::shape::{Shape, quoted};
use crate::value::{get, values};

/// A declaration as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared {
    pub number: i32,
    pub columns: BTreeSet<String>,
    pub counted: BTreeSet<String>,
}

impl Declared {
    fn of(shape: &Shape) -> Self {
        let columns = shape.columns.iter().cloned().collect();
        let counted = shape.fields.counted().into_iter().map(|(name, _)| name).collect();
        Self { number: 0, columns, counted }
    }

    fn read(row: &Row) -> Result<Self, Failed> {
        let set = |column| Ok::<_, Failed>(get::<Vec<String>>(row, column)?.into_iter().collect());
        Ok(Self { number: get(row, 0)?, columns: set(1)?, counted: set(2)? })
    }

    fn says_the_same(&self, other: &Self) -> bool {
        self.columns == other.columns && self.counted == other.counted
    }

    fn is_within(&self, other: &Self) -> bool {
        self.columns.is_subset(&other.columns) && self.counted.is_subset(&other.counted)
    }
}

/// All declarations of a table, the latest first.
pub(crate) async fn declared(link: &mut Link, shape: &Shape) -> Result<Vec<Declared>, Failed> {
    let sql = "SELECT number, columns, counted FROM shape WHERE tbl = $1 ORDER BY number DESC";
    link.rows(sql, &values![shape.name.as_str()]).await?.iter().map(Declared::read).collect()
}

/// Finds the number of a declaration; `None` if the table does not have it yet.
pub(crate) fn settle(shape: &mut Shape, known: &[Declared]) -> Option<()> {
    let mine = Declared::of(shape);
    let latest = known.first()?;
    let same = known.iter().find(|other| other.says_the_same(&mine))?;
    // One that is not the latest is an earlier version that was started again, as long as the latest has all that it has.
    (same.number == latest.number || mine.is_within(latest)).then(|| {
        shape.number = same.number;
        shape.newest = same.number == latest.number;
        shape.others = known.len() > 1;
    })
}

/// Brings a table up to its declaration. To be done by one process at a time.
pub(crate) async fn shape_table(link: &mut Link, shape: &mut Shape) -> Result<(), Failed> {
    if exists(link, shape).await? {
        add_columns(link, shape).await?;
    } else {
        create(link, shape).await?;
    }
    let mut known = declared(link, shape).await?;
    if settle(shape, &known).is_none() {
        known.push(declare(link, shape, &known).await?);
        known.sort_by_key(|declared| -declared.number);
        settle(shape, &known);
    }
    if shape.newest {
        make_indexes(link, shape, &known).await?;
    }
    Ok(())
}

async fn exists(link: &mut Link, shape: &Shape) -> Result<bool, Failed> {
    let sql = "SELECT 1 FROM pg_class WHERE relname = $1 AND relnamespace = current_schema()::regnamespace AND relkind = 'r'";
    Ok(link.row(sql, &values![shape.name.as_str()]).await?.is_some())
}

async fn create(link: &mut Link, shape: &Shape) -> Result<(), Failed> {
    let (at, fields) = (shape.table(), shape.each_column(|_, column| format!("{column} bytea, ")));
    let indexes = shape.each_column(|_, column| format!("CREATE INDEX ON {at} ({column}, id) WHERE {column} IS NOT NULL; "));
    // Room on each page, so that a row whose fields stay as they are changes without its indexes.
    let create = format!(
        "BEGIN; CREATE TABLE {at} (key text COLLATE \"C\" PRIMARY KEY, id bigint, version bigint NOT NULL, \
         schema integer NOT NULL, shape integer NOT NULL, filled integer NOT NULL, {fields}data bytea NOT NULL) \
         WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05); \
         CREATE UNIQUE INDEX ON {at} (id) WHERE id IS NOT NULL; {indexes}COMMIT"
    );
    link.script(&create).await
}

async fn add_columns(link: &mut Link, shape: &Shape) -> Result<(), Failed> {
    let sql = "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped";
    let rows = link.rows(sql, &values![shape.table()]).await?;
    let there = rows.iter().map(|row| get(row, 0)).collect::<Result<BTreeSet<String>, _>>()?;
    for column in shape.columns.iter().filter(|column| !there.contains(*column)) {
        link.script(&format!("ALTER TABLE {} ADD COLUMN {} bytea", shape.table(), quoted(column))).await?;
        tracing::info!(store.table = shape.name, store.column = column, "a field is new");
    }
    Ok(())
}

/// Records the declaration: as the latest, or before all others if the latest has all that it has. What is counted now and
/// was not before begins at nothing, whatever an earlier time may have left.
async fn declare(link: &mut Link, shape: &Shape, known: &[Declared]) -> Result<Declared, Failed> {
    let mine = Declared::of(shape);
    let within = known.first().is_some_and(|latest| mine.is_within(latest));
    let number = match (known.first(), known.last()) {
        (Some(_), Some(first)) if within => first.number - 1,
        (Some(latest), _) => latest.number + 1,
        (None, _) => 1,
    };
    let sql = "WITH new AS (INSERT INTO shape (tbl, number, columns, counted) VALUES ($1, $2, $3, $4)) \
               DELETE FROM counter WHERE tbl = $1 AND name = ANY($5::text[])";
    let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
    let counted_before = known.first().map(|latest| latest.counted.clone()).unwrap_or_default();
    let anew: Vec<String> = mine.counted.difference(&counted_before).cloned().collect();
    link.rows(sql, &values![shape.name.as_str(), number, list(&mine.columns), list(&mine.counted), anew]).await?;
    Ok(Declared { number, ..mine })
}

/// An index of a table: its name, what it is on, and whether it can be used.
struct Index {
    name: String,
    first: String,
    condition: String,
    valid: bool,
}

async fn indexes(link: &mut Link, shape: &Shape) -> Result<Vec<Index>, Failed> {
    let sql = "SELECT indexrelid::regclass::text, coalesce(attname::text, ''), coalesce(pg_get_expr(indpred, indrelid), ''), \
               indisvalid FROM pg_index LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0] \
               WHERE indrelid = $1::text::regclass AND NOT indisunique";
    let rows = link.rows(sql, &values![shape.table()]).await?;
    let index = |row: &Row| Ok(Index { name: get(row, 0)?, first: get(row, 1)?, condition: get(row, 2)?, valid: get(row, 3)? });
    rows.iter().map(index).collect()
}

/// Makes what is missing without holding up who writes, and drops what is of no use. Indexes are known by what they are on:
/// their names tell nothing once two tables have changed places.
async fn make_indexes(link: &mut Link, shape: &Shape, known: &[Declared]) -> Result<(), Failed> {
    let kept: BTreeSet<&String> = known.iter().take(2).flat_map(|declared| &declared.columns).collect();
    let lacking = format!("(shape < {})", shape.number);
    let mut there = BTreeSet::new();
    for Index { name, first, condition, valid } in indexes(link, shape).await? {
        let wanted = if first == "key" { condition == lacking } else { kept.contains(&first) };
        if wanted && valid && there.insert(first) {
            continue;
        }
        // One that is not valid is what an interrupted attempt has left.
        tracing::info!(store.table = shape.name, store.index = name, "an index is of no use any more");
        link.script(&format!("DROP INDEX CONCURRENTLY {name}")).await?;
    }
    let at = shape.table();
    if shape.may_lack() && !there.contains("key") {
        link.script(&format!("CREATE INDEX CONCURRENTLY ON {at} (key) WHERE shape < {}", shape.number)).await?;
    }
    for column in shape.columns.iter().filter(|column| !there.contains(*column)) {
        let column = quoted(column);
        link.script(&format!("CREATE INDEX CONCURRENTLY ON {at} ({column}, id) WHERE {column} IS NOT NULL")).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kernel::field::{Ask, FieldInfo};
    use ports::query::TableFields;

    use super::*;

    fn shape(fields: &[&'static str]) -> Shape {
        let fields = fields.iter().map(|name| FieldInfo { name, ask: Ask::Counted }).collect();
        Shape::new("t", TableFields { declared: fields, crossed: Vec::new() })
    }

    fn recorded(number: i32, fields: &[&'static str]) -> Declared {
        Declared { number, ..Declared::of(&shape(fields)) }
    }

    fn settled(fields: &[&'static str], known: &[Declared]) -> Option<(i32, bool)> {
        let mut shape = shape(fields);
        settle(&mut shape, known).map(|()| (shape.number, shape.newest))
    }

    #[test]
    fn an_earlier_version_that_starts_again_keeps_its_number_and_one_that_needs_more_gets_a_new_one() {
        let known = [recorded(2, &["a", "b"]), recorded(1, &["a"])];
        assert_eq!(settled(&["a", "b"], &known), Some((2, true)));
        assert_eq!(settled(&["a"], &known), Some((1, false)));
        assert_eq!(settled(&["c"], &known), None);
        let known = [recorded(3, &["c"]), recorded(2, &["a", "b"])];
        assert_eq!(settled(&["a", "b"], &known), None, "what it needs is not written any more");
        assert_eq!(settled(&["a"], &[]), None);
        let known = [recorded(1, &["a", "b"]), recorded(0, &["a"])];
        assert_eq!(settled(&["a"], &known), Some((0, false)), "one that came only after the later one");
    }
}
