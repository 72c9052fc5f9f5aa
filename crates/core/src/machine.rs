//! The core: its parts, and one turn of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use defects::{Defect, has};
use jiff::tz::TimeZone;
use kernel::{RetrySafety, Timestamp};
use ports::{Commit, CommitError, Delivery, EffectRow, Model, Partition, Store, StoreError};

use crate::batch::{Batch, Reply};
use crate::effects::Effects;
use crate::error::BatchError;
use crate::execute::{self, Execution, UnitOfWork};
use crate::gather::Sources;
use crate::inbox::Inbox;
use crate::items::{Discard, Item, Items};
use crate::limits::Limits;
use crate::numbering::Numbering;
use crate::rebuild::Rebuilds;
use crate::recovery::{Next, Pending, Recovery};
use crate::request::{Action, CommandError, Input, QueuedCommand};
use crate::rows::{DirectoryAnswers, RowCache};
use crate::schedule::Schedule;
use crate::setup::Setup;
use crate::status::Status;
use crate::subscriptions::{Head, Subscriptions};
use crate::waiters::Waiters;

/// One system at work.
pub struct Core {
    setup: Setup,
    store: Box<dyn Store>,
    now: Timestamp,
    inbox: Inbox,
    subscriptions: Subscriptions,
    numbering: Numbering,
    schedule: Schedule,
    effects: Effects,
    rows: RowCache,
    waiters: Waiters,
    rebuilds: Rebuilds,
    recovery: Recovery,
}

/// What a turn came to.
#[derive(Default)]
pub struct Turn {
    /// To be done outside.
    pub actions: Vec<Action>,
    /// There is more to do at once.
    pub more: bool,
    /// When there is something to do without any input, milliseconds since 1970.
    pub wake_ms: Option<i64>,
}

/// What a core is made of.
pub struct CoreOptions {
    /// The declarations.
    pub model: Arc<Model>,
    /// The store's writing side.
    pub store: Box<dyn Store>,
    /// The zone of the installation.
    pub zone: TimeZone,
    /// Bounds.
    pub limits: Limits,
    /// What the adapters of the ports promise; effects of ports that are missing here are never called twice.
    pub ports: BTreeMap<String, RetrySafety>,
    /// The system's own topic, too, comes from a broker, which its log is relayed to; else subscriptions read the log itself.
    pub by_broker: bool,
}

impl Core {
    /// A core over what its store has.
    pub fn new(options: CoreOptions) -> Result<Self, StoreError> {
        let CoreOptions { model, mut store, zone, limits, ports, by_broker } = options;
        let recovered = store.recover()?;
        let answers = DirectoryAnswers::new(&model, limits.answers, limits.answer_ttl_ms);
        let numbering = Numbering::new(&recovered, model.tables.len(), !store.exclusive());
        let schedule = Schedule::new(store.next_timer()?);
        let mut effects = Effects::new(&limits, ports);
        effects.begin(recovered.last_effect);
        let mut subscriptions = Subscriptions::new(model.clone(), by_broker);
        subscriptions.open_own(store.as_mut(), numbering.last_seq())?;
        Ok(Self {
            rows: RowCache::new(model.clone(), answers),
            setup: Setup { model, limits, zone },
            store,
            now: Timestamp::UNIX_EPOCH,
            inbox: Inbox::default(),
            subscriptions,
            numbering,
            schedule,
            effects,
            waiters: Waiters::default(),
            rebuilds: Rebuilds::default(),
            recovery: Recovery::default(),
        })
    }

    /// Takes something in. A command that is not admitted is answered at once.
    pub fn accept(&mut self, input: Input, now: Timestamp) -> Option<Action> {
        match input {
            Input::Command(command) => return self.admit(command),
            Input::EffectResult { number, attempt, reaction } => {
                self.inbox.add_answers(self.effects.reacted((number, attempt), reaction, now.as_millisecond()));
            }
            Input::Delivered { partition, deliveries } => self.deliver(&partition, deliveries),
            Input::Assigned { partitions } => self.subscriptions.assign(partitions),
            Input::HandedOver { positions } => self.subscriptions.hand_over(positions),
            Input::Revoked { partitions } => self.subscriptions.revoke(&partitions),
            Input::Redrive { subscription, key } => {
                for queue in self.subscriptions.parked_at(&subscription, &key) {
                    self.subscriptions.parking.set(queue, &key, Head::DUE);
                }
            }
            Input::Discard { subscription, key, position } => {
                let queues = self.subscriptions.parked_at(&subscription, &key);
                self.inbox.add_discards(queues.into_iter().map(|queue| Discard { queue, key: key.clone(), position }));
            }
            Input::Rebuild { view } => self.inbox.ask_for_rebuild(view),
            Input::Pause { service, paused } => {
                self.subscriptions.pause(&service, paused);
                if !paused {
                    self.schedule.resume_timers();
                }
            }
        }
        None
    }

