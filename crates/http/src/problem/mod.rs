//! Errors as RFC 9457 `application/problem+json`: the one map from the four families of error to HTTP.

pub(crate) mod pages;
pub mod types;

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use kernel::event::CodecError;
use kernel::rejection::{FieldError, Kind, Rejected};
use pabal_core::CommandError;
use ports::StoreError;
use serde_json::{Map, Value, json};

use crate::context::RequestContext;
use crate::origin::Origin;
use crate::routing::Route;
pub use types::ProblemType;
use types::title;

/// A problem of one of the platform's [types](crate::problem_types) or with a slug of a service's own. Boxed, because every
/// `Result` of a handler carries it beside much smaller values.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: String,
    errors: Vec<FieldError>,
    retry_after_s: Option<u32>,
    allow: Option<String>,
    extra: Map<String, Value>,
}

impl Problem {
    /// A problem of one of the platform's types.
    pub fn of_type(kind: ProblemType, detail: impl Into<String>) -> Self {
        Self::new(kind.status, kind.slug, detail)
    }

    /// A problem with a stable slug; the slug's words are its title.
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            status,
            code: code.into(),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s: None,
            allow: None,
            extra: Map::new(),
        }))
    }

    /// 400 for invalid fields.
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let detail = errors.iter().map(|error| format!("{}: {}", error.field, error.detail)).collect::<Vec<_>>().join("; ");
        let mut problem = Self::of_type(types::MALFORMED, detail);
        problem.0.errors = errors;
        problem
    }

    /// 400 for one invalid field or parameter.
    pub fn field(field: &str, code: &'static str, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError { field: field.to_owned(), code: Cow::Borrowed(code), detail: detail.into() }])
    }

    /// 404 for an entity or a path.
    pub fn absent(detail: impl Into<String>) -> Self {
        Self::of_type(types::ABSENT, detail)
    }

    /// 300 where several systems declare a resource of this name, with the address of each.
    pub fn ambiguous<'r>(origin: &Origin<'_>, candidates: impl Iterator<Item = &'r Route>) -> Self {
        let url = origin.url();
        let doors: Vec<Value> =
            candidates.map(|route| json!({"system": route.system, "href": format!("{url}{}", route.path())})).collect();
        let detail = "several systems have a resource of this name: take one of the links in `doors`, or send X-Pabal-System";
        Self::of_type(types::MULTIPLE_CHOICES, detail).with("doors", json!(doors))
    }

    /// 405 with the allowed methods.
    pub fn method_not_allowed(allow: String) -> Self {
        let detail = format!("this resource takes {allow}");
        let mut problem = Self::of_type(types::METHOD_NOT_ALLOWED, detail);
        problem.0.allow = Some(allow);
        problem
    }

    /// 500. The inner error is logged here, once, and not shown to the client.
    pub fn fault(inner: &dyn std::fmt::Display) -> Self {
        tracing::error!(error.detail = %inner, "a request failed because of a defect");
        Self::of_type(types::INTERNAL, "an internal error; it has been logged")
    }

    /// Sets `Retry-After`.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Adds an extension member.
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.0.extra.insert(name.to_owned(), value);
        self
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Its stable slug.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The response to the request with that context and path.
    pub fn respond(self, context: &RequestContext, path: &str) -> Response<Body> {
        let parts = *self.0;
        let mut body = json!({
            "type": format!("/problems/{}", parts.code),
            "title": title(&parts.code),
            "status": parts.status.as_u16(),
            "detail": parts.detail,
            "message": parts.detail,
            "instance": path,
            "requestId": context.request_id,
        });
        if let Value::Object(members) = &mut body {
            if !parts.errors.is_empty() {
                members.insert("errors".into(), json!(parts.errors));
            }
            members.extend(parts.extra);
        }
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = parts.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = parts.retry_after_s {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Some(allow) = parts.allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
            headers.insert(ALLOW, allow);
        }
        response
    }
}

impl From<Rejected> for Problem {
    fn from(rejected: Rejected) -> Self {
        let status = match rejected.kind {
            Kind::Malformed => StatusCode::BAD_REQUEST,
            Kind::Unpaid => StatusCode::PAYMENT_REQUIRED,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::Absent => StatusCode::NOT_FOUND,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::Rule => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let mut problem = Self::new(status, rejected.code, rejected.detail);
        problem.0.errors = rejected.errors;
        problem
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        let detail = error.to_string();
        match error {
            CommandError::Rejected(rejected) => rejected.into(),
            CommandError::Absent => Self::absent(detail),
            CommandError::Stale => Self::of_type(types::STALE, detail),
            CommandError::IdTaken => Self::of_type(types::ID_TAKEN, detail),
            CommandError::KeyReused => Self::of_type(types::IDEMPOTENCY_KEY_REUSED, detail),
            CommandError::InFlight => Self::of_type(types::IN_FLIGHT, detail).retry_after(1),
            // 503 rather than 429: the queue is short of room, the client has not exceeded a limit of its own.
            CommandError::Overloaded => Self::of_type(types::OVERLOADED, detail).retry_after(1),
            CommandError::Unavailable(inner) => {
                tracing::warn!(error.detail = %inner, "a command was not accepted: the service is unavailable");
                Self::of_type(types::UNAVAILABLE, "the service is unavailable; nothing has changed").retry_after(2)
            }
            CommandError::Unsettled => Self::of_type(types::UNSETTLED, detail).retry_after(1),
            CommandError::Fault(inner) => Self::fault(&inner),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(inner) => {
                tracing::warn!(error.detail = %inner, "a read failed: the store is unavailable");
                Self::of_type(types::UNAVAILABLE, "the service is unavailable").retry_after(2)
            }
            StoreError::Fenced | StoreError::Corrupt(_) => Self::fault(&error),
        }
    }
}

impl From<CodecError> for Problem {
    fn from(error: CodecError) -> Self {
        Self::fault(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_keeps_its_code_and_its_kind_becomes_the_status() {
        let problem = Problem::from(Rejected::conflict("name-taken", "the id is taken"));
        assert_eq!(problem.status(), StatusCode::CONFLICT);
        assert_eq!(problem.code(), "name-taken");
    }

    #[test]
    fn a_full_queue_is_unavailable_with_retry_after() {
        let problem = Problem::from(CommandError::Overloaded);
        let response = problem.respond(&RequestContext::default(), "/things");
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
    }

    #[test]
    fn an_internal_error_does_not_show_its_cause() {
        let problem = Problem::from(CommandError::Fault("password is hunter2".into()));
        assert!(!problem.0.detail.contains("hunter2"));
        assert_eq!(problem.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
