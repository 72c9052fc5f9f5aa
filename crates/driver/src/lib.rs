//! The driver: one writer thread per system, which owns the core and its store; every other thread and task talks to it
//! through [`Engine`].
//!
//! ```text
//!   Engine ── Message ──▶ writer: take messages ─▶ fetch deliveries ─▶ core.turn ─▶ actions ──▶ replies, effects, status
//!   GroupMembership ─────▶  (assigned and revoked partitions take the same way)
//!   RelayThread: outbox ─▶ publisher, beside it
//! ```

mod engine;
mod group_membership;
mod message;
mod relay_thread;
mod start;
mod system;
mod topics;
mod writer;

pub use engine::Engine;
pub use relay_thread::{RelayStatus, RelayThread, RelayWatch};
pub use start::{EngineOptions, StartError};
pub use system::{SystemClock, Uuids};
pub use topics::Topics;
