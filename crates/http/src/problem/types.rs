//! The problem types of the platform, each a page at `/problems/{slug}`: one table for responses, pages and documents.
//!
//! A rule of a service has a slug of its own, which only the service knows; its page says that.

use axum::http::StatusCode;

/// A problem type: its slug, its status, and its explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProblemType {
    /// Stable; `type` is `/problems/` and this.
    pub slug: &'static str,
    /// Its status.
    pub status: StatusCode,
    /// What has happened.
    pub means: &'static str,
    /// What to do about it.
    pub what_to_do: &'static str,
}

macro_rules! problem_types {
    ($($name:ident = $status:ident $slug:literal: $means:literal, $what_to_do:literal;)*) => {
        $(
            #[doc = $means]
            pub const $name: ProblemType =
                ProblemType { slug: $slug, status: StatusCode::$status, means: $means, what_to_do: $what_to_do };
        )*
        /// All of them, by status.
        pub const ALL: &[ProblemType] = &[$($name),*];
    };
}

problem_types! {
    MULTIPLE_CHOICES = MULTIPLE_CHOICES "multiple-choices":
        "Several systems that run here have a resource of this name.",
        "Take one of the `doors` that the answer lists, or name the system in the header `X-Pabal-System`.";
    MALFORMED = BAD_REQUEST "malformed":
        "A field or parameter of the request is invalid.",
        "`errors` names every invalid field or parameter. Correct them; the same request will be rejected again.";
    MALFORMED_JSON = BAD_REQUEST "malformed-json":
        "The body is not JSON in UTF-8, or is nested too deep.",
        "Check quotes, commas and the character set; `detail` says where parsing stopped.";
    MALFORMED_FORM = BAD_REQUEST "malformed-form":
        "The body or the query is not a form in UTF-8.",
        "Escape everything but letters and digits as percent signs and UTF-8 bytes.";
    MALFORMED_IDEMPOTENCY_KEY = BAD_REQUEST "malformed-idempotency-key":
        "The header `Idempotency-Key` is empty, too long, or has characters that are not visible ASCII.",
        "Send a random key, such as a UUID, and the same one with each retry.";
    INCOMPLETE_BODY = BAD_REQUEST "incomplete-body":
        "The connection ended before the body did. Nothing has changed.",
        "Send it again.";
    ORIGIN_NOT_ALLOWED = FORBIDDEN "origin-not-allowed":
        "The request comes from a page of an origin that is not allowed.",
        "An operator adds the origin to `gateway.allowed_origins`.";
    ABSENT = NOT_FOUND "absent":
        "Nothing of that name exists, or no longer.",
        "Follow links instead of constructing addresses; `/docs` lists every path.";
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED "method-not-allowed":
        "The resource exists and does not allow this method: some change through events only.",
        "The header `Allow` lists the methods that it allows.";
    IN_FLIGHT = CONFLICT "in-flight":
        "The first request with this `Idempotency-Key` is still being worked on.",
        "Retry after `Retry-After` seconds with the same key; the response will be that of the first request.";
    NOT_ALLOWED_NOW = CONFLICT "not-allowed-now":
        "The action is not allowed in the present state.",
        "Read the entity again: its `_links` show the actions that are allowed now.";
    ID_TAKEN = CONFLICT "id-taken":
        "The id in the request belongs to another entity.",
        "Leave the id out, and one is assigned.";
    NOT_THE_FIRST = CONFLICT "not-the-first":
        "The position in the request is not the first one that is parked for this key. Nothing was discarded.",
        "List the dead letters again, and decide about the first one of the key.";
    REBUILD_RUNNING = CONFLICT "rebuild-running":
        "A view of this system is being rebuilt, and only one can be at a time.",
        "Wait until `/admin/subscriptions` shows no rebuild; the present view serves meanwhile.";
    STALE = PRECONDITION_FAILED "stale":
        "It has changed since it was read, and the request is conditional on the earlier version (`If-Match`).",
        "Read it again, check whether the change still applies, and send it with the new `ETag`.";
    TOO_LARGE = PAYLOAD_TOO_LARGE "too-large":
        "The body is larger than the limit.",
        "Send a smaller body; `detail` names the limit.";
    UNSUPPORTED_MEDIA_TYPE = UNSUPPORTED_MEDIA_TYPE "unsupported-media-type":
        "The body's media type or character set is not supported.",
        "Send JSON in UTF-8, as `application/json`.";
    IDEMPOTENCY_KEY_REUSED = UNPROCESSABLE_ENTITY "idempotency-key-reused":
        "The `Idempotency-Key` was used before, for another request.",
        "A key belongs to one request and its retries: generate a new one for a new request.";
    TOO_MANY_REQUESTS = TOO_MANY_REQUESTS "too-many-requests":
        "The client has exceeded its request rate.",
        "Retry after `Retry-After` seconds, and at a lower rate from then on.";
    HEADER_TOO_LARGE = REQUEST_HEADER_FIELDS_TOO_LARGE "header-too-large":
        "The request's target and header fields are too long together.",
        "Send fewer or shorter fields; cookies of other applications on the same host are the usual reason.";
    INTERNAL = INTERNAL_SERVER_ERROR "internal":
        "A defect of the program. It has been logged.",
        "Report the `requestId` to an operator; the log has the details under it.";
    BAD_GATEWAY = BAD_GATEWAY "bad-gateway":
        "The service behind the gateway closed the connection before it had responded; `detail` says whether the request may have taken effect.",
        "Retry with the same `Idempotency-Key`, or read the entity first.";
    OVERLOADED = SERVICE_UNAVAILABLE "overloaded":
        "The service has more concurrent requests than it accepts. Nothing has changed.",
        "Retry after `Retry-After` seconds.";
    UNAVAILABLE = SERVICE_UNAVAILABLE "unavailable":
        "The service is paused or stopping, or its store does not respond. Nothing has changed.",
        "Retry after `Retry-After` seconds.";
    UNSETTLED = SERVICE_UNAVAILABLE "unsettled":
        "The request was accepted and is durable; the external system that it waits for has not responded in time, and processing continues.",
        "Retry with the same `Idempotency-Key`, or read the entity later. Do not send it as a new request.";
    TIMED_OUT = SERVICE_UNAVAILABLE "timed-out":
        "The request timed out. It may still take effect.",
        "Read the entity before retrying, or retry with the same `Idempotency-Key`.";
    SERVICE_UNAVAILABLE = SERVICE_UNAVAILABLE "service-unavailable":
        "The service behind the gateway cannot be reached; `detail` says whether the request may have taken effect. Other services are not affected.",
        "Retry after `Retry-After` seconds.";
    GATEWAY_TIMEOUT = GATEWAY_TIMEOUT "gateway-timeout":
        "The service behind the gateway did not respond in time. The request may still take effect.",
        "Retry with the same `Idempotency-Key`, or read the entity first.";
}

