//! The store's single row about itself.

use rusqlite::{Connection, Error, Result};

use crate::value::U64;

/// The last numbers assigned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Last {
    pub commit: u64,
    pub seq: u64,
    pub effect: u64,
}

/// Reads them.
pub(crate) fn last(conn: &Connection) -> Result<Last> {
    let mut statement = conn.prepare_cached("SELECT last_commit, last_seq, last_effect FROM store_meta")?;
    statement.query_row([], |row| {
        let number = |column| Ok::<_, Error>(row.get::<_, U64>(column)?.0);
        Ok(Last { commit: number(0)?, seq: number(1)?, effect: number(2)? })
    })
}
