//! Virtual time: when something happens next, and what happens then outside of the processes.

use pabal_core::Input;

use super::{Cluster, LEASE_MS, Planned};

/// A quiet cluster has nothing left to do, unless a timer is due later: leases have run out within this time.
const QUIET_MS: i64 = 3 * LEASE_MS;

/// Steps after which a run that does not come to rest is a failure.
const MOST_STEPS: u64 = 100_000;

impl Cluster {
    /// Runs until nothing is left to do, timers of up to `horizon_ms` from now included. Faults strike during the first
    /// `faults_ms`, and then no more.
    ///
    /// # Panics
    /// If it does not come to rest; and where the cluster has faults, and `faults_ms` leaves them no time: such a run proves
    /// nothing about them. [`Cluster::settle`] is for that.
    pub fn run(&mut self, faults_ms: i64, horizon_ms: i64) {
        assert!(
            faults_ms > 0 || !self.faults.any(),
            "no fault can strike in a run of 0 ms with faults: use `settle`, or Faults::NONE"
        );
        self.chance.set_healed(false);
        self.step_until(self.now_ms + faults_ms, horizon_ms);
    }

    /// Runs without faults until nothing is left to do, timers of up to `horizon_ms` from now included.
    ///
    /// # Panics
    /// If it does not come to rest.
    pub fn settle(&mut self, horizon_ms: i64) {
        self.step_until(self.now_ms, horizon_ms);
    }

    fn step_until(&mut self, heal_at: i64, horizon_ms: i64) {
        let end = self.now_ms + horizon_ms;
        let mut healed = false;
        for _ in 0..MOST_STEPS {
            if self.now_ms >= heal_at && !healed {
                healed = true;
                self.log("healed");
                self.chance.set_healed(true);
                self.busy_ms = self.now_ms;
            }
            if healed {
                self.redrive();
            }
            let wake = self.step();
            match self.next(wake, if healed { end } else { heal_at }) {
                Some(at) => self.pass(at),
                None if !healed => self.pass(heal_at.max(self.now_ms)),
                None => return self.log(format!("at rest, store's time {}", self.store_ms)),
            }
        }
        panic!("the cluster does not come to rest\n{}", self.trace.tail(60));
    }

    /// When something happens next. Heartbeats go on for ever: where nothing else has happened for a while, and no stopped
    /// process has yet to go on, the next thing is the next timer.
    fn next(&self, wake: Option<i64>, end: i64) -> Option<i64> {
        let schedule = self.schedule.next_ms();
        let frozen = self.replicas.iter().any(|replica| replica.frozen_until_ms > self.now_ms);
        if schedule.is_none() && !frozen && self.now_ms - self.busy_ms > QUIET_MS {
            return self.next_timer().filter(|due| *due <= end).map(|due| due.max(self.now_ms + 1));
        }
        wake.into_iter().chain(schedule).min().map(|at| at.max(self.now_ms)).filter(|at| *at <= end)
    }

    fn pass(&mut self, at: i64) {
        // However far the clock jumps: leases are renewed by heartbeats, and there are none in between.
        self.store_ms += (at - self.now_ms).clamp(0, 1_000);
        self.now_ms = at;
        for service in &self.services {
            service.store.set_now(self.store_ms);
        }
    }

    /// One turn of every process that wants one, in any order, after what is due around them.
    fn step(&mut self) -> Option<i64> {
        self.inject_faults();
        while let Some(planned) = self.schedule.take_due(self.now_ms) {
            self.dispatch(planned);
            self.busy_ms = self.now_ms;
        }
        let from = usize::try_from(self.chance.below(self.replicas.len() as u64)).unwrap_or(0);
        let all = self.replicas.len();
        // All processes read before any of them commits.
        let late = self.chance.strikes("commit between read and commit", self.faults.concurrent_commit);
        self.services.iter().for_each(|service| service.store.read_from(late.then(|| service.store.snapshot())));
        for number in 0..all {
            self.replica_turn((number + from) % all);
        }
        self.services.iter().for_each(|service| service.store.read_from(None));
        self.replicas.iter().map(|replica| replica.wake_ms.max(replica.frozen_until_ms)).min()
    }

    fn inject_faults(&mut self) {
        if self.chance.strikes("clock jump", self.faults.clock_jump) {
            let jump = self.now_ms + i64::try_from(self.chance.below(600_000)).unwrap_or(0);
            self.pass(jump);
        }
        if self.chance.strikes("rebalance", self.faults.rebalance) {
            let service = usize::try_from(self.chance.below(self.services.len() as u64)).unwrap_or(0);
            self.rebalance(service);
        }
        if self.chance.strikes("process stopped", self.faults.freeze) {
            let number = usize::try_from(self.chance.below(self.replicas.len() as u64)).unwrap_or(0);
            let long = i64::try_from(self.chance.below(4 * LEASE_MS.unsigned_abs())).unwrap_or(0);
            self.replicas[number].frozen_until_ms = self.now_ms + long;
            self.log(format!("freeze {number} for {long}"));
            let after = self.chance.below(4_000);
            self.plan(after, Planned::Rebalance(self.replicas[number].service));
        }
    }

    fn dispatch(&mut self, planned: Planned) {
        let now = self.now();
        match planned {
            Planned::Request(request) => self.request(request),
            Planned::Reply { replica, life, number, attempt, reaction } => {
                let at = &mut self.replicas[replica];
                if let Some(process) = at.process.as_mut().filter(|_| at.life == life) {
                    process.core.accept(Input::EffectResult { number, attempt, reaction }, now);
                    at.wake_ms = self.now_ms;
                }
            }
            Planned::Rebalance(service) => self.rebalance(service),
            Planned::Revoke { replica, partition } => self.revoke(replica, partition),
            Planned::Arrive(records) => {
                self.log(format!("{} records arrive late", records.len()));
                self.topic.append(&records);
                self.replicas.iter_mut().for_each(|replica| replica.wake_ms = self.now_ms);
            }
        }
    }
}
