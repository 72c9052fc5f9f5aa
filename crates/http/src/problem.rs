//! What went wrong, as RFC 9457 `application/problem+json`: the one map from the four families of error to HTTP.

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
use crate::problem_types::{self, ProblemType, title};

/// A problem on its way to the client, of one of the machine's [types](crate::problem_types) or of somebody's own. Boxed, because it travels in every `Result` beside much smaller answers.
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
    /// A problem of the machine's own.
    pub fn of(kind: ProblemType, detail: impl Into<String>) -> Self {
        Self::new(kind.status, kind.slug, detail)
    }

    /// A problem with a stable slug of its own; the slug's words are its title.
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

    /// 400, the fault being in fields.
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let detail = errors.iter().map(|error| format!("{}: {}", error.field, error.detail)).collect::<Vec<_>>().join("; ");
        let mut problem = Self::of(problem_types::MALFORMED, detail);
        problem.0.errors = errors;
        problem
    }

    /// 400, the fault being in one field or parameter.
    pub fn field(field: &str, code: &'static str, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError { field: field.to_owned(), code: Cow::Borrowed(code), detail: detail.into() }])
    }

    /// 404 for an entity or a path.
    pub fn absent(detail: impl Into<String>) -> Self {
        Self::of(problem_types::ABSENT, detail)
    }

    /// 405 with what is allowed.
    pub fn method_not_allowed(allow: String) -> Self {
        let detail = format!("this resource takes {allow}");
        let mut problem = Self::of(problem_types::METHOD_NOT_ALLOWED, detail);
        problem.0.allow = Some(allow);
        problem
    }

    /// 500. What is inside is logged here, once, and not told.
    pub fn fault(inner: &dyn std::fmt::Display) -> Self {
        tracing::error!(error.detail = %inner, "a request failed by a fault of the program");
        Self::of(problem_types::INTERNAL, "this should not have happened; it has been logged")
    }

    /// Says when to come again.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Adds a member of the problem's own.
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.0.extra.insert(name.to_owned(), value);
        self
    }

    /// The status it answers.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Its stable slug.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The answer to the request with that context and path.
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
    fn from(failure: CommandError) -> Self {
        let detail = failure.to_string();
        match failure {
            CommandError::Rejected(rejected) => rejected.into(),
            CommandError::Absent => Self::absent(detail),
            CommandError::Stale => Self::of(problem_types::STALE, detail),
            CommandError::IdTaken => Self::of(problem_types::ID_TAKEN, detail),
            CommandError::KeyReused => Self::of(problem_types::IDEMPOTENCY_KEY_REUSED, detail),
            CommandError::InFlight => Self::of(problem_types::IN_FLIGHT, detail).retry_after(1),
            // The queue empties within moments, and the client has done nothing wrong: 503 rather than 429.
            CommandError::Overloaded => Self::of(problem_types::OVERLOADED, detail).retry_after(1),
            CommandError::Unavailable(inner) => {
                tracing::warn!(error.detail = %inner, "a command was not taken");
                Self::of(problem_types::UNAVAILABLE, "the service cannot take this now; nothing has changed").retry_after(2)
            }
            CommandError::Unsettled => Self::of(problem_types::UNSETTLED, detail).retry_after(1),
            CommandError::Fault(inner) => Self::fault(&inner),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(inner) => {
                tracing::warn!(error.detail = %inner, "the store did not answer a reader");
                Self::of(problem_types::UNAVAILABLE, "the service cannot answer this now").retry_after(2)
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
    fn a_refusal_keeps_its_code_and_its_kind_becomes_the_status() {
        let problem = Problem::from(Rejected::conflict("name-taken", "the id is taken"));
        assert_eq!(problem.status(), StatusCode::CONFLICT);
        assert_eq!(problem.code(), "name-taken");
    }

    #[test]
    fn a_full_queue_asks_to_come_again() {
        let problem = Problem::from(CommandError::Overloaded);
        let response = problem.respond(&RequestContext::default(), "/things");
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
    }

    #[test]
    fn a_fault_tells_nothing_of_what_is_inside() {
        let problem = Problem::from(CommandError::Fault("password is hunter2".into()));
        assert!(!problem.0.detail.contains("hunter2"));
        assert_eq!(problem.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
