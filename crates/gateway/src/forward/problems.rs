//! What a client is told when a service did not answer: which one, whether something may have happened, and when to come again.

use axum::http::StatusCode;
use http_api::{Problem, problem_types};
use serde_json::json;

use super::load::Fault;
use super::pool::Pool;
use super::upstream::Failure;

/// At most so many seconds a client is sent away for.
const LONGEST_WAIT_S: u64 = 30;

/// No answer came of all tries. `unsure` says that one of them may have taken effect.
pub(crate) fn unanswered(pool: &Pool, failure: Failure, unsure: bool) -> Problem {
    let name = name(pool);
    let outcome = if unsure { "what was asked may still come about" } else { "nothing has changed" };
    let problem = match failure {
        Failure::NotConnected | Failure::LetAlone => {
            let detail = format!("{name} cannot be reached now; {outcome}");
            let wait = pool.opens_in(std::time::Instant::now()).as_secs_f64().ceil();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a few seconds, never below nothing
            let wait = (wait as u64).clamp(1, LONGEST_WAIT_S);
            let problem = Problem::of(problem_types::SERVICE_UNAVAILABLE, detail);
            problem.retry_after(u32::try_from(wait).unwrap_or(1))
        }
        Failure::Busy => overloaded(&name),
        Failure::TimedOut => {
            let detail = format!("{name} did not answer in time; {outcome}");
            Problem::of(problem_types::GATEWAY_TIMEOUT, detail).retry_after(1)
        }
        Failure::Broken => {
            let detail = format!("{name} broke the connection off before it answered; {outcome}");
            Problem::of(problem_types::BAD_GATEWAY, detail)
        }
    };
    named(problem, pool)
}

/// Something before the service answered for it, in no words that a client could read.
pub(crate) fn answered_badly(pool: &Pool, status: StatusCode, unsure: bool) -> Problem {
    let failure = match status {
        StatusCode::SERVICE_UNAVAILABLE => Failure::NotConnected,
        StatusCode::GATEWAY_TIMEOUT => Failure::TimedOut,
        _ => Failure::Broken,
    };
    unanswered(pool, failure, unsure)
}

/// The bulkhead is full.
pub(crate) fn crowded(pool: &Pool) -> Problem {
    named(overloaded(&name(pool)), pool)
}

/// The client's body cannot be passed on.
pub(crate) fn bad_body(fault: Fault) -> Problem {
    match fault {
        Fault::TooLarge => Problem::of(problem_types::TOO_LARGE, "the body is larger than is taken here"),
        Fault::Incomplete => Problem::of(problem_types::INCOMPLETE_BODY, "the body ended before it was complete"),
    }
}

fn overloaded(name: &str) -> Problem {
    let detail = format!("more is asked of {name} at once than it takes; nothing has changed");
    Problem::of(problem_types::OVERLOADED, detail).retry_after(1)
}

fn name(pool: &Pool) -> String {
    format!("the service `{}` of {}", pool.service, pool.system)
}

fn named(problem: Problem, pool: &Pool) -> Problem {
    problem.with("system", json!(pool.system)).with("service", json!(pool.service))
}
