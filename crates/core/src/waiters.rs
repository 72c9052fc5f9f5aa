//! Answers that are held back until the aggregate is settled: the synchronous call's other half.

use std::collections::BTreeMap;

use ports::{Model, RowRef, TableId};

use crate::batch::HeldFor;
use crate::guard::guarded;
use crate::request::{Action, CommandError, CommandOutcome, Typed, Wait};
use crate::rows::{RowCache, state_json};

/// A request whose command is committed and whose answer waits.
struct Waiter {
    ticket: u64,
    outcome: CommandOutcome,
    wait: Wait,
    idempotency: Option<(String, String)>,
}

/// All of them, by aggregate. Their number is bounded by the driver's bound of open requests.
#[derive(Default)]
pub struct Waiters {
    by_row: BTreeMap<(TableId, String), Vec<Waiter>>,
}

impl Waiters {
    /// Holds an answer back.
    pub fn hold(&mut self, ticket: u64, outcome: CommandOutcome, held: HeldFor) {
        let waiter = Waiter { ticket, outcome, wait: held.wait, idempotency: held.idempotency };
        self.by_row.entry((held.table, held.key)).or_default().push(waiter);
    }

    /// Whether the first request with this idempotency key still waits.
    pub fn holds(&self, scope: &str, key: &str) -> bool {
        let mut all = self.by_row.values().flatten().filter_map(|waiter| waiter.idempotency.as_ref());
        all.any(|(other, k)| other == scope && k == key)
    }

    /// The aggregates that are waited for.
    pub fn rows(&self) -> Vec<RowRef> {
        self.by_row.keys().map(|(table, key)| RowRef { table: *table, key: key.clone() }).collect()
    }

    /// The earliest deadline.
    pub fn next_ms(&self) -> Option<i64> {
        self.by_row.values().flatten().map(|waiter| waiter.wait.deadline_ms).min()
    }

    /// Answers those whose aggregate is settled now, and those whose time is up. Without rows, only these:
    /// while the outcome of the last commit is unknown, what is in memory may never be committed.
    pub fn answer(&mut self, model: &Model, rows: Option<&RowCache>, now_ms: i64) -> Vec<Action> {
        let mut actions = Vec::new();
        self.by_row.retain(|(table, key), waiters| {
            let slot = rows.and_then(|rows| rows.get(*table, key)).cloned();
            waiters.retain(|waiter| {
                let state = slot.as_ref().and_then(|slot| slot.state.as_ref());
                let settled = state.is_some_and(|state| guarded("the wait", || (waiter.wait.settled)(state)).unwrap_or(false));
                if !settled && now_ms < waiter.wait.deadline_ms {
                    return true;
                }
                let result = match (settled, &slot) {
                    (true, Some(slot)) => {
                        let json = state.and_then(|state| state_json(model.table_of(*table), state).ok());
                        let typed = Typed(state.cloned());
                        Ok(CommandOutcome { version: slot.version, state: json, typed, ..waiter.outcome.clone() })
                    }
                    _ => Err(CommandError::Unsettled),
                };
                actions.push(Action::Reply { ticket: waiter.ticket, result });
                false
            });
            !waiters.is_empty()
        });
        actions
    }
}
