//! Channel: the far side of effects, where it is more than a pure function.

use std::future::Future;
use std::pin::Pin;

use kernel::{EffectCall, Reaction, RetrySafety};

/// A far side that takes time. One call is one attempt; repeating is the core's business.
pub trait Channel: Send + Sync {
    /// What may be done about an unknown outcome.
    fn repeat(&self) -> RetrySafety;
    /// Calls, or asks. Effects and replies are JSON.
    fn call<'a>(&'a self, effect: &'a [u8], call: EffectCall<'a>)
    -> Pin<Box<dyn Future<Output = Reaction<Vec<u8>>> + Send + 'a>>;
}