    fn admit(&mut self, command: Box<QueuedCommand>) -> Option<Action> {
        let service = self.setup.model.table_of(command.request.table).service;
        if self.subscriptions.is_paused(service) {
            let error = CommandError::Unavailable("the service is paused".into());
            return Some(Action::Reply { ticket: command.ticket, result: Err(error) });
        }
        let rejected = self.inbox.admit(command, self.setup.limits.queue).err()?;
        Some(Action::Reply { ticket: rejected.ticket, result: Err(CommandError::Overloaded) })
    }

    fn deliver(&mut self, partition: &Partition, deliveries: Vec<Delivery>) {
        self.subscriptions.deliver(partition, deliveries, self.setup.limits.backlog);
    }

    /// What is wanted of a broker: the partition, the position after which to read, and how many records.
    pub fn wants(&self) -> Vec<(Partition, u64, usize)> {
        self.subscriptions.wants(self.setup.limits.backlog)
    }

    /// One turn: at most one batch of administration, and one of everything else.
    pub fn turn(&mut self, now: Timestamp) -> Turn {
        self.now = now;
        self.rows.answers.begin(self.now_ms());
        let mut turn = Turn::default();
        if !self.resolve_doubt(&mut turn) {
            self.reject_queued(&mut turn);
        } else if self.administrate(&mut turn) {
            self.work(&mut turn);
        }
        self.call_effects(&mut turn);
        self.answer_waiters(&mut turn);
        turn.more = turn.more || self.has_more();
        turn.wake_ms = self.wake_ms();
        turn
    }

    fn now_ms(&self) -> i64 {
        self.now.as_millisecond()
    }

    /// As long as the outcome of a commit is unknown nothing can be begun: commands are answered so at once.
    fn reject_queued(&mut self, turn: &mut Turn) {
        let unavailable = || CommandError::Unavailable("the outcome of a commit is being found out".into());
        let rejected = self.inbox.reject_queued();
        turn.actions.extend(rejected.map(|command| Action::Reply { ticket: command.ticket, result: Err(unavailable()) }));
    }

    /// Work of administration, in a batch of its own. False as long as its outcome is unknown.
    fn administrate(&mut self, turn: &mut Turn) -> bool {
        match self.next_administration() {
            Ok(None) => {}
            Ok(Some(item)) => self.run(Items::only(item), turn),
            Err(error) => self.abort(Items::default(), &error.into(), turn),
        }
        !self.recovery.is_in_doubt()
    }

    fn next_administration(&mut self) -> Result<Option<Item>, StoreError> {
        if self.recovery.is_backing_off(self.now_ms()) {
            return Ok(None);
        }
        if self.recovery.needs_probe(self.now_ms()) {
            return Ok(Some(Item::Probe)); // without commands nothing else would find out that the store works again
        }
        self.subscriptions.open_pending(self.store.as_mut())?;
        if self.subscriptions.has_new() {
            return Ok(Some(Item::FirstOffsets));
        }
        if let Some(view) = self.inbox.take_rebuild() {
            let started = self.rebuilds.start(&view, &self.setup.model, &self.subscriptions);
            return Ok(started.map(|_| Item::RebuildStart));
        }
        if let Some(discard) = self.inbox.take_discard() {
            return Ok(Some(Item::Discard(discard)));
        }
        Ok(self.rebuilds.is_complete(self.numbering.last_seq()).then_some(Item::RebuildSwap))
    }

    /// Everything else: what is ready is gathered into one batch.
    fn work(&mut self, turn: &mut Turn) {
        let mut items = Items::default();
        let sources = Sources {
            setup: &self.setup,
            now_ms: self.now.as_millisecond(),
            store: self.store.as_mut(),
            inbox: &mut self.inbox,
            subscriptions: &mut self.subscriptions,
            numbering: &self.numbering,
            schedule: &mut self.schedule,
            effects: &mut self.effects,
            rows: &mut self.rows,
            waiters: &self.waiters,
            rebuilds: &self.rebuilds,
            recovery: &self.recovery,
        };
        match sources.gather(&mut items) {
            Ok(()) => self.run(items, turn),
            Err(StoreError::Fenced) => self.begin_again(items, turn),
            Err(error) => self.back_off(items, &error.to_string(), turn), // whatever it is, it is no item's fault
        }
    }

