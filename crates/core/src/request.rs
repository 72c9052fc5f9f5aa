//! What goes into the core and what comes out of it.

use std::sync::Arc;

use kernel::context::Opaque;
use kernel::event::Cause;
use kernel::rejection::Rejected;
use kernel::{EffectCall, Reaction};
use serde::{Deserialize, Serialize};

use ports::model::TableId;
use ports::{Delivery, Partition};

/// A request, and where its answer goes.
pub struct QueuedCommand {
    /// The driver's number for the answer.
    pub ticket: u64,
    /// What is wanted.
    pub request: CommandRequest,
}

/// A command for one aggregate, and what its sender expects.
pub struct CommandRequest {
    /// The aggregate's table.
    pub table: TableId,
    /// The aggregate's business key.
    pub key: String,
    /// The id that it gets if it comes to be now, where the client may say so.
    pub give_id: Option<u64>,
    /// The typed command.
    pub command: Opaque,
    /// Who and what caused it.
    pub cause: Cause,
    /// Only if the aggregate exists (then a missing one is [`CommandError::Absent`]).
    pub must_exist: bool,
    /// Only if it has this version (`If-Match`).
    pub expected_version: Option<u64>,
    /// The client's idempotency key.
    pub idempotency: Option<Idempotency>,
    /// Answer only when the state afterwards is settled, or when the deadline has passed.
    pub wait: Option<Wait>,
}

/// An idempotency key with what it was used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// Method and resource: keys of different scopes do not meet.
    pub scope: String,
    /// The client's key.
    pub key: String,
    /// Of the whole request.
    pub fingerprint: String,
    /// How long it is remembered, in milliseconds.
    pub keep_ms: i64,
}

/// How long to hold back an answer.
#[derive(Clone)]
pub struct Wait {
    /// Whether the state is what the sender waits for.
    pub settled: Arc<dyn Fn(&Opaque) -> bool + Send + Sync>,
    /// Until when, milliseconds since 1970.
    pub deadline_ms: i64,
}

/// A command that was carried out, or found nothing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandOutcome {
    /// The aggregate came to be by it.
    pub created: bool,
    /// It changed something.
    pub changed: bool,
    /// It is the remembered answer to an earlier request with the same idempotency key.
    pub replayed: bool,
    /// The aggregate's id.
    pub id: u64,
    /// Its version.
    pub version: u64,
    /// Schema version of `state`.
    pub schema: u16,
    /// The state as JSON, `None` if it is gone. Committed, whatever happens next.
    pub state: Option<Arc<str>>,
    /// The same as it was decided, where this process has just done it.
    #[serde(skip)]
    pub typed: Typed,
}

/// A state that need not be read to be shown. What it says its JSON says too: it is not written, and not compared.
#[derive(Clone, Default)]
pub struct Typed(pub Option<Opaque>);

impl PartialEq for Typed {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Typed {}

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "typed" } else { "written" })
    }
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum CommandError {
    /// A rule said no.
    #[error("{}", .0.detail)]
    Rejected(Rejected),
    /// No such aggregate.
    #[error("there is nothing of that name")]
    Absent,
    /// It has another version than was expected.
    #[error("it has changed since it was read")]
    Stale,
    /// The client's id belongs to another aggregate.
    #[error("the id is taken")]
    IdTaken,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The first request with this idempotency key is still being worked on.
    #[error("a request with this idempotency key is in flight")]
    InFlight,
    /// The core has more to do than it may take on.
    #[error("too much at once")]
    Overloaded,
    /// The store does not take it now; nothing has changed.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// It is committed, but not settled before the deadline; it goes on by itself.
    #[error("not settled in time")]
    Unsettled,
    /// A fault of the program.
    #[error("a fault: {0}")]
    Fault(String),
}

/// What goes in.
pub enum Input {
    /// A command from outside.
    Command(Box<QueuedCommand>),
    /// What came of the call of an effect.
    EffectResult {
        /// The effect.
        number: u64,
        /// Which call of it: what an earlier one came to says nothing about the one that is under way.
        attempt: u32,
        /// What came of it.
        reaction: Reaction<Vec<u8>>,
    },
    /// Records of a broker's partition, in order, after what was asked for.
    Delivered {
        /// The partition.
        partition: Partition,
        /// The records.
        deliveries: Vec<Delivery>,
    },
    /// Partitions of a broker are this process's from now on, each with its present end.
    Assigned {
        /// The partitions.
        partitions: Vec<(Partition, u64)>,
    },
    /// Whoever read these partitions before has come so far, and hands them over: known before they are assigned.
    HandedOver {
        /// The positions.
        positions: Vec<(Partition, u64)>,
    },
    /// Partitions are no longer this process's.
    Revoked {
        /// The partitions.
        partitions: Vec<Partition>,
    },
    /// A dead or parked key is tried again now.
    Redrive {
        /// The subscription, or `<system>.<service>@timers` or `…@answers`.
        subscription: String,
        /// The order key.
        key: String,
    },
    /// What is parked first for a key is discarded.
    Discard {
        /// The subscription, or `<system>.<service>@timers` or `…@answers`.
        subscription: String,
        /// The order key.
        key: String,
        /// The position that the administrator saw, so that nothing newer is discarded by mistake.
        position: u64,
    },
    /// A view is built anew from the log, beside the one that serves.
    Rebuild {
        /// The view's name.
        view: String,
    },
    /// A service stops or starts handling events and timers; its log waits for it.
    Pause {
        /// The service's name.
        service: String,
        /// Stop, or start again.
        paused: bool,
    },
}

/// What is to be done outside, after the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Answer a request.
    Reply {
        /// The request's number.
        ticket: u64,
        /// The answer.
        result: Result<CommandOutcome, CommandError>,
    },
    /// Call an effect.
    Call(EffectJob),
    /// Something was committed: readers may look; the log ends here now.
    Committed {
        /// The last position.
        last_seq: u64,
    },
}

/// One call of an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectJob {
    /// The effect.
    pub number: u64,
    /// Its deterministic id.
    pub id: String,
    /// The port.
    pub port: String,
    /// The effect's schema version.
    pub version: u16,
    /// The effect as JSON.
    pub payload: Arc<[u8]>,
    /// Counts from 1.
    pub attempt: u32,
    /// Only the question is allowed.
    pub asking: bool,
}

impl EffectJob {
    /// The call as an effect handler or a channel gets it.
    pub fn call(&self) -> EffectCall<'_> {
        EffectCall { id: &self.id, attempt: self.attempt, asking: self.asking, version: self.version }
    }
}
