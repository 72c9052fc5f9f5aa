//! Work of aggregates that are not declared any more.

use rusqlite::{Connection, Result};

use crate::layout::TableLayout;

/// A table that timers or effects refer to and that is not declared, found by one index lookup for each table referred to.
pub(crate) fn orphan(conn: &Connection, layouts: &[TableLayout]) -> Result<Option<String>> {
    for work in ["timer", "effect"] {
        let next = format!("SELECT min(table_name) FROM {work} WHERE table_name > ?1");
        let mut last = String::new();
        while let Some(name) = conn.query_row(&next, [&last], |row| row.get::<_, Option<String>>(0))? {
            if !layouts.iter().any(|layout| layout.name == name) {
                return Ok(Some(name));
            }
            last = name;
        }
    }
    Ok(None)
}