    fn run(&mut self, mut items: Items, turn: &mut Turn) {
        let bisecting = self.recovery.is_bisecting();
        let unit = UnitOfWork {
            setup: &self.setup,
            now: self.now,
            rows: &mut self.rows,
            numbering: &mut self.numbering,
            batch: Batch::default(),
        };
        let execution = Execution {
            unit,
            store: self.store.as_mut(),
            subscriptions: &self.subscriptions,
            waiters: &self.waiters,
            rebuilds: &mut self.rebuilds,
        };
        match execution.run(&mut items, bisecting) {
            Ok(batch) => self.commit(batch, items, turn),
            Err(error) => self.abort(items, &error.into(), turn),
        }
    }

    /// Commits what the batch has gathered. A batch that changes nothing is answered without a commit.
    fn commit(&mut self, batch: Batch, items: Items, turn: &mut Turn) {
        if !self.rows.has_changed() && batch.is_silent() && items.reached.is_empty() && items.rebuilt_to.is_none() {
            return self.reply(batch.replies, turn);
        }
        let offsets = items.reached.iter().map(|reached| self.subscriptions.offset_update(reached)).collect();
        match batch.into_commit(&self.setup.model, &self.rows, &self.numbering, offsets) {
            Ok((commit, replies, heads)) => self.put(Pending { commit, items, replies, heads }, turn),
            Err(error) => self.abort(items, &StoreError::Corrupt(error.0).into(), turn),
        }
    }

    /// The one way to the store.
    fn put(&mut self, pending: Pending, turn: &mut Turn) {
        if has(Defect::EffectBeforeCommit) {
            self.hold_effects(pending.commit.effects.clone());
            turn.actions.extend(self.effects.dispatch(self.now_ms()).into_iter().map(Action::Call));
        }
        match self.store.commit(&pending.commit) {
            Ok(()) => self.applied(pending, turn),
            Err(CommitError::Unknown(cause)) => {
                tracing::error!(cause, "the outcome of the commit is unknown; finding out");
                self.recovery.doubt(pending, self.retry_ms(), cause);
                self.resolve_doubt(turn);
            }
            Err(error) => self.abort(pending.items, &error.into(), turn),
        }
    }

    fn retry_ms(&self) -> i64 {
        self.now_ms().saturating_add(self.setup.limits.store_retry_ms)
    }

    /// Finds out about a commit whose outcome is unknown. False as long as it stays unknown.
    fn resolve_doubt(&mut self, turn: &mut Turn) -> bool {
        let Some(pending) = self.recovery.take_in_doubt() else { return true };
        match self.store.last_commit() {
            Ok(number) if number == pending.commit.number => self.applied(pending, turn),
            Ok(_) => {
                let error = CommitError::Unavailable("the commit was not applied".to_owned());
                self.abort(pending.items, &error.into(), turn);
            }
            Err(error) => {
                self.recovery.doubt(pending, self.retry_ms(), error.to_string());
                return false;
            }
        }
        true
    }

    fn applied(&mut self, pending: Pending, turn: &mut Turn) {
        let Pending { commit, items, replies, heads } = pending;
        self.recovery.applied();
        self.numbering.applied(&commit);
        self.schedule.applied(&commit, self.store.as_mut(), self.now.as_millisecond());
        self.rows.settle();
        self.numbering.settle();
        self.subscriptions.advance(&items.reached, heads);
        if let Some(position) = items.rebuilt_to {
            self.rebuilds.advance(position);
        }
        let committed = Action::Committed { last_seq: self.numbering.last_seq() };
        let visible = !commit.log.is_empty() || !commit.rows.is_empty() || commit.swap.is_some();
        self.take_effects(commit);
        self.administrated(&items);
        if !items.is_administration() {
            self.recovery.grow(self.setup.limits.batch_items);
        }
        self.reply(replies, turn);
        if visible {
            turn.actions.push(committed);
        }
    }

