//! One batch in the making: everything its commit will carry, with savepoints to roll back to.

mod commit;

use std::collections::HashMap;
use std::sync::Arc;

use kernel::event::Cause;
use ports::{AnswerRow, EffectRow, OffsetUpdate, ParkedWrite, Record, RowRef, TableId, TimerWrite};

use crate::ids::Queue;
use crate::request::{CommandError, CommandOutcome, Wait};
use crate::subscriptions::HeadChange;

/// What the batch has gathered so far; the rows it changes are in the row cache.
#[derive(Default)]
pub struct Batch {
    /// Events, in order.
    pub log: Vec<Arc<Record>>,
    /// Bytes of these events.
    pub log_bytes: usize,
    /// Effects asked for.
    pub effects: Vec<EffectRow>,
    /// Effects that have ended.
    pub effects_done: Vec<u64>,
    /// Aggregates that withdraw what they asked for before, each with the number of this batch's effects so far.
    pub withdrawn: Vec<(RowRef, usize)>,
    /// Timers set and cleared, in order.
    pub timers: Vec<TimerWrite>,
    /// Parked events, in order.
    pub parked: Vec<ParkedWrite>,
    /// Parked keys whose head changes once this is committed.
    pub heads: Vec<HeadChange>,
    /// Answers to remember.
    pub answers: Vec<AnswerRow>,
    /// Answers to give after the commit.
    pub replies: Vec<Reply>,
    /// What the store remembers of the idempotency keys of this batch's requests, by scope and key; read, not gathered.
    pub known: HashMap<(String, String), Option<AnswerRow>>,
    /// What work of administration adds. Its item is alone in its batch and is not rolled back.
    pub administration: Administration,
}

/// What work of administration changes.
#[derive(Default)]
pub struct Administration {
    /// First offsets of new cursors, or that of a view that is swapped in.
    pub offsets: Vec<OffsetUpdate>,
    /// Tables to empty.
    pub clear: Vec<TableId>,
    /// Two tables that change places.
    pub swap: Option<(TableId, TableId)>,
    /// To be committed even if it is empty.
    pub probe: bool,
}

/// An answer that waits for the commit.
pub struct Reply {
    /// The request's number.
    pub ticket: u64,
    /// The answer.
    pub result: Result<CommandOutcome, CommandError>,
    /// The aggregate that was asked, where the answer waits until it is settled.
    pub held_for: Option<HeldFor>,
}

/// What an answer waits for.
pub struct HeldFor {
    /// The aggregate's table.
    pub table: TableId,
    /// Its key.
    pub key: String,
    /// When it is settled.
    pub wait: Wait,
    /// Scope and key of the request's idempotency key.
    pub idempotency: Option<(String, String)>,
}

/// A point to roll back to.
pub struct Savepoint {
    lengths: [usize; 9],
    log_bytes: usize,
    rows: usize,
}

impl Batch {
    /// Remembers how far the batch has come; `rows` is the row cache's own point.
    pub fn savepoint(&self, rows: usize) -> Savepoint {
        Savepoint { lengths: self.lengths(), log_bytes: self.log_bytes, rows }
    }

    /// Forgets what came after the savepoint and returns the row cache's point.
    pub fn rollback(&mut self, savepoint: &Savepoint) -> usize {
        let [log, effects, done, withdrawn, timers, parked, heads, answers, replies] = savepoint.lengths;
        self.log.truncate(log);
        self.effects.truncate(effects);
        self.effects_done.truncate(done);
        self.withdrawn.truncate(withdrawn);
        self.timers.truncate(timers);
        self.parked.truncate(parked);
        self.heads.truncate(heads);
        self.answers.truncate(answers);
        self.replies.truncate(replies);
        self.log_bytes = savepoint.log_bytes;
        savepoint.rows
    }

    fn lengths(&self) -> [usize; 9] {
        [
            self.log.len(),
            self.effects.len(),
            self.effects_done.len(),
            self.withdrawn.len(),
            self.timers.len(),
            self.parked.len(),
            self.heads.len(),
            self.answers.len(),
            self.replies.len(),
        ]
    }

    /// Whether a commit would change nothing, rows and offsets apart.
    pub fn is_silent(&self) -> bool {
        let [log, effects, done, withdrawn, timers, parked, heads, answers, _] = self.lengths();
        let Administration { offsets, clear, swap, probe } = &self.administration;
        log + effects + done + withdrawn + timers + parked + heads + answers == 0
            && offsets.is_empty()
            && clear.is_empty()
            && swap.is_none()
            && !probe
    }

    /// Appends an event.
    pub fn publish(&mut self, record: Record) {
        self.log_bytes += record.data.len();
        self.log.push(Arc::new(record));
    }

    /// Whether this batch answers a request with this idempotency key only once its aggregate is settled.
    pub fn will_hold(&self, scope: &str, key: &str) -> bool {
        let held = self.replies.iter().filter(|reply| reply.result.is_ok()).filter_map(|reply| reply.held_for.as_ref());
        held.filter_map(|held| held.idempotency.as_ref()).any(|(other, k)| other == scope && k == key)
    }

    /// Whether a timer that was due has been moved or cleared by something earlier in this batch.
    pub fn has_touched_timer(&self, table: TableId, key: &str, name: &str) -> bool {
        self.timers.iter().any(|change| match change {
            TimerWrite::Set(timer) => (timer.table, timer.key.as_str(), timer.name.as_str()) == (table, key, name),
            TimerWrite::Clear { table: other, key: k, name: n, .. } => (*other, k.as_str(), n.as_str()) == (table, key, name),
        })
    }

    /// Whether the head of this key failed in this very batch.
    pub fn has_parked(&self, queue: Queue, key: &str) -> bool {
        self.heads.iter().any(|change| change.queue == queue && change.key == key)
    }
}

/// A command on its way to an aggregate.
pub struct Step<'a> {
    /// The aggregate's table.
    pub table: TableId,
    /// Its key.
    pub key: &'a str,
    /// The id it gets if it comes to be now, where the client named one.
    pub give_id: Option<u64>,
    /// The typed command.
    pub command: &'a kernel::context::Opaque,
    /// What caused it.
    pub cause: &'a Cause,
}
