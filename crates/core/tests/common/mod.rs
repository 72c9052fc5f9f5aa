//! What the tests of the core share: a small system to run, a store that fails on demand, and a world with a clock moved
//! by hand.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub mod shared_world;
pub mod store;
pub mod system;
pub mod world;
