//! Request bodies: the media types that are accepted, the limits, and the errors that come before any field is looked at.

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

use super::query::Params;
use crate::problem::{Problem, types};

/// The deepest nesting that is parsed, since each level costs stack.
const MAX_DEPTH: usize = 64;

/// Accepted media types; the documents list them.
pub(crate) const MEDIA_TYPES: [&str; 4] =
    ["application/json", "application/hal+json", "application/merge-patch+json", "application/x-www-form-urlencoded"];

/// Reads a body as a JSON object. An empty body is an empty object, so that missing fields are named one by one.
pub(crate) async fn read_body(headers: &HeaderMap, body: Body, limit_bytes: usize) -> Result<Value, Problem> {
    let form = is_form(headers)?;
    let bytes = collect(headers, body, limit_bytes).await?;
    match form {
        _ if bytes.iter().all(u8::is_ascii_whitespace) => Ok(Value::Object(Map::new())),
        true => parse_form(&bytes),
        false => parse_json(&bytes),
    }
}

/// Whether the body is a form; a missing `Content-Type` means JSON.
fn is_form(headers: &HeaderMap) -> Result<bool, Problem> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(false) };
    let text = value.to_str().unwrap_or_default();
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let accepted = MEDIA_TYPES.contains(&essence.as_str());
    let utf8 = parts.filter_map(|part| part.split_once('=')).all(|(name, value)| {
        let value = value.trim_matches('"');
        !name.eq_ignore_ascii_case("charset") || value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("us-ascii")
    });
    if accepted && utf8 {
        return Ok(essence.ends_with("urlencoded"));
    }
    let detail = format!("the body must be one of {}, in UTF-8", MEDIA_TYPES.join(", "));
    Err(Problem::of_type(types::UNSUPPORTED_MEDIA_TYPE, detail))
}

async fn collect(headers: &HeaderMap, body: Body, limit_bytes: usize) -> Result<Bytes, Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit_bytes) {
        return Err(too_large(limit_bytes));
    }
    match Limited::new(body, limit_bytes).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(limit_bytes)),
        // An outer layer may have a limit of its own, whose error is wrapped.
        Err(error) if caused_by_limit(&*error) => Err(too_large(limit_bytes)),
        Err(_) => Err(Problem::of_type(types::INCOMPLETE_BODY, "the body did not arrive in full")),
    }
}

fn caused_by_limit(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(error.source(), |inner| inner.source()).any(<dyn std::error::Error>::is::<LengthLimitError>)
}

fn too_large(limit_bytes: usize) -> Problem {
    Problem::of_type(types::TOO_LARGE, format!("the body may have at most {limit_bytes} bytes"))
}

fn parse_json(bytes: &[u8]) -> Result<Value, Problem> {
    let malformed = |detail: String| Problem::of_type(types::MALFORMED_JSON, detail);
    let text = std::str::from_utf8(bytes).map_err(|error| malformed(format!("the body is not UTF-8: {error}")))?;
    if depth(bytes) > MAX_DEPTH {
        return Err(malformed(format!("the body is nested deeper than {MAX_DEPTH} levels")));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| malformed(format!("the body is not JSON: {error}")))?;
    if value.is_object() { Ok(value) } else { Err(Problem::field("body", "type", "must be an object")) }
}

/// The nesting depth of brackets outside of strings.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A form is flat; a repeated name makes a list.
fn parse_form(bytes: &[u8]) -> Result<Value, Problem> {
    let malformed = || Problem::of_type(types::MALFORMED_FORM, "the form is not UTF-8");
    let text = std::str::from_utf8(bytes).map_err(|_| malformed())?;
    let mut map = Map::new();
    for (name, value) in Params::parse(Some(text)).map_err(|_| malformed())?.into_pairs() {
        match map.get_mut(&name) {
            None => {
                map.insert(name, Value::String(value));
            }
            Some(Value::Array(list)) => list.push(Value::String(value)),
            Some(first) => *first = Value::Array(vec![first.take(), Value::String(value)]),
        }
    }
    Ok(Value::Object(map))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn read_as(media_type: Option<&str>, body: impl Into<Body>) -> Result<Value, (u16, String)> {
        let mut headers = HeaderMap::new();
        if let Some(media_type) = media_type {
            headers.insert(CONTENT_TYPE, media_type.parse().unwrap());
        }
        let read = read_body(&headers, body.into(), 100).await;
        read.map_err(|problem| (problem.status().as_u16(), problem.code().to_owned()))
    }

    #[tokio::test]
    async fn json_hal_and_forms_are_accepted() {
        let value = json!({"a": "1"});
        assert_eq!(read_as(Some("application/json; charset=UTF-8"), r#"{"a":"1"}"#).await.unwrap(), value);
        assert_eq!(read_as(Some("application/hal+json"), r#"{"a":"1"}"#).await.unwrap(), value);
        assert_eq!(read_as(None, r#"{"a":"1"}"#).await.unwrap(), value);
        let form = read_as(Some("application/x-www-form-urlencoded"), "a=1&b=%ED%95%9C+x&b=2").await.unwrap();
        assert_eq!(form, json!({"a": "1", "b": ["한 x", "2"]}));
    }

    #[tokio::test]
    async fn an_empty_body_is_an_empty_object() {
        assert_eq!(read_as(None, "").await.unwrap(), json!({}));
    }

    #[tokio::test]
    async fn other_media_types_and_charsets_are_rejected() {
        assert_eq!(read_as(Some("text/xml"), "<a/>").await.unwrap_err().0, 415);
        assert_eq!(read_as(Some("application/json;charset=euc-kr"), "{}").await.unwrap_err().0, 415);
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_rejected_without_a_content_length_too() {
        let chunks = futures_util::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>("          ")));
        assert_eq!(read_as(None, Body::from_stream(chunks)).await.unwrap_err(), (413, "too-large".into()));
    }

    #[tokio::test]
    async fn a_body_that_is_not_a_json_object_is_rejected() {
        assert_eq!(read_as(None, "{\"a\":").await.unwrap_err(), (400, "malformed-json".into()));
        assert_eq!(read_as(None, vec![b'"', 0xff, b'"']).await.unwrap_err(), (400, "malformed-json".into()));
        assert_eq!(read_as(None, "1e999").await.unwrap_err(), (400, "malformed-json".into()));
        assert_eq!(read_as(None, "[]").await.unwrap_err(), (400, "malformed".into()));
    }

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        assert_eq!(depth(br#"{"a":"[[[\"[", "b":[{}]}"#), 3);
        let deep = "[".repeat(65) + &"]".repeat(65);
        assert!(parse_json(deep.as_bytes()).is_err());
    }
}
