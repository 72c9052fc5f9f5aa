//! One batch in the making: everything its commit will carry, with points to roll back to.

use std::collections::HashMap;
use std::sync::Arc;

use kernel::event::Cause;

use super::parking::Parked;
use super::request::{CommandError, CommandOutcome, Wait};
use ports::model::TableId;
use ports::{AnswerRow, EffectRow, ParkedWrite, Record, RowRef, TimerWrite};

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
    /// Changes of the parking that hold once this is committed: place, key, and its head.
    pub parking: Vec<(usize, String, Parked)>,
    /// Answers to remember.
    pub answers: Vec<AnswerRow>,
    /// Answers to give after the commit.
    pub replies: Vec<Reply>,
    /// What the store remembers of the idempotency keys of this batch's requests, by scope and key; read, not gathered.
    pub known: HashMap<(String, String), Option<AnswerRow>>,
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
pub struct Mark {
    lengths: [usize; 9],
    log_bytes: usize,
    rows: usize,
}

impl Batch {
    /// Remembers how far the batch has come; `rows` is the row cache's mark.
    pub fn mark(&self, rows: usize) -> Mark {
        Mark { lengths: self.lengths(), log_bytes: self.log_bytes, rows }
    }

    /// Forgets what came after the mark and returns the row cache's mark.
    pub fn rollback(&mut self, mark: &Mark) -> usize {
        let [log, effects, done, withdrawn, timers, parked, parking, answers, replies] = mark.lengths;
        self.log.truncate(log);
        self.effects.truncate(effects);
        self.effects_done.truncate(done);
        self.withdrawn.truncate(withdrawn);
        self.timers.truncate(timers);
        self.parked.truncate(parked);
        self.parking.truncate(parking);
        self.answers.truncate(answers);
        self.replies.truncate(replies);
        self.log_bytes = mark.log_bytes;
        mark.rows
    }

    fn lengths(&self) -> [usize; 9] {
        [
            self.log.len(),
            self.effects.len(),
            self.effects_done.len(),
            self.withdrawn.len(),
            self.timers.len(),
            self.parked.len(),
            self.parking.len(),
            self.answers.len(),
            self.replies.len(),
        ]
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
}

/// A command on its way to an aggregate.
pub struct Step<'a> {
    /// The aggregate's table.
    pub table: TableId,
    /// Its key.
    pub key: &'a str,
    /// The id it gets if it comes to be now, where the client said so.
    pub give_id: Option<u64>,
    /// The typed command.
    pub command: &'a kernel::context::Opaque,
    /// Who and what caused it.
    pub cause: &'a Cause,
}
