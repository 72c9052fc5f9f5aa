#![doc = include_str!("../README.md")]

pub mod core;
pub mod driver;
pub mod memory;
pub mod model;
pub mod ports;
pub mod relay;

pub use crate::core::{
    Action, Core, Done, Failure, FarJob, Idempotency, Input, Limits, Order, Parts, Request, Turn, Typed, Wait,
};
pub use crate::driver::{Engine, EngineOptions, StartError, Status};
pub use crate::model::{Model, Table, TableId};
pub use crate::relay::{Relay, RelayError, Relayed};
