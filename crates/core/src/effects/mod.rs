//! Effects after their commit: which is called next, what an unknown outcome means, what is withdrawn.

mod lanes;

use std::collections::{BTreeMap, VecDeque};

use kernel::{DelayedReply, Outcome, Reaction, RetrySafety};

use ports::{EffectRow, Store, StoreError, TableId};

use crate::limits::Limits;
use crate::request::EffectJob;
use lanes::Lanes;

/// An effect that has ended, to be told to its aggregate.
pub struct EndedEffect {
    /// The effect.
    pub row: EffectRow,
    /// How it ended.
    pub outcome: Outcome<Vec<u8>>,
    /// What follows the reply by itself.
    pub later: Vec<DelayedReply<Vec<u8>>>,
}

/// An effect that has not ended.
struct OpenEffect {
    row: EffectRow,
    attempt: u32,
    asking: bool,
    /// A call may have arrived whose reply did not: one that timed out, or one of an earlier instance.
    unknown: bool,
}

/// All effects that have not ended, up to a bound; the rest waits in the store.
pub struct Effects {
    ready: VecDeque<OpenEffect>,
    running: BTreeMap<u64, OpenEffect>,
    delayed: BTreeMap<(i64, u64), OpenEffect>,
    lanes: Lanes,
    retry_safety: BTreeMap<String, RetrySafety>,
    /// The store has effects after `loaded_until` that are not in memory.
    spilled: bool,
    loaded_until: u64,
    /// Effects up to this number may have been called by an earlier instance.
    recovered_until: u64,
    limit: usize,
    calls: usize,
    attempts: u32,
    retry_ms: i64,
}

impl Effects {
    /// With what the adapters of the ports promise.
    pub fn new(limits: &Limits, retry_safety: BTreeMap<String, RetrySafety>) -> Self {
        Self {
            ready: VecDeque::new(),
            running: BTreeMap::new(),
            delayed: BTreeMap::new(),
            lanes: Lanes::new(&limits.lanes),
            retry_safety,
            spilled: true,
            loaded_until: 0,
            recovered_until: 0,
            limit: limits.effects.max(1),
            calls: limits.calls.max(1),
            attempts: limits.attempts.max(1),
            retry_ms: limits.call_retry_ms.max(1),
        }
    }

    /// Begins, or begins again, with nothing in memory: effects up to this number may have been called before.
    pub fn begin(&mut self, recovered_until: u64) {
        self.ready.clear();
        self.running.clear();
        self.delayed.clear();
        (self.spilled, self.loaded_until, self.recovered_until) = (true, 0, recovered_until);
    }

