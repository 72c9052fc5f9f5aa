//! Actor, request id and trace of a request: taken from its headers or generated, and carried on every event.

use std::sync::Arc;

use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use kernel::event::Cause;
use uuid::Uuid;

/// The context of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestContext {
    /// `X-Request-Id`, returned with every response.
    pub request_id: String,
    /// W3C `traceparent`.
    pub traceparent: String,
    /// The actor that commands carry.
    pub actor: String,
}

/// The authenticated actor, in a request's extensions; it takes precedence over `X-Pabal-User`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor(pub Arc<str>);

/// The header that carries the request id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is taken from a client, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;
/// Longest actor that is taken from a header, in bytes.
const MAX_ACTOR_BYTES: usize = 128;

impl RequestContext {
    /// The context that an outer layer has put into the extensions, or one from the headers.
    pub fn from_request(headers: &HeaderMap, extensions: &Extensions) -> Self {
        if let Some(context) = extensions.get::<Self>() {
            return context.clone();
        }
        let actor = extensions.get::<Actor>().map(|actor| actor.0.to_string());
        Self::from_headers(headers, actor)
    }

    /// Takes valid ids from the headers and generates the others; one UUID serves both.
    pub fn from_headers(headers: &HeaderMap, actor: Option<String>) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        let fresh = Uuid::now_v7();
        let is_valid_id =
            |id: &&str| (1..=MAX_REQUEST_ID_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        let request_id = text(REQUEST_ID.as_str()).filter(is_valid_id).map_or_else(|| fresh.to_string(), str::to_owned);
        let traceparent = text("traceparent").filter(|trace| is_traceparent(trace));
        let traceparent = traceparent.map_or_else(|| new_traceparent(fresh), str::to_owned);
        let is_valid_actor = |name: &&str| (1..=MAX_ACTOR_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
        let named = || text("x-pabal-user").map(str::trim).filter(is_valid_actor).unwrap_or("anonymous").to_owned();
        Self { request_id, traceparent, actor: actor.unwrap_or_else(named) }
    }

    /// Writes the request id into the headers of a response.
    pub fn stamp(&self, headers: &mut HeaderMap) {
        headers.extend(HeaderValue::from_str(&self.request_id).ok().map(|id| (REQUEST_ID, id)));
    }

    /// The cause that commands carry.
    pub fn cause(&self) -> Cause {
        Cause {
            actor: self.actor.clone(),
            request: self.request_id.clone(),
            causation: String::new(),
            trace: self.traceparent.clone(),
        }
    }
}

fn new_traceparent(fresh: Uuid) -> String {
    let (_, low) = fresh.as_u64_pair();
    format!("00-{}-{low:016x}-01", fresh.simple())
}

/// `00-<32 hex>-<16 hex>-<2 hex>`, lower case, neither id all zeros.
fn is_traceparent(text: &str) -> bool {
    let lengths = [2, 32, 16, 2];
    let hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let parts: Vec<&str> = text.split('-').take(5).collect();
    parts.len() == 4
        && parts.iter().zip(lengths).all(|(part, length)| part.len() == length && hex(part))
        && parts[0] != "ff"
        && parts[1..3].iter().all(|id| id.bytes().any(|byte| byte != b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn valid_ids_are_taken_as_they_are() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = RequestContext::from_headers(
            &headers(&[("x-request-id", "r-1"), ("traceparent", trace), ("x-pabal-user", "kim")]),
            None,
        );
        assert_eq!(context, RequestContext { request_id: "r-1".into(), traceparent: trace.into(), actor: "kim".into() });
    }

    #[test]
    fn invalid_ids_are_replaced() {
        let long = "x".repeat(129);
        let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let context = RequestContext::from_headers(&headers(&[("x-request-id", &long), ("traceparent", zero)]), None);
        assert_ne!(context.request_id, long);
        assert!(is_traceparent(&context.traceparent) && context.traceparent != zero);
        assert_eq!(context.actor, "anonymous");
    }

    #[test]
    fn an_authenticated_actor_takes_precedence_over_the_header() {
        let context = RequestContext::from_headers(&headers(&[("x-pabal-user", "admin")]), Some("kim".into()));
        assert_eq!(context.actor, "kim");
    }
}