    /// A withdrawal is about what was there before; new effects say themselves whether they are withdrawn.
    fn take_effects(&mut self, commit: Commit) {
        for target in &commit.withdrawn {
            self.inbox.add_answers(self.effects.withdraw(target.table, &target.key));
        }
        if !has(Defect::EffectBeforeCommit) {
            self.hold_effects(commit.effects);
        }
    }

    fn hold_effects(&mut self, effects: Vec<EffectRow>) {
        self.inbox.add_answers(self.effects.accept(effects));
    }

    /// What committed work of administration means in memory.
    fn administrated(&mut self, items: &Items) {
        for item in &items.work {
            match item {
                Item::FirstOffsets => self.subscriptions.first_offsets_committed(),
                Item::RebuildSwap => {
                    let Some(rebuild) = self.rebuilds.finish(self.now.as_millisecond()) else { continue };
                    self.rows.forget(rebuild.table);
                    self.rows.forget(rebuild.shadow);
                    self.subscriptions.rebuilt(rebuild.cursor, rebuild.position);
                }
                _ => {}
            }
        }
    }

    fn reply(&mut self, replies: Vec<Reply>, turn: &mut Turn) {
        for reply in replies {
            match (reply.result, reply.held_for) {
                (Ok(outcome), Some(held)) => self.waiters.hold(reply.ticket, outcome, held),
                (result, _) => turn.actions.push(Action::Reply { ticket: reply.ticket, result }),
            }
        }
    }

    /// The batch did not come about: nothing of it happened, and everything that can be done again will be.
    fn abort(&mut self, items: Items, error: &BatchError, turn: &mut Turn) {
        if !has(Defect::RollbackForgotten) {
            self.rows.rollback(0);
        }
        self.numbering.rollback();
        match error {
            // What cannot be written, or is there and cannot be read: one of the items is to blame, if there are any.
            BatchError::Commit(CommitError::Refused(_)) | BatchError::Store(StoreError::Corrupt(_))
                if items.can_be_bisected() =>
            {
                self.bisect(items, error, turn);
            }
            BatchError::Commit(CommitError::Conflict(cause)) => self.decide_again(items, cause, turn),
            BatchError::Commit(CommitError::Fenced) | BatchError::Store(StoreError::Fenced) => self.begin_again(items, turn),
            error => self.back_off(items, &error.to_string(), turn),
        }
    }

    /// Other instances have committed first. What they wrote is read, and everything is decided again.
    fn decide_again(&mut self, items: Items, cause: &str, turn: &mut Turn) {
        tracing::debug!(cause, "version conflict; deciding again");
        self.rows.trim(0);
        match self.recovery.conflict(self.setup.limits.batch_items) {
            Next::BackOff => self.back_off(items, cause, turn),
            Next::Retry | Next::Quarantine => {
                self.requeue(items);
                self.subscriptions.reopen();
                turn.more = true;
            }
        }
    }

    /// The lease has run out, and another instance has adopted the effects. What is left is begun again as a new instance.
    fn begin_again(&mut self, items: Items, turn: &mut Turn) {
        tracing::warn!("the lease has run out; beginning again as another instance");
        self.rows.trim(0);
        self.requeue(items);
        self.inbox.forget_answers();
        self.subscriptions.reopen();
        match self.store.recover() {
            Ok(recovered) => {
                self.numbering = Numbering::new(&recovered, self.setup.model.tables.len(), !self.store.exclusive());
                self.effects.begin(recovered.last_effect);
            }
            Err(error) => self.recovery.back_off(self.retry_ms(), error.to_string()),
        }
        turn.more = true;
    }

    fn bisect(&mut self, items: Items, error: &BatchError, turn: &mut Turn) {
        let cause = error.to_string();
        match self.recovery.bisect(items.work.len(), self.setup.limits.batch_items) {
            Next::Quarantine => self.quarantine(items, &cause, matches!(error, BatchError::Commit(_)), turn),
            Next::Retry | Next::BackOff => {
                tracing::warn!(cause, items = items.work.len(), "a batch is rejected and bisected");
                self.numbering.drop_ranges();
                self.requeue(items);
            }
        }
    }

    fn back_off(&mut self, items: Items, cause: &str, turn: &mut Turn) {
        tracing::error!(cause, "the store does not work; trying again");
        self.recovery.back_off(self.retry_ms(), cause.to_owned());
        let mut rest = Items::default();
        let mut rejected = Vec::new();
        for item in items.work {
            match item {
                Item::Command(command) => {
                    let result = Err(CommandError::Unavailable(cause.to_owned()));
                    rejected.push(Action::Reply { ticket: command.ticket, result });
                }
                item => rest.work.push(item),
            }
        }
        turn.actions.extend(rejected.into_iter().rev());
        self.requeue(rest);
    }

