//! Effects after their commit: who is called next, what an unknown outcome means, what is taken back.

use std::collections::{BTreeMap, VecDeque};

use kernel::{DelayedReply, Outcome, Reaction, RetrySafety};

use super::lanes::Lanes;
use super::limits::Limits;
use super::request::EffectJob;
use ports::model::TableId;
use ports::{EffectRow, Store, StoreError};

/// An effect that has ended, to be told to its aggregate.
pub struct Ended {
    /// The effect.
    pub row: EffectRow,
    /// How it ended.
    pub outcome: Outcome<Vec<u8>>,
    /// What the far side will say later.
    pub later: Vec<DelayedReply<Vec<u8>>>,
}

/// An effect in the hands of the core.
struct Held {
    row: EffectRow,
    attempt: u32,
    asking: bool,
    /// A call may have arrived whose answer did not: one that timed out, or one of a process before this one.
    unknown: bool,
}

/// All effects that have not ended, as far as memory goes; the rest waits in the store.
pub struct Effects {
    ready: VecDeque<Held>,
    running: BTreeMap<u64, Held>,
    paused: BTreeMap<(i64, u64), Held>,
    lanes: Lanes,
    repeats: BTreeMap<String, RetrySafety>,
    /// The store has effects behind `loaded_until` that are not in memory.
    spilled: bool,
    loaded_until: u64,
    /// Effects up to this number may have been called by a process before this one.
    recovered_until: u64,
    most: usize,
    calls: usize,
    attempts: u32,
    retry_ms: i64,
}

impl Effects {
    /// With the ports' promises.
    pub fn new(limits: &Limits, repeats: BTreeMap<String, RetrySafety>) -> Self {
        Self {
            ready: VecDeque::new(),
            running: BTreeMap::new(),
            paused: BTreeMap::new(),
            lanes: Lanes::new(&limits.lanes),
            repeats,
            spilled: true,
            loaded_until: 0,
            recovered_until: 0,
            most: limits.effects.max(1),
            calls: limits.calls.max(1),
            attempts: limits.attempts.max(1),
            retry_ms: limits.call_retry_ms.max(1),
        }
    }

    /// Begins, or begins again, with nothing in hand: effects up to this number are left from before.
    pub fn begin(&mut self, recovered_until: u64) {
        self.ready.clear();
        self.running.clear();
        self.paused.clear();
        (self.spilled, self.loaded_until, self.recovered_until) = (true, 0, recovered_until);
    }

    /// How many more memory may hold.
    pub fn room(&self) -> usize {
        self.most.saturating_sub(self.len())
    }

    /// Takes over what an instance that is dead has left: nobody knows which of it was called.
    pub fn adopt(&mut self, rows: Vec<EffectRow>) -> Vec<Ended> {
        rows.into_iter().filter_map(|row| self.hold(row, true)).collect()
    }

    /// How many are in memory.
    pub fn len(&self) -> usize {
        self.ready.len() + self.running.len() + self.paused.len()
    }

    /// The store has more, and there is room for it.
    pub fn hungry(&self) -> bool {
        self.spilled && self.len() < self.most.div_ceil(2)
    }

    /// Takes over what was just committed. What does not fit waits in the store.
    pub fn accept(&mut self, rows: Vec<EffectRow>) -> Vec<Ended> {
        let mut ended = Vec::new();
        for row in rows {
            if self.spilled || self.len() >= self.most {
                self.spilled = true;
            } else {
                self.loaded_until = row.number;
                let unknown = row.number <= self.recovered_until;
                ended.extend(self.hold(row, unknown));
            }
        }
        ended
    }

