//! The problems that the machine itself answers, each a page at `/problems/{slug}`: one table for answers, pages and documents.
//!
//! A rule of a service has a slug of its own, which only the service knows; its page says just that.

use axum::http::StatusCode;

/// A sort of problem: what it is called, and what a person should know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProblemType {
    /// Stable; `type` is `/problems/` and this.
    pub slug: &'static str,
    /// The status it is answered with.
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
        "Something in the request cannot be read as what it should be.",
        "`errors` names every field or parameter at fault. Correct them; the same request will be refused again.";
    MALFORMED_JSON = BAD_REQUEST "malformed-json":
        "The body is not JSON in UTF-8, or is nested too deep.",
        "Check quotes, commas and the character set; `detail` says where reading stopped.";
    MALFORMED_FORM = BAD_REQUEST "malformed-form":
        "The body or the query is not a form in UTF-8.",
        "Escape everything but letters and digits as percent signs and UTF-8 bytes.";
    MALFORMED_IDEMPOTENCY_KEY = BAD_REQUEST "malformed-idempotency-key":
        "The header `Idempotency-Key` is empty, too long, or has characters that cannot be seen.",
        "Send a random key, such as a UUID, and the same one with each repetition.";
    INCOMPLETE_BODY = BAD_REQUEST "incomplete-body":
        "The connection ended before the body did. Nothing has changed.",
        "Send it again.";
    ORIGIN_NOT_ALLOWED = FORBIDDEN "origin-not-allowed":
        "A page of another origin asked, and that origin is not on the list.",
        "Whoever runs this adds the origin to `gateway.allowed_origins`.";
    ABSENT = NOT_FOUND "absent":
        "There is nothing of that name, or not any more.",
        "Follow links instead of making up addresses; `/docs` lists every path.";
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED "method-not-allowed":
        "The resource is there and does not take this method: some are changed by what happens, not by clients.",
        "The header `Allow` lists what it takes.";
    IN_FLIGHT = CONFLICT "in-flight":
        "The first request with this `Idempotency-Key` is still being worked on.",
        "Come again after `Retry-After` seconds with the same key; the first request's answer will be there.";
    NOT_ALLOWED_NOW = CONFLICT "not-allowed-now":
        "The action does not fit the present state.",
        "Read the entity again: its `_links` show what may be done now.";
    ID_TAKEN = CONFLICT "id-taken":
        "The id that the request gave belongs to another entity.",
        "Leave the id out, and one is given.";
    NOT_THE_FIRST = CONFLICT "not-the-first":
        "Another event than the one that was seen stands first for this key. Nothing was discarded.",
        "Look at the list of dead letters again, and decide about the one that stands first now.";
    REBUILD_RUNNING = CONFLICT "rebuild-running":
        "A view of this system is being built anew, and one at a time is.",
        "Wait until `/admin/followers` shows no rebuild; the view that serves goes on serving.";
    STALE = PRECONDITION_FAILED "stale":
        "It has changed since it was read, and the request insists on what it was (`If-Match`).",
        "Read it again, look whether the change still makes sense, and send it with the new `ETag`.";
    TOO_LARGE = PAYLOAD_TOO_LARGE "too-large":
        "The body is larger than is taken here.",
        "Send less at once; `detail` names the limit.";
    UNSUPPORTED_MEDIA_TYPE = UNSUPPORTED_MEDIA_TYPE "unsupported-media-type":
        "The body's media type or character set is not taken.",
        "Send JSON in UTF-8, as `application/json`.";
    IDEMPOTENCY_KEY_REUSED = UNPROCESSABLE_ENTITY "idempotency-key-reused":
        "The `Idempotency-Key` was used before, for another request.",
        "A key belongs to one request and its repetitions: make a new one for a new request.";
    TOO_MANY_REQUESTS = TOO_MANY_REQUESTS "too-many-requests":
        "One client has asked more often than it may.",
        "Come again after `Retry-After` seconds, and slower from then on.";
    HEADER_TOO_LARGE = REQUEST_HEADER_FIELDS_TOO_LARGE "header-too-large":
        "The request's target and header fields are too long together.",
        "Send fewer or shorter fields; cookies of other applications on the same host are the usual reason.";
    INTERNAL = INTERNAL_SERVER_ERROR "internal":
        "A fault of the program. It has been logged.",
        "Tell whoever runs this the `requestId`; the log has the rest under it.";
    BAD_GATEWAY = BAD_GATEWAY "bad-gateway":
        "The service behind this door broke the connection off before it had answered; `detail` says whether something may have happened.",
        "Repeat with the same `Idempotency-Key`, or read first what has come of it.";
    OVERLOADED = SERVICE_UNAVAILABLE "overloaded":
        "More is asked at once than the service takes on. Nothing has changed.",
        "Come again after `Retry-After` seconds.";
    UNAVAILABLE = SERVICE_UNAVAILABLE "unavailable":
        "The service cannot take this now: it is paused or stopping, or its store does not answer. Nothing has changed.",
        "Come again after `Retry-After` seconds.";
    UNSETTLED = SERVICE_UNAVAILABLE "unsettled":
        "The request was accepted and is safe; what it waits for has not come about in time, and goes on by itself.",
        "Ask again with the same `Idempotency-Key`, or read the entity later. Do not send it as a new request.";
    TIMED_OUT = SERVICE_UNAVAILABLE "timed-out":
        "The answer took too long. What was asked may still come about.",
        "Read before asking again, or repeat with the same `Idempotency-Key`.";
    SERVICE_UNAVAILABLE = SERVICE_UNAVAILABLE "service-unavailable":
        "The service behind this door cannot be reached now; `detail` says whether something may have happened. The others go on.",
        "Come again after `Retry-After` seconds.";
    GATEWAY_TIMEOUT = GATEWAY_TIMEOUT "gateway-timeout":
        "The service behind this door did not answer in time. What was asked may still come about.",
        "Repeat with the same `Idempotency-Key`, or read first what has come of it.";
}

/// The one of that slug.
pub(crate) fn of(slug: &str) -> Option<&'static ProblemType> {
    ALL.iter().find(|kind| kind.slug == slug)
}

/// Whether it could be a slug at all: words in lower case with hyphens between them.
pub(crate) fn is_slug(text: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    text.len() <= LONGEST && text.split('-').all(word)
}

const LONGEST: usize = 64;

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
    fn every_slug_is_one_and_is_there_once() {
        assert!(ALL.iter().all(|kind| is_slug(kind.slug) && kind.means.ends_with('.') && kind.what_to_do.ends_with('.')));
        assert!(ALL.iter().all(|kind| ALL.iter().filter(|other| other.slug == kind.slug).count() == 1));
        assert!(ALL.is_sorted_by_key(|kind| kind.status));
    }

    #[test]
    fn what_could_not_be_a_slug_is_none() {
        assert!(is_slug("name-taken") && is_slug("n2"));
        for text in ["", "-", "a-", "a--b", "A", "<b>", "a/b", &"a".repeat(65)] {
            assert!(!is_slug(text), "{text}");
        }
        assert_eq!(title("name-taken"), "Name taken");
    }
}