    /// Puts items back where they came from.
    fn requeue(&mut self, items: Items) {
        for item in items.work.into_iter().rev() {
            match item {
                Item::Command(command) => self.inbox.put_back_command(command),
                Item::Answer { ended, parked: None } => self.inbox.put_back_answer(ended),
                Item::Timer { parked: None, .. } => self.schedule.look_for_timers(self.now.as_millisecond()),
                Item::RebuildStart | Item::RebuildSwap => {
                    self.rebuilds.restart().into_iter().for_each(|view| self.inbox.ask_for_rebuild(view));
                }
                Item::Discard(discard) => self.inbox.put_back_discard(discard),
                // They are found again: events from their committed offset, parked work and pages in the store.
                _ => {}
            }
        }
        self.subscriptions.rewind();
    }

    /// The one item that the store rejects, alone: it must not hold up the others.
    fn quarantine(&mut self, mut items: Items, cause: &str, rejected: bool, turn: &mut Turn) {
        tracing::error!(cause, "the store rejects this one item");
        let mut unit = UnitOfWork {
            setup: &self.setup,
            now: self.now,
            rows: &mut self.rows,
            numbering: &mut self.numbering,
            batch: Batch::default(),
        };
        if items.work.iter().all(|item| execute::quarantine(&mut unit, &self.subscriptions, item, cause)) {
            let batch = unit.batch;
            items.quarantined = true;
            return self.commit(batch, items, turn);
        }
        for item in items.work {
            match item {
                Item::Command(command) => {
                    let taken = rejected && command.request.give_id.is_some();
                    let error = if taken { CommandError::IdTaken } else { CommandError::Fault(cause.to_owned()) };
                    turn.actions.push(Action::Reply { ticket: command.ticket, result: Err(error) });
                }
                Item::RebuildPage(_) | Item::RebuildStart | Item::RebuildSwap => self.rebuilds.fail(cause.to_owned()),
                _ => {}
            }
        }
    }

    fn call_effects(&mut self, turn: &mut Turn) {
        if self.may_call() {
            turn.actions.extend(self.effects.dispatch(self.now_ms()).into_iter().map(Action::Call));
        }
    }

    fn may_call(&self) -> bool {
        self.schedule.may_call(self.store.lease_ms(), self.now_ms()) || has(Defect::LeaseIgnored)
    }

    fn answer_waiters(&mut self, turn: &mut Turn) {
        let known = !self.recovery.is_in_doubt();
        let rows = known.then_some(&self.rows);
        turn.actions.extend(self.waiters.answer(&self.setup.model, rows, self.now.as_millisecond()));
        if known {
            self.rows.trim(if self.store.exclusive() { self.setup.limits.rows } else { 0 });
        }
    }

    /// Whether there is something to do at once.
    fn has_more(&self) -> bool {
        if self.inbox.commands() > 0 {
            return !self.recovery.is_in_doubt();
        }
        if self.recovery.is_backing_off(self.now_ms()) || self.recovery.is_in_doubt() {
            return false;
        }
        self.inbox.answers() > 0
            || (self.effects.busy() && self.may_call())
            || self.effects.needs_refill()
            || self.rebuilds.running().is_some()
            || self.inbox.has_administration()
            || self.subscriptions.has_more(self.numbering.last_seq())
    }

    /// When there is something to do without any input.
    fn wake_ms(&self) -> Option<i64> {
        if let Some(retry_ms) = self.recovery.retry_ms() {
            return Some(retry_ms);
        }
        let parts = [self.effects.next_ms(), self.subscriptions.next_ms(), self.waiters.next_ms()];
        parts.into_iter().flatten().chain([self.schedule.next_ms(!self.store.exclusive())]).min()
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        let (parked_keys, dead_keys) = self.subscriptions.parking.counts();
        let last_seq = self.numbering.last_seq();
        Status {
            last_seq,
            subscriptions: self.subscriptions.status(last_seq),
            effects: self.effects.len(),
            parked_keys,
            dead_keys,
            rebuild: self.rebuilds.status(),
            rebuilt: self.rebuilds.done(),
            healthy: self.recovery.cause().is_none(),
            cause: self.recovery.cause().map(str::to_owned),
            heartbeat_ms: self.now_ms(),
        }
    }
}
