//! Problems of forwarding: which service, whether the request may have taken effect, and when to retry.

use axum::http::StatusCode;
use http_api::{Problem, problem_types};
use serde_json::json;

use super::body::BodyError;
use crate::forward::upstream::{Failure, Pool};

/// The longest `Retry-After`, in seconds.
const MAX_RETRY_AFTER_S: u64 = 30;

/// No attempt brought a response. `uncertain` says that one of them may have taken effect.
pub(super) fn no_response(pool: &Pool, failure: Failure, uncertain: bool) -> Problem {
    let name = name(pool);
    let outcome = if uncertain { "the request may still take effect" } else { "nothing has changed" };
    let problem = match failure {
        Failure::NotConnected | Failure::CircuitOpen => {
            let detail = format!("{name} cannot be reached; {outcome}");
            let wait = pool.retry_in(std::time::Instant::now()).as_secs_f64().ceil();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a few seconds, never negative
            let wait = (wait as u64).clamp(1, MAX_RETRY_AFTER_S);
            let problem = Problem::of_type(problem_types::SERVICE_UNAVAILABLE, detail);
            problem.retry_after(u32::try_from(wait).unwrap_or(1))
        }
        Failure::Busy => overloaded(&name),
        Failure::TimedOut => {
            let detail = format!("{name} did not respond in time; {outcome}");
            Problem::of_type(problem_types::GATEWAY_TIMEOUT, detail).retry_after(1)
        }
        Failure::Broken => {
            let detail = format!("{name} closed the connection before it responded; {outcome}");
            Problem::of_type(problem_types::BAD_GATEWAY, detail)
        }
    };
    named(problem, pool)
}

/// A gateway error without a readable body, from something in front of the service.
pub(super) fn gateway_error(pool: &Pool, status: StatusCode, uncertain: bool) -> Problem {
    let failure = match status {
        StatusCode::SERVICE_UNAVAILABLE => Failure::NotConnected,
        StatusCode::GATEWAY_TIMEOUT => Failure::TimedOut,
        _ => Failure::Broken,
    };
    no_response(pool, failure, uncertain)
}

/// The bulkhead is full.
pub(super) fn bulkhead_full(pool: &Pool) -> Problem {
    named(overloaded(&name(pool)), pool)
}

/// The client's body cannot be forwarded.
pub(super) fn bad_body(error: BodyError) -> Problem {
    match error {
        BodyError::TooLarge => Problem::of_type(problem_types::TOO_LARGE, "the body exceeds the limit"),
        BodyError::Incomplete => Problem::of_type(problem_types::INCOMPLETE_BODY, "the body ended before it was complete"),
    }
}

fn overloaded(name: &str) -> Problem {
    let detail = format!("{name} has more concurrent requests than it accepts; nothing has changed");
    Problem::of_type(problem_types::OVERLOADED, detail).retry_after(1)
}

fn name(pool: &Pool) -> String {
    format!("the service `{}` of {}", pool.service, pool.system)
}

fn named(problem: Problem, pool: &Pool) -> Problem {
    problem.with("system", json!(pool.system)).with("service", json!(pool.service))
}
