//! `Idempotency-Key`: what a repetition is recognised by.

use axum::http::HeaderMap;
use pabal_core::Idempotency;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::context::RequestContext;
use crate::problem::Problem;
use crate::problem_types;

/// Keys that a gateway makes, so that it may repeat a request itself, begin so; they are kept only for minutes.
pub const MADE_KEY_PREFIX: &str = "pabal-made-";

const KEEP_MS: i64 = 24 * 60 * 60 * 1000;
const KEEP_MADE_MS: i64 = 10 * 60 * 1000;
const LONGEST_KEY: usize = 255;

/// The key of a request with what it is used for. `resource` is the canonical path, whichever door was taken.
pub(crate) fn of(
    headers: &HeaderMap,
    context: &RequestContext,
    resource: &str,
    body: &Value,
) -> Result<Option<Idempotency>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let sound = |key: &&str| (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    let key = key.to_str().ok().map(str::trim).filter(sound).ok_or_else(|| {
        let detail = format!("an Idempotency-Key has 1 to {LONGEST_KEY} visible ASCII characters");
        Problem::of(problem_types::MALFORMED_IDEMPOTENCY_KEY, detail)
    })?;
    let keep_ms = if key.starts_with(MADE_KEY_PREFIX) { KEEP_MADE_MS } else { KEEP_MS };
    let scope = format!("POST {resource}");
    Ok(Some(Idempotency { scope, key: key.to_owned(), fingerprint: fingerprint(resource, &context.actor, body), keep_ms }))
}

/// Of the path, the actor (nobody is answered with what another was told) and the body, whatever its members' order.
fn fingerprint(resource: &str, actor: &str, body: &Value) -> String {
    let mut hash = Sha256::new();
    for part in [resource, actor] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    feed(&mut hash, body);
    hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
        }
        text
    })
}

fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_unstable_by_key(|(name, _)| name.as_str());
            hash.update(b"{");
            for (name, value) in members {
                hash.update(name.len().to_le_bytes());
                hash.update(name);
                feed(hash, value);
            }
            hash.update(b"}");
        }
        Value::Array(list) => {
            hash.update(b"[");
            for value in list {
                feed(hash, value);
            }
            hash.update(b"]");
        }
        Value::String(text) => {
            hash.update(b"\"");
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            hash.update(value.to_string());
            hash.update(b",");
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn keyed(key: &'static str, actor: &str, body: &Value) -> Result<Option<Idempotency>, Problem> {
        let headers = HeaderMap::from_iter([("idempotency-key".parse().unwrap(), HeaderValue::from_static(key))]);
        let context = RequestContext { actor: actor.into(), ..RequestContext::default() };
        of(&headers, &context, "/a/things", body)
    }

    #[test]
    fn the_order_of_members_makes_no_difference_but_their_values_do() {
        let first = keyed("k", "kim", &json!({"a": 1, "b": [1, 2]})).unwrap();
        assert_eq!(first, keyed("k", "kim", &json!({"b": [1, 2], "a": 1})).unwrap());
        assert_ne!(first, keyed("k", "kim", &json!({"a": 1, "b": [12]})).unwrap());
        assert_ne!(first, keyed("k", "lee", &json!({"a": 1, "b": [1, 2]})).unwrap());
    }

    #[test]
    fn keys_that_the_gateway_made_live_for_minutes() {
        assert_eq!(keyed("pabal-made-1", "kim", &json!({})).unwrap().unwrap().keep_ms, KEEP_MADE_MS);
        assert_eq!(keyed("mine", "kim", &json!({})).unwrap().unwrap().keep_ms, KEEP_MS);
    }

    #[test]
    fn a_key_must_be_visible() {
        assert_eq!(keyed("a b", "kim", &json!({})).unwrap_err().status(), 400);
    }
}
