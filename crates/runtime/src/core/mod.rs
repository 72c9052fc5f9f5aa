//! The core: a state machine that turns commands, events, answers and due timers into commits and actions.

mod request;

pub use request::{Action, Done, Failure, FarJob, Idempotency, Input, Request, Wait};
