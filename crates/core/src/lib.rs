//! The core: a sans-IO state machine that turns commands, events, effects' answers and due timers into commits and actions.
//!
//! It owns the store's writing side and nothing else: the time comes with each turn, calls of effects and answers to clients
//! leave as [`Action`]s. One turn is one batch: gather what is ready, execute it in memory, commit once, act.
//!
//! ```text
//! Input ──accept──▶ Inbox ─────────gather──▶ Items ──execute──▶ Batch ──commit──▶ applied ──▶ Action
//!                   Effects (answers) ─┤        ▲ rows missing:     │                 │
//!                   Schedule (timers) ─┤        └── load, again ◀───┘                 ├─ not applied ──▶ Recovery
//!                   Subscriptions ─────┤                                              │
//!                   Rebuilds ──────────┘ ◀──────── offsets, parked keys, effects ─────┘
//! ```

mod batch;
mod effects;
mod error;
mod execute;
mod gather;
mod guard;
mod ids;
mod inbox;
mod items;
mod limits;
mod machine;
mod numbering;
mod rebuild;
mod recovery;
mod relay;
mod request;
mod rows;
mod schedule;
mod setup;
mod status;
mod subscriptions;
mod waiters;

pub use limits::Limits;
pub use machine::{Core, CoreOptions, Turn};
pub use relay::{Relay, RelayError, Relayed};
pub use request::{
    Action, CommandError, CommandOutcome, CommandRequest, EffectJob, Idempotency, Input, QueuedCommand, Typed, Wait,
};
pub use status::{ConsumerStatus, RebuildDone, RebuildStatus, Status};