    /// Fetches from the store what did not fit, or what a process before this one left.
    pub fn refill(&mut self, store: &mut dyn Store) -> Result<Vec<Ended>, StoreError> {
        let mut ended = Vec::new();
        if self.hungry() {
            let room = self.most - self.len();
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

    fn hold(&mut self, row: EffectRow, unknown: bool) -> Option<Ended> {
        let repeat = self.repeat(&row.port);
        if row.withdrawn && !unknown {
            return Some(Ended { row, outcome: Outcome::Withdrawn, later: Vec::new() });
        }
        if unknown && repeat == RetrySafety::Never {
            return Some(Ended { row, outcome: Outcome::Unknown, later: Vec::new() });
        }
        let asking = unknown && repeat == RetrySafety::Queryable;
        self.ready.push_back(Held { row, attempt: 0, asking, unknown });
        None
    }

    fn repeat(&self, port: &str) -> RetrySafety {
        self.repeats.get(port).copied().unwrap_or(RetrySafety::Never)
    }

    /// The calls to make now.
    pub fn dispatch(&mut self, now_ms: i64) -> Vec<EffectJob> {
        let waiting = self.paused.split_off(&(now_ms.saturating_add(1), 0));
        for held in std::mem::replace(&mut self.paused, waiting).into_values().rev() {
            self.ready.push_front(held);
        }
        let mut jobs = Vec::new();
        while self.running.len() < self.calls {
            let Some(mut held) = self.ready.pop_front() else { break };
            if let Err(at_ms) = self.lanes.take(&held.row.port, held.row.lane.as_deref(), now_ms) {
                self.paused.insert((at_ms, held.row.number), held);
                continue;
            }
            held.attempt += 1;
            jobs.push(EffectJob {
                number: held.row.number,
                id: held.row.id.clone(),
                port: held.row.port.clone(),
                payload: held.row.payload.as_slice().into(),
                attempt: held.attempt,
                asking: held.asking,
            });
            self.running.insert(held.row.number, held);
        }
        jobs
    }

    /// When there is something to do without any input, milliseconds since 1970.
    pub fn next_ms(&self) -> Option<i64> {
        self.paused.first_key_value().map(|((at_ms, _), _)| *at_ms)
    }

    /// Something waits to be called and there is room.
    pub fn busy(&self) -> bool {
        !self.ready.is_empty() && self.running.len() < self.calls
    }

    /// What a call came to: an end, or another call later. An answer to no call of ours is nothing.
    pub fn reacted(&mut self, (number, attempt): (u64, u32), reaction: Reaction<Vec<u8>>, now_ms: i64) -> Option<Ended> {
        if self.running.get(&number)?.attempt != attempt {
            return None;
        }
        let mut held = self.running.remove(&number)?;
        let end = |held: Held, outcome| Some(Ended { row: held.row, outcome, later: Vec::new() });
        match reaction {
            Reaction::Reply { now, later } => return Some(Ended { row: held.row, outcome: Outcome::Reply(now), later }),
            Reaction::UnknownId if held.row.withdrawn => return end(held, Outcome::Withdrawn),
            Reaction::Unreachable if held.row.withdrawn && !held.unknown => return end(held, Outcome::Withdrawn),
            Reaction::UnknownId => {
                held.asking = false;
                held.unknown = false;
            }
            Reaction::TimedOut => {
                held.unknown = true;
                match self.repeat(&held.row.port) {
                    RetrySafety::Never => return end(held, Outcome::Unknown),
                    RetrySafety::Queryable => held.asking = true,
                    RetrySafety::Idempotent => held.asking = false,
                }
            }
            Reaction::Unreachable => {}
        }
        if held.attempt >= self.attempts {
            // Asked or repeated to the end of our patience. Only where no call can have arrived it is certain.
            let certain = matches!(reaction, Reaction::Unreachable) && !held.unknown;
            return end(held, if certain { Outcome::Unreachable } else { Outcome::Unknown });
        }
        let pause_ms = match reaction {
            Reaction::UnknownId => 0,
            _ => self.retry_ms << held.attempt.min(6).saturating_sub(1),
        };
        self.paused.insert((now_ms.saturating_add(pause_ms), number), held);
        None
    }

    /// Takes back what an aggregate has asked for and nobody was called about.
    pub fn withdraw(&mut self, table: TableId, key: &str) -> Vec<Ended> {
        let mine = |held: &Held| held.row.table == table && held.row.key == key;
        let everywhere = self.running.values_mut().chain(self.paused.values_mut()).chain(self.ready.iter_mut());
        everywhere.filter(|held| mine(held)).for_each(|held| held.row.withdrawn = true);
        let waiting: Vec<_> = self.paused.iter().filter(|(_, held)| mine(held) && !held.unknown).map(|(at, _)| *at).collect();
        let mut taken: Vec<Held> = waiting.iter().filter_map(|at| self.paused.remove(at)).collect();
        let (back, rest): (VecDeque<Held>, _) =
            std::mem::take(&mut self.ready).into_iter().partition(|held| mine(held) && !held.unknown);
        self.ready = rest;
        taken.extend(back);
        taken.into_iter().map(|held| Ended { row: held.row, outcome: Outcome::Withdrawn, later: Vec::new() }).collect()
    }
}