    /// How many more memory may hold.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.len())
    }

    /// Adopts the effects of an instance whose lease has run out: which of them were called is unknown.
    pub fn adopt(&mut self, rows: Vec<EffectRow>) -> Vec<EndedEffect> {
        rows.into_iter().filter_map(|row| self.hold(row, true)).collect()
    }

    /// How many are in memory.
    pub fn len(&self) -> usize {
        self.ready.len() + self.running.len() + self.delayed.len()
    }

    /// The store has more, and there is room for it.
    pub fn needs_refill(&self) -> bool {
        self.spilled && self.len() < self.limit.div_ceil(2)
    }

    /// Takes over what was just committed. What exceeds the bound waits in the store.
    pub fn accept(&mut self, rows: Vec<EffectRow>) -> Vec<EndedEffect> {
        let mut ended = Vec::new();
        for row in rows {
            if self.spilled || self.len() >= self.limit {
                self.spilled = true;
            } else {
                self.loaded_until = row.number;
                let unknown = row.number <= self.recovered_until;
                ended.extend(self.hold(row, unknown));
            }
        }
        ended
    }

    /// Fetches from the store what exceeded the bound, or what an earlier instance left.
    pub fn refill(&mut self, store: &mut dyn Store) -> Result<Vec<EndedEffect>, StoreError> {
        let mut ended = Vec::new();
        if self.needs_refill() {
            let room = self.limit - self.len();
            let rows = store.effects_after(self.loaded_until, room)?;
            self.spilled = rows.len() == room;
            for row in rows {
                self.loaded_until = row.number;
                let unknown = row.number <= self.recovered_until;
                ended.extend(self.hold(row, unknown));
            }
        }
        Ok(ended)
    }

    fn hold(&mut self, row: EffectRow, unknown: bool) -> Option<EndedEffect> {
        let safety = self.safety(&row.port);
        if row.withdrawn && !unknown {
            return Some(EndedEffect { row, outcome: Outcome::Withdrawn, later: Vec::new() });
        }
        if unknown && safety == RetrySafety::Never {
            return Some(EndedEffect { row, outcome: Outcome::Unknown, later: Vec::new() });
        }
        let asking = unknown && safety == RetrySafety::Queryable;
        self.ready.push_back(OpenEffect { row, attempt: 0, asking, unknown });
        None
    }

    fn safety(&self, port: &str) -> RetrySafety {
        self.retry_safety.get(port).copied().unwrap_or(RetrySafety::Never)
    }

    /// The calls to make now.
    pub fn dispatch(&mut self, now_ms: i64) -> Vec<EffectJob> {
        let waiting = self.delayed.split_off(&(now_ms.saturating_add(1), 0));
        for open in std::mem::replace(&mut self.delayed, waiting).into_values().rev() {
            self.ready.push_front(open);
        }
        let mut jobs = Vec::new();
        while self.running.len() < self.calls {
            let Some(mut open) = self.ready.pop_front() else { break };
            if let Err(at_ms) = self.lanes.take(&open.row.port, open.row.lane.as_deref(), now_ms) {
                self.delayed.insert((at_ms, open.row.number), open);
                continue;
            }
            open.attempt += 1;
            jobs.push(EffectJob {
                number: open.row.number,
                id: open.row.id.clone(),
                port: open.row.port.clone(),
                version: open.row.version,
                payload: open.row.payload.as_slice().into(),
                attempt: open.attempt,
                asking: open.asking,
            });
            self.running.insert(open.row.number, open);
        }
        jobs
    }

    /// When there is something to do without any input, milliseconds since 1970.
    pub fn next_ms(&self) -> Option<i64> {
        self.delayed.first_key_value().map(|((at_ms, _), _)| *at_ms)
    }

    /// Something waits to be called and there is room.
    pub fn busy(&self) -> bool {
        !self.ready.is_empty() && self.running.len() < self.calls
    }

    /// What a call came to: an end, or another call later. A reaction to an earlier attempt changes nothing.
    pub fn reacted(&mut self, (number, attempt): (u64, u32), reaction: Reaction<Vec<u8>>, now_ms: i64) -> Option<EndedEffect> {
        if self.running.get(&number)?.attempt != attempt {
            return None;
        }
        let mut open = self.running.remove(&number)?;
        let end = |open: OpenEffect, outcome| Some(EndedEffect { row: open.row, outcome, later: Vec::new() });
        match reaction {
            Reaction::Reply { now, later } => return Some(EndedEffect { row: open.row, outcome: Outcome::Reply(now), later }),
            Reaction::UnknownId if open.row.withdrawn => return end(open, Outcome::Withdrawn),
            Reaction::Unreachable if open.row.withdrawn && !open.unknown => return end(open, Outcome::Withdrawn),
            Reaction::UnknownId => {
                open.asking = false;
                open.unknown = false;
            }
            Reaction::TimedOut => {
                open.unknown = true;
                match self.safety(&open.row.port) {
                    RetrySafety::Never => return end(open, Outcome::Unknown),
                    RetrySafety::Queryable => open.asking = true,
                    RetrySafety::Idempotent => open.asking = false,
                }
            }
            Reaction::Unreachable => {}
        }
        if open.attempt >= self.attempts {
            // The last attempt. Only where no call can have arrived the outcome is certain.
            let certain = matches!(reaction, Reaction::Unreachable) && !open.unknown;
            return end(open, if certain { Outcome::Unreachable } else { Outcome::Unknown });
        }
        let pause_ms = match reaction {
            Reaction::UnknownId => 0,
            _ => self.retry_ms << open.attempt.min(6).saturating_sub(1),
        };
        self.delayed.insert((now_ms.saturating_add(pause_ms), number), open);
        None
    }

    /// Withdraws the effects of an aggregate that were not called.
    pub fn withdraw(&mut self, table: TableId, key: &str) -> Vec<EndedEffect> {
        let mine = |open: &OpenEffect| open.row.table == table && open.row.key == key;
        let everywhere = self.running.values_mut().chain(self.delayed.values_mut()).chain(self.ready.iter_mut());
        everywhere.filter(|open| mine(open)).for_each(|open| open.row.withdrawn = true);
        let waiting: Vec<_> = self.delayed.iter().filter(|(_, open)| mine(open) && !open.unknown).map(|(at, _)| *at).collect();
        let mut taken: Vec<OpenEffect> = waiting.iter().filter_map(|at| self.delayed.remove(at)).collect();
        let (back, rest): (VecDeque<OpenEffect>, _) =
            std::mem::take(&mut self.ready).into_iter().partition(|open| mine(open) && !open.unknown);
        self.ready = rest;
        taken.extend(back);
        taken.into_iter().map(|open| EndedEffect { row: open.row, outcome: Outcome::Withdrawn, later: Vec::new() }).collect()
    }
}
