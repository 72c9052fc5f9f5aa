#![doc = include_str!("../README.md")]

pub mod core;
pub mod driver;
pub mod memory;
pub mod model;
pub mod ports;

pub use crate::core::{Action, Done, Failure, FarJob, Idempotency, Input, Request, Wait};
pub use crate::driver::{Engine, Order, Status};
pub use crate::model::{Model, Table, TableId};
