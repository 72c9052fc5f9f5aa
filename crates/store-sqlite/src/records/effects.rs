//! Effects that have not ended.

use ports::{EffectRow, RowRef};
use rusqlite::{Connection, Result, params};

use crate::error::WriteError;
use crate::layout::{TableLayout, table_name, table_of};
use crate::records::codec::{cause, cause_json, list};
use crate::value::{U64, limit};

const EFFECT: &str = "number, id, table_name, key, port, lane, version, payload, cause, withdrawn";

/// Deletes ended effects, then withdraws, then inserts: a new effect carries its own withdrawn flag.
pub(crate) fn write_effects(
    conn: &Connection,
    layouts: &[TableLayout],
    done: &[u64],
    withdrawn: &[RowRef],
    asked: &[EffectRow],
) -> Result<(), WriteError> {
    for number in done {
        conn.prepare_cached("DELETE FROM effect WHERE number = ?1")?.execute([U64(*number)])?;
    }
    for RowRef { table, key } in withdrawn {
        let sql = "UPDATE effect SET withdrawn = 1 WHERE table_name = ?2 AND key = ?1";
        conn.prepare_cached(sql)?.execute(params![key, table_name(layouts, *table)?])?;
    }
    for effect in asked {
        let EffectRow { number, id, table, key, port, lane, version, payload, cause, withdrawn } = effect;
        let sql = "INSERT INTO effect (number, id, table_name, key, port, lane, version, payload, cause, withdrawn) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let table = table_name(layouts, *table)?;
        let values = params![U64(*number), id, table, key, port, lane, version, payload, cause_json(cause)?, withdrawn];
        conn.prepare_cached(sql)?.execute(values)?;
    }
    Ok(())
}

pub(crate) fn effects_after(conn: &Connection, layouts: &[TableLayout], number: u64, rows: usize) -> Result<Vec<EffectRow>> {
    let sql = format!("SELECT {EFFECT} FROM effect WHERE number > ?1 ORDER BY number LIMIT ?2");
    list(conn, &sql, params![U64(number), limit(rows)], |row| {
        Ok(EffectRow {
            number: row.get::<_, U64>(0)?.0,
            id: row.get(1)?,
            table: table_of(layouts, row, 2)?,
            key: row.get(3)?,
            port: row.get(4)?,
            lane: row.get(5)?,
            version: row.get(6)?,
            payload: row.get(7)?,
            cause: cause(row, 8)?,
            withdrawn: row.get(9)?,
        })
    })
}
