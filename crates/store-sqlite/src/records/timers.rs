//! Durable timers.

use ports::model::TableId;
use ports::{TimerRow, TimerWrite};
use rusqlite::{Connection, OptionalExtension, Result, params};

use crate::error::WriteError;
use crate::layout::{TableLayout, table_name, table_of};
use crate::records::codec::{cause, cause_json, list};
use crate::value::limit;

pub(crate) fn write_timer(conn: &Connection, layouts: &[TableLayout], write: &TimerWrite) -> Result<(), WriteError> {
    match write {
        TimerWrite::Set(TimerRow { table, key, name, due_ms, version, command, cause }) => {
            let sql = "INSERT OR REPLACE INTO timer (table_name, key, name, due_ms, version, command, cause) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let values = params![table_name(layouts, *table)?, key, name, due_ms, version, command, cause_json(cause)?];
            conn.prepare_cached(sql)?.execute(values)?;
        }
        TimerWrite::Clear { table, key, name, .. } => {
            let sql = "DELETE FROM timer WHERE table_name = ?1 AND key = ?2 AND name = ?3";
            conn.prepare_cached(sql)?.execute(params![table_name(layouts, *table)?, key, name])?;
        }
    }
    Ok(())
}

pub(crate) fn timers_due(conn: &Connection, layouts: &[TableLayout], until_ms: i64, rows: usize) -> Result<Vec<TimerRow>> {
    let sql = "SELECT table_name, key, name, due_ms, version, command, cause FROM timer WHERE due_ms <= ?1 \
               ORDER BY due_ms, table_name, key, name LIMIT ?2";
    list(conn, sql, params![until_ms, limit(rows)], |row| {
        Ok(TimerRow {
            table: table_of(layouts, row, 0)?,
            key: row.get(1)?,
            name: row.get(2)?,
            due_ms: row.get(3)?,
            version: row.get(4)?,
            command: row.get(5)?,
            cause: cause(row, 6)?,
        })
    })
}

/// The due time of one timer, milliseconds since 1970.
pub(crate) fn timer_due(
    conn: &Connection,
    layouts: &[TableLayout],
    table: TableId,
    key: &str,
    name: &str,
) -> Result<Option<i64>> {
    let Some(layout) = layouts.get(table.0) else { return Ok(None) };
    let sql = "SELECT due_ms FROM timer WHERE table_name = ?1 AND key = ?2 AND name = ?3";
    conn.prepare_cached(sql)?.query_row(params![layout.name, key, name], |row| row.get(0)).optional()
}
