//! Schedule: what is due by the clock alone. Timers, the heartbeat of the own lease, a look at a shared store, maintenance.

use ports::{Commit, Store, StoreError, TimerRow, TimerWrite};

/// Maintenance comes round so often, in milliseconds.
const MAINTENANCE_MS: i64 = 60_000;

/// A shared store is polled so often for what other instances have set or left, in milliseconds; also the heartbeat.
const POLL_MS: i64 = 1_000;

/// The timers of a paused service are looked at again after so long, in milliseconds.
const PAUSED_MS: i64 = 1_000;

/// When what is due next. All instants are milliseconds since 1970.
#[derive(Debug, Default)]
pub struct Schedule {
    timer: Option<i64>,
    poll: i64,
    heartbeat: i64,
    maintenance: i64,
}

impl Schedule {
    /// With the earliest timer of the store.
    pub fn new(next_timer_ms: Option<i64>) -> Self {
        Self { timer: next_timer_ms, ..Self::default() }
    }

    /// Due timers, at most `room`. The timers of paused services stay, and do not stand before those of the others.
    pub fn take_timers(
        &mut self,
        store: &mut dyn Store,
        now_ms: i64,
        room: usize,
        paused: impl Fn(&TimerRow) -> bool,
    ) -> Result<Vec<TimerRow>, StoreError> {
        if room == 0 || self.timer.is_none_or(|due| due > now_ms) {
            return Ok(Vec::new());
        }
        let mut limit = room;
        let (held, mut ready) = loop {
            let due = store.timers_due(now_ms, limit)?;
            let all = due.len() < limit;
            let (held, ready): (Vec<_>, Vec<_>) = due.into_iter().partition(&paused);
            if all || ready.len() >= room {
                break (held, ready);
            }
            limit = limit.saturating_mul(2);
        };
        ready.truncate(room);
        // What is taken is cleared by this batch's commit, and the commit looks up what is next then.
        self.timer = match (held.is_empty(), ready.is_empty()) {
            (_, false) => None,
            (false, true) => Some(now_ms + PAUSED_MS),
            (true, true) => store.next_timer()?,
        };
        Ok(ready)
    }

    /// Timers may be due now: the store is asked with the next batch.
    pub fn look_for_timers(&mut self, now_ms: i64) {
        self.timer = Some(now_ms);
    }

    /// A service resumes: its timers, if there are any, are looked for at once.
    pub fn resume_timers(&mut self) {
        self.timer = self.timer.and(Some(i64::MIN));
    }

    /// The earliest timer, as the store has it.
    pub fn set_next_timer(&mut self, next_timer_ms: Option<i64>) {
        self.timer = next_timer_ms;
    }

    /// A commit was applied that set or cleared timers.
    pub fn applied(&mut self, commit: &Commit, store: &mut dyn Store, now_ms: i64) {
        let cleared = commit.timers.iter().any(|change| matches!(change, TimerWrite::Clear { .. }));
        if cleared || self.timer.is_none() {
            self.timer = store.next_timer().unwrap_or(Some(now_ms));
        }
        for change in &commit.timers {
            if let TimerWrite::Set(timer) = change {
                self.timer = Some(self.timer.map_or(timer.due_ms, |due| due.min(timer.due_ms)));
            }
        }
    }

    /// Whether a shared store is to be polled now.
    pub fn poll_is_due(&self, now_ms: i64) -> bool {
        now_ms >= self.poll
    }

    /// The shared store was polled.
    pub fn polled(&mut self, now_ms: i64) {
        self.poll = now_ms.saturating_add(POLL_MS);
    }

    /// The own lease was prolonged.
    pub fn heartbeat(&mut self, now_ms: i64) {
        self.heartbeat = now_ms;
    }

    /// Whether effects may be called: only in the first half of a lease, since in the second another instance may be about
    /// to take them over. Always, where there is no lease.
    pub fn may_call(&self, lease_ms: Option<i64>, now_ms: i64) -> bool {
        lease_ms.is_none_or(|lease_ms| now_ms.saturating_sub(self.heartbeat) <= lease_ms / 2)
    }

    /// Whether old events and answers are to be pruned now.
    pub fn maintenance_is_due(&self, now_ms: i64) -> bool {
        now_ms >= self.maintenance
    }

    /// A bounded part of the maintenance was done; `more` where that bound was reached.
    pub fn maintained(&mut self, more: bool, now_ms: i64) {
        self.maintenance = if more { now_ms } else { now_ms.saturating_add(MAINTENANCE_MS) };
    }

    /// The earliest of all; `shared` tells whether the store is polled.
    pub fn next_ms(&self, shared: bool) -> i64 {
        let poll_ms = shared.then_some(self.poll);
        self.timer.into_iter().chain(poll_ms).fold(self.maintenance, i64::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_are_called_in_the_first_half_of_a_lease_only() {
        let mut schedule = Schedule::default();
        schedule.heartbeat(1_000);
        assert!(schedule.may_call(Some(10_000), 6_000));
        assert!(!schedule.may_call(Some(10_000), 6_001));
        assert!(schedule.may_call(None, 1_000_000), "an exclusive store knows no lease");
    }

    #[test]
    fn the_earliest_instant_wakes_the_core() {
        let mut schedule = Schedule::new(Some(70_000));
        schedule.maintained(false, 0);
        schedule.polled(500);
        assert_eq!(schedule.next_ms(false), 60_000);
        assert_eq!(schedule.next_ms(true), 1_500);
        schedule.maintained(true, 100);
        assert_eq!(schedule.next_ms(true), 100, "the rest is pruned at once");
    }
}
