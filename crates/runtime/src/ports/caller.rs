//! Caller: request and response between services, where an event would be too late.

use std::future::Future;
use std::pin::Pin;

/// Puts a question or a command to another service and waits for its answer, up to the adapter's deadline.
pub trait Caller: Send + Sync {
    /// `POST`s, `PUT`s … a JSON body to a service's resource; the idempotency key is the same on every repetition.
    fn call<'a>(
        &'a self,
        service: &'a str,
        method: &'a str,
        path: &'a str,
        idempotency_key: &'a str,
        body: &'a [u8],
    ) -> Pin<Box<dyn Future<Output = Result<Answer, CallFailed>> + Send + 'a>>;
}

/// What a service answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallFailed {
    /// Certainly not done.
    #[error("{0} cannot be reached")]
    Unreachable(String),
    /// May have been done.
    #[error("{0} did not answer in time")]
    TimedOut(String),
}