/// The type with this slug.
pub(crate) fn by_slug(slug: &str) -> Option<&'static ProblemType> {
    ALL.iter().find(|kind| kind.slug == slug)
}

/// Whether a text has the form of a slug: lower-case words joined by hyphens.
pub(crate) fn is_slug(text: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    text.len() <= MAX_SLUG_BYTES && text.split('-').all(word)
}

/// Longest slug, in bytes.
const MAX_SLUG_BYTES: usize = 64;

/// `name-taken` → `Name taken`.
pub(crate) fn title(slug: &str) -> String {
    let mut title = slug.replace('-', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slug_is_well_formed_and_unique() {
        assert!(ALL.iter().all(|kind| is_slug(kind.slug) && kind.means.ends_with('.') && kind.what_to_do.ends_with('.')));
        assert!(ALL.iter().all(|kind| ALL.iter().filter(|other| other.slug == kind.slug).count() == 1));
        assert!(ALL.is_sorted_by_key(|kind| kind.status));
    }

    #[test]
    fn malformed_slugs_are_recognised() {
        assert!(is_slug("name-taken") && is_slug("n2"));
        for text in ["", "-", "a-", "a--b", "A", "<b>", "a/b", &"a".repeat(65)] {
            assert!(!is_slug(text), "{text}");
        }
        assert_eq!(title("name-taken"), "Name taken");
    }
}
