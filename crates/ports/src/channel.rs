//! Channel: carries out effects outside of this process.

use std::future::Future;
use std::pin::Pin;

use kernel::{EffectCall, Reaction, RetrySafety};

/// An effect handler that takes time. One call is one attempt; retries are up to the core.
pub trait Channel: Send + Sync {
    /// Whether an attempt with an unknown outcome may be retried.
    fn repeat(&self) -> RetrySafety;
    /// Carries the effect out, or queries its outcome. Effects and replies are JSON.
    fn call<'a>(&'a self, effect: &'a [u8], call: EffectCall<'a>)
    -> Pin<Box<dyn Future<Output = Reaction<Vec<u8>>> + Send + 'a>>;
}
