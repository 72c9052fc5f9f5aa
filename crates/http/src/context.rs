//! Who asks, under which request id and in which trace: taken from the headers or made, and carried on every event.

use std::sync::Arc;

use axum::http::{Extensions, HeaderMap};
use kernel::event::Cause;
use uuid::Uuid;

/// The circumstances of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestContext {
    /// `X-Request-Id`, returned with every answer.
    pub request_id: String,
    /// W3C `traceparent`.
    pub traceparent: String,
    /// Who asks.
    pub actor: String,
}

/// Who asks, as found out by authentication; it wins over what `X-Pabal-User` says. Put into a request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor(pub Arc<str>);

const LONGEST_REQUEST_ID: usize = 128;
const LONGEST_ACTOR: usize = 128;

impl RequestContext {
    /// The context that an outer layer has put into the extensions, or a new one from the headers.
    pub fn of(headers: &HeaderMap, extensions: &Extensions) -> Self {
        if let Some(context) = extensions.get::<Self>() {
            return context.clone();
        }
        let actor = extensions.get::<Actor>().map(|actor| actor.0.to_string());
        Self::take(headers, actor)
    }

    /// Takes what the headers say where it is sound, and makes the rest. One random number serves both ids.
    pub fn take(headers: &HeaderMap, actor: Option<String>) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        let fresh = Uuid::now_v7();
        let sound_id = |id: &&str| (1..=LONGEST_REQUEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        let request_id = text("x-request-id").filter(sound_id).map_or_else(|| fresh.to_string(), str::to_owned);
        let traceparent = text("traceparent").filter(|trace| is_traceparent(trace));
        let traceparent = traceparent.map_or_else(|| make_traceparent(fresh), str::to_owned);
        let sound_actor = |name: &&str| (1..=LONGEST_ACTOR).contains(&name.len()) && !name.chars().any(char::is_control);
        let named = || text("x-pabal-user").map(str::trim).filter(sound_actor).unwrap_or("anonymous").to_owned();
        Self { request_id, traceparent, actor: actor.unwrap_or_else(named) }
    }

    /// What travels with a command.
    pub fn cause(&self) -> Cause {
        Cause {
            actor: self.actor.clone(),
            request: self.request_id.clone(),
            causation: String::new(),
            trace: self.traceparent.clone(),
        }
    }
}

fn make_traceparent(fresh: Uuid) -> String {
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
    fn sound_ids_are_taken_as_they_are() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context =
            RequestContext::take(&headers(&[("x-request-id", "r-1"), ("traceparent", trace), ("x-pabal-user", "kim")]), None);
        assert_eq!(context, RequestContext { request_id: "r-1".into(), traceparent: trace.into(), actor: "kim".into() });
    }

    #[test]
    fn unsound_ids_are_made_anew() {
        let long = "x".repeat(129);
        let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let context = RequestContext::take(&headers(&[("x-request-id", &long), ("traceparent", zero)]), None);
        assert_ne!(context.request_id, long);
        assert!(is_traceparent(&context.traceparent) && context.traceparent != zero);
        assert_eq!(context.actor, "anonymous");
    }

    #[test]
    fn an_authenticated_actor_cannot_be_talked_over() {
        let context = RequestContext::take(&headers(&[("x-pabal-user", "admin")]), Some("kim".into()));
        assert_eq!(context.actor, "kim");
    }
}
