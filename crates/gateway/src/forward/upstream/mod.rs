//! Upstreams: the replicas of services, in pools, with circuit breakers and health checks.

mod attempt;
mod breaker;
mod failure;
mod health;
pub(super) mod metrics;
mod pool;
mod pools;
mod replica;

pub(super) use failure::Failure;
pub(super) use health::start_checks;
pub(super) use pool::{Pool, Tried};
pub(super) use pools::Pools;
pub(super) use replica::Upstream;
