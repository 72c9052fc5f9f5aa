//! `Idempotency-Key`: how a repeated request is recognised.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use pabal_core::Idempotency;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::context::RequestContext;
use crate::problem::{Problem, types};

/// The header that carries the key.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Keys that a gateway generates, so that it may repeat a request itself, begin so; they are kept for a shorter time.
const GENERATED_PREFIX: &str = "pabal-made-";

const KEEP_MS: i64 = 24 * 60 * 60 * 1000;
const KEEP_GENERATED_MS: i64 = 10 * 60 * 1000;
const MAX_KEY_BYTES: usize = 255;

/// A key for a request that has none. Not the request id, which clients may use for several requests.
pub fn generated_idempotency_key() -> Option<HeaderValue> {
    HeaderValue::try_from(format!("{GENERATED_PREFIX}{}", Uuid::now_v7().simple())).ok()
}

/// The key of a request with its scope and fingerprint. `resource` is the canonical path, whichever form the request uses.
pub(crate) fn idempotency(
    headers: &HeaderMap,
    context: &RequestContext,
    resource: &str,
    body: &Value,
) -> Result<Option<Idempotency>, Problem> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let is_valid = |key: &&str| (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    let key = key.to_str().ok().map(str::trim).filter(is_valid).ok_or_else(|| {
        let detail = format!("an Idempotency-Key has 1 to {MAX_KEY_BYTES} visible ASCII characters");
        Problem::of_type(types::MALFORMED_IDEMPOTENCY_KEY, detail)
    })?;
    let keep_ms = if key.starts_with(GENERATED_PREFIX) { KEEP_GENERATED_MS } else { KEEP_MS };
    let scope = format!("POST {resource}");
    Ok(Some(Idempotency { scope, key: key.to_owned(), fingerprint: fingerprint(resource, &context.actor, body), keep_ms }))
}

/// A hash of the path, the actor (a response is replayed to its own actor only) and the body, in whatever order its members are.
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
        idempotency(&headers, &context, "/a/things", body)
    }

    #[test]
    fn the_fingerprint_depends_on_values_and_actor_but_not_on_the_order_of_members() {
        let first = keyed("k", "kim", &json!({"a": 1, "b": [1, 2]})).unwrap();
        assert_eq!(first, keyed("k", "kim", &json!({"b": [1, 2], "a": 1})).unwrap());
        assert_ne!(first, keyed("k", "kim", &json!({"a": 1, "b": [12]})).unwrap());
        assert_ne!(first, keyed("k", "lee", &json!({"a": 1, "b": [1, 2]})).unwrap());
    }

    #[test]
    fn generated_keys_are_kept_for_minutes() {
        assert_eq!(keyed("pabal-made-1", "kim", &json!({})).unwrap().unwrap().keep_ms, KEEP_GENERATED_MS);
        assert_eq!(keyed("mine", "kim", &json!({})).unwrap().unwrap().keep_ms, KEEP_MS);
    }

    #[test]
    fn a_key_with_a_space_is_rejected() {
        assert_eq!(keyed("a b", "kim", &json!({})).unwrap_err().status(), 400);
    }
}
