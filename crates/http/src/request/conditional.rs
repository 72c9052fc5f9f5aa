//! Conditional requests: `ETag`, `If-None-Match`, `If-Match`. The tag of an entity is its version.

use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue};

use crate::problem::{Problem, types};

/// `"7"`.
pub(crate) fn etag(version: u64) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("\"{version}\"")).ok()
}

/// Whether the client has this version already (`If-None-Match`).
pub(crate) fn has_current_version(headers: &HeaderMap, version: u64) -> bool {
    // `If-None-Match` compares weakly: only the version counts.
    tags(headers, &IF_NONE_MATCH).any(|tag| tag == "*" || is_version(tag.trim_start_matches("W/"), version))
}

/// The version that a change is conditional on, if it is (`If-Match`); 412 where the current one is another.
pub(crate) fn expected_version(headers: &HeaderMap, current: u64) -> Result<Option<u64>, Problem> {
    if !headers.contains_key(IF_MATCH) {
        return Ok(None);
    }
    let mut any = false;
    for tag in tags(headers, &IF_MATCH) {
        any |= tag == "*";
        if is_version(tag, current) {
            return Ok(Some(current));
        }
    }
    let stale = || Problem::of_type(types::STALE, "it has changed since it was read");
    if any { Ok(None) } else { Err(stale()) }
}

fn tags<'a>(headers: &'a HeaderMap, name: &axum::http::HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn is_version(tag: &str, version: u64) -> bool {
    tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).is_some_and(|tag| tag.parse() == Ok(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: axum::http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_current_version_is_recognised_by_its_tag() {
        assert!(has_current_version(&headers(IF_NONE_MATCH, "W/\"3\", \"4\""), 3));
        assert!(!has_current_version(&headers(IF_NONE_MATCH, "\"3\""), 4));
        assert!(!has_current_version(&HeaderMap::new(), 4));
    }

    #[test]
    fn a_change_of_a_stale_version_is_rejected() {
        assert_eq!(expected_version(&headers(IF_MATCH, "\"1\", \"2\""), 2).unwrap(), Some(2));
        assert_eq!(expected_version(&headers(IF_MATCH, "*"), 2).unwrap(), None);
        assert_eq!(expected_version(&HeaderMap::new(), 2).unwrap(), None);
        assert_eq!(expected_version(&headers(IF_MATCH, "\"1\""), 2).unwrap_err().status(), 412);
        assert_eq!(expected_version(&headers(IF_MATCH, "W/\"2\""), 2).unwrap_err().status(), 412);
    }
}
