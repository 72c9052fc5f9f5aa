//! The answers of idempotency keys.

use std::collections::HashMap;

use ports::AnswerRow;

use crate::connection::pipeline::Pipeline;
use crate::connection::session::Connection;
use crate::error::{CONFLICT, DatabaseError};
use crate::value::{get, values};

/// Stores answers: an unexpired answer of the same key, by the database's clock, is a conflict.
pub(crate) fn write_answers<'a>(work: &mut Pipeline<'a>, answers: &'a [AnswerRow]) {
    if answers.is_empty() {
        return;
    }
    let mut answers: Vec<&AnswerRow> = answers.iter().collect();
    answers.sort_by_key(|answer| (&answer.scope, &answer.key));
    let sql = format!(
        "WITH done AS (INSERT INTO answer AS there (scope, key, fingerprint, expires_ms, answer) \
         SELECT scope, key, fingerprint, expires_ms, answer \
         FROM unnest($1::text[], $2::text[], $3::text[], $4::int8[], $5::bytea[]) \
         WITH ORDINALITY AS u(scope, key, fingerprint, expires_ms, answer, ordinal) ORDER BY ordinal \
         ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint, expires_ms = excluded.expires_ms, \
         answer = excluded.answer WHERE there.expires_ms <= now_ms() RETURNING 1) \
         SELECT expect(count(*), cardinality($1::text[]), '{CONFLICT}', 'unanswered keys') FROM done"
    );
    let texts = |text: fn(&AnswerRow) -> &str| answers.iter().map(|answer| text(answer)).collect::<Vec<_>>();
    let expires: Vec<i64> = answers.iter().map(|answer| answer.expires_ms).collect();
    let bytes: Vec<&[u8]> = answers.iter().map(|answer| answer.answer.as_slice()).collect();
    let of =
        values![texts(|answer| &answer.scope), texts(|answer| &answer.key), texts(|answer| &answer.fingerprint), expires, bytes,];
    work.add(sql, of);
}

/// The stored answers of idempotency keys, by scope and key, in the order asked for.
pub(crate) async fn answers(conn: &mut Connection, wanted: &[(String, String)]) -> Result<Vec<Option<AnswerRow>>, DatabaseError> {
    let sql = "SELECT there.scope, there.key, there.fingerprint, there.expires_ms, there.answer \
               FROM unnest($1::text[], $2::text[]) AS wanted(scope, key) \
               JOIN answer AS there ON there.scope = wanted.scope AND there.key = wanted.key";
    let texts = |text: fn(&(String, String)) -> &str| wanted.iter().map(text).collect::<Vec<_>>();
    let rows = conn.rows(sql, &values![texts(|(scope, _)| scope), texts(|(_, key)| key)]).await?;
    let mut found = HashMap::new();
    for row in rows {
        let (scope, key): (String, String) = (get(&row, 0)?, get(&row, 1)?);
        let (fingerprint, expires_ms, answer) = (get(&row, 2)?, get(&row, 3)?, get(&row, 4)?);
        found.insert((scope.clone(), key.clone()), AnswerRow { scope, key, fingerprint, expires_ms, answer });
    }
    Ok(wanted.iter().map(|pair| found.get(pair).cloned()).collect())
}
