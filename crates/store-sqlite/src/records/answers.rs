//! The answers of idempotency keys.

use ports::AnswerRow;
use rusqlite::{Connection, Result, params};

use crate::error::WriteError;
use crate::records::codec::list;

pub(crate) fn write_answer(conn: &Connection, answer: &AnswerRow) -> Result<(), WriteError> {
    let AnswerRow { scope, key, fingerprint, expires_ms, answer } = answer;
    let sql = "INSERT INTO answer (scope, key, fingerprint, expires_ms, answer) VALUES (?1, ?2, ?3, ?4, ?5) \
               ON CONFLICT (scope, key) DO UPDATE SET fingerprint = ?3, expires_ms = ?4, answer = ?5";
    conn.prepare_cached(sql)?.execute(params![scope, key, fingerprint, expires_ms, answer])?;
    Ok(())
}

pub(crate) fn answer(conn: &Connection, scope: &str, key: &str) -> Result<Option<AnswerRow>> {
    let sql = "SELECT scope, key, fingerprint, expires_ms, answer FROM answer WHERE scope = ?1 AND key = ?2";
    let found = list(conn, sql, [scope, key], |row| {
        let (scope, key, fingerprint) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(AnswerRow { scope, key, fingerprint, expires_ms: row.get(3)?, answer: row.get(4)? })
    });
    Ok(found?.pop())
}
