//! From a batch to a commit, and from its outcome to what happens next.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::batch::{Batch, Reply};
use super::gather::Items;
use super::parking::Parked;
use super::request::{Action, CommandError};
use super::subscriptions::{Phase, Place};
use super::work::Work;
use super::{Core, Stop, Trouble, Turn};
use defects::{Defect, has};
use ports::model::{Counter, TableId};
use ports::{Commit, CommitError, CounterDelta, ParkedWrite, RowWrite, StoreError, TimerRow, TimerWrite};

/// A commit on its way, and what depends on its outcome.
pub(super) struct Pending {
    commit: Commit,
    then: Then,
}

/// What depends on a commit.
enum Then {
    /// A batch: its items, its answers, its parked keys.
    Batch { items: Items, replies: Vec<Reply>, parking: Vec<(usize, String, Parked)> },
    /// The rebuild's table is empty.
    RebuildStarted,
    /// The rebuilt table serves.
    Rebuilt,
    /// The head of this key, at this position, is gone.
    Discarded(usize, String, u64),
    /// New followers have a place.
    Placed,
    /// The store takes commits again.
    Probed,
}

/// Conflicts in a row after which something else must be wrong.
const MOST_CONFLICTS: u32 = 20;

/// What the store refuses for good and must not be lost is tried again after so long, in milliseconds.
const SET_BACK_MS: i64 = 60_000;

impl Core {
    /// Commits what the batch has gathered. A batch that changes nothing is answered without a commit.
    pub(super) fn commit(&mut self, batch: Batch, items: Items, turn: &mut Turn) {
        let Batch { replies, parking, .. } = &batch;
        let unchanged = self.rows.mark() == 0 && replies.len() == items.work.len() && items.reached.is_empty();
        let silent = batch.log.is_empty() && batch.effects.is_empty() && batch.timers.is_empty() && batch.answers.is_empty();
        let silent = silent && batch.withdrawn.is_empty();
        if unchanged && silent && batch.parked.is_empty() && parking.is_empty() && items.rebuilt_to.is_none() {
            self.reply(batch.replies, turn);
            return;
        }
        let (batch, commit) = match self.write_down(batch, &items) {
            Ok(written) => written,
            Err(stop) => return self.stumble(items, &stop, turn),
        };
        let then = Then::Batch { items, replies: batch.replies, parking: batch.parking };
        self.put(Pending { commit, then }, turn);
    }

    fn write_down(&mut self, mut batch: Batch, items: &Items) -> Result<(Batch, Commit), Stop> {
        let mut commit = Commit::default();
        let mut counters: BTreeMap<(TableId, Counter), i64> = BTreeMap::new();
        for (row, before, now) in self.rows.changed() {
            let table = self.model.table_of(row.table);
            let encode = |state| now.json.as_ref().map_or_else(|| table.encode(state), |json| Ok(json.as_bytes().to_vec()));
            let data = now.state.as_ref().map(encode).transpose();
            let data = data.map_err(|error| Stop::Store(StoreError::Corrupt(error.0)))?;
            let moved = before.listed != now.listed;
            for (listed, delta) in [(&before.listed, -1), (&now.listed, 1)].into_iter().filter(|_| moved) {
                for counter in listed.iter().flat_map(|index| table.counters(index)) {
                    *counters.entry((row.table, counter)).or_default() += delta;
                }
            }
            commit.rows.push(RowWrite {
                table: row.table,
                key: row.key.clone(),
                id: now.id,
                old_version: before.version,
                version: now.version,
                schema: table.version(),
                data,
                index: now.listed.as_ref().map(|index| index.to_vec()).unwrap_or_default(),
            });
        }
        let deltas = counters.into_iter().filter(|(_, delta)| *delta != 0);
        commit.counters = deltas.map(|((table, counter), delta)| CounterDelta { table, counter, delta }).collect();
        for (target, effects) in std::mem::take(&mut batch.withdrawn) {
            let mine = batch.effects[..effects].iter_mut();
            mine.filter(|effect| effect.table == target.table && effect.key == target.key)
                .for_each(|effect| effect.withdrawn = true);
            commit.withdrawn.push(target);
        }
        let log = std::mem::take(&mut batch.log).into_iter();
        commit.log = log.map(|record| Arc::try_unwrap(record).unwrap_or_else(|shared| (*shared).clone())).collect();
        commit.effects = std::mem::take(&mut batch.effects);
        commit.effects_done = std::mem::take(&mut batch.effects_done);
        commit.timers = std::mem::take(&mut batch.timers);
        commit.parked = std::mem::take(&mut batch.parked);
        commit.answers = std::mem::take(&mut batch.answers);
        commit.positions = items.reached.iter().map(|reached| self.place_move(reached)).collect();
        let mut tables: Vec<TableId> = commit.rows.iter().map(|row| row.table).collect();
        tables.dedup();
        // Where ids come in ranges, one that a client has given may stand above that of the last range.
        let shared = !self.store.exclusive();
        let given = |table| commit.rows.iter().filter(move |row| shared && row.table == table).filter_map(|row| row.id).max();
        let last_id = |table: TableId| self.last_ids[table.0].max(given(table).unwrap_or_default());
        commit.last_ids = tables.into_iter().map(|table| (table, last_id(table))).collect();
        Ok((batch, commit))
    }

    /// Small commits of their own: the first after a failure, places of new followers, rebuilds, discards. False while
    /// the outcome of one of them is unknown.
    pub(super) fn set_aside(&mut self, turn: &mut Turn) -> bool {
        if self.in_trouble() {
            return true;
        }
        if self.trouble.is_some() {
            // Without commands nobody would find out that the store works again.
            self.put(Pending { commit: Commit::default(), then: Then::Probed }, turn);
            return self.limbo.is_none();
        }
        if let Err(stop) = self.open_places() {
            self.stumble(Items::default(), &stop, turn);
            return true;
        }
        let positions = self.first_moves();
        if !positions.is_empty() {
            self.put(Pending { commit: Commit { positions, ..Commit::default() }, then: Then::Placed }, turn);
        } else if let Some(view) = self.rebuild_wanted.take() {
            if let Some(commit) = self.start_rebuild(&view) {
                self.put(Pending { commit, then: Then::RebuildStarted }, turn);
            }
        } else if let Some((parks, key, place)) = self.discards.pop_front() {
            self.discard(parks, key, place, turn);
        } else {
            match self.finish_rebuild() {
                Ok(Some(commit)) => self.put(Pending { commit, then: Then::Rebuilt }, turn),
                Ok(None) => {}
                Err(stop) => self.stumble(Items::default(), &stop, turn),
            }
        }
        self.limbo.is_none()
    }

    /// Gives up the head of a key, if it is still the one that was meant.
    fn discard(&mut self, parks: usize, key: String, place: u64, turn: &mut Turn) {
        let name = self.follower_at(parks).name.clone();
        let partition = self.places[parks].partition.number;
        match self.store.parked(&name, partition, &key, 1) {
            Ok(heads) if heads.first().is_some_and(|head| head.position == place) => {
                let parked = vec![ParkedWrite::Remove { subscription: name, key: key.clone(), partition, position: place }];
                let then = Then::Discarded(parks, key, place);
                self.put(Pending { commit: Commit { parked, ..Commit::default() }, then }, turn);
            }
            Ok(_) => tracing::warn!(subscription = name, key, place, "not discarded: another event stands first"),
            Err(error) => {
                self.discards.push_front((parks, key, place));
                self.stumble(Items::default(), &Stop::Store(error), turn);
            }
        }
    }

    fn put(&mut self, mut pending: Pending, turn: &mut Turn) {
        if has(Defect::EffectBeforeCommit) {
            let early = self.effects.accept(pending.commit.effects.clone());
            self.ended.extend(early);
            turn.actions.extend(self.effects.dispatch(self.now.as_millisecond()).into_iter().map(Action::Call));
        }
        pending.commit.number = self.last_commit + 1;
        match self.store.commit(&pending.commit) {
            Ok(()) => self.applied(pending, turn),
            Err(CommitError::Unknown(cause)) => {
                tracing::error!(cause, "nobody knows whether the commit was applied; finding out");
                self.limbo = Some(pending);
                let _ = self.out_of_limbo(turn);
            }
            Err(error) => self.not_applied(pending, &Stop::Commit(error), turn),
        }
    }

    /// Finds out about a commit of unknown outcome. False as long as nobody knows.
    pub(super) fn out_of_limbo(&mut self, turn: &mut Turn) -> bool {
        let Some(pending) = self.limbo.take() else { return true };
        match self.store.last_commit() {
            Ok(number) if number == pending.commit.number => self.applied(pending, turn),
            Ok(_) => {
                let cause = "the commit was not applied".to_owned();
                self.not_applied(pending, &Stop::Commit(CommitError::Unavailable(cause)), turn);
            }
            Err(error) => {
                self.limbo = Some(pending);
                self.suffer(error.to_string());
                return false;
            }
        }
        true
    }

    fn applied(&mut self, pending: Pending, turn: &mut Turn) {
        let Pending { commit, then } = pending;
        self.trouble = None;
        self.conflicts = 0;
        self.last_commit = commit.number;
        self.last_seq += commit.log.len() as u64;
        self.last_effect += commit.effects.len() as u64;
        let visible = !commit.log.is_empty() || !commit.rows.is_empty() || commit.swap.is_some();
        self.after_timers(&commit);
        // A withdrawal is about what was there before; new effects say themselves whether they are withdrawn.
        for target in &commit.withdrawn {
            let ended = self.effects.withdraw(target.table, &target.key);
            self.ended.extend(ended);
        }
        if !has(Defect::EffectBeforeCommit) {
            let ended = self.effects.accept(commit.effects);
            self.ended.extend(ended);
        }
        match then {
            Then::Batch { items, replies, parking } => {
                self.rows.settle();
                self.committed_ids.clone_from(&self.last_ids);
                self.advance(&items, parking);
                self.reply(replies, turn);
            }
            Then::RebuildStarted | Then::Probed => {}
            Then::Rebuilt => self.rebuilt(),
            Then::Discarded(parks, key, _) => self.parking.set(parks, &key, Parked { next_try_ms: 0, dead: false }),
            Then::Placed => {
                let new = self.places.iter_mut().filter(|place| place.phase == Phase::New);
                new.for_each(|place| place.phase = Phase::Open);
            }
        }
        if visible {
            turn.actions.push(Action::Committed { last_seq: self.last_seq });
        }
    }

    fn after_timers(&mut self, commit: &Commit) {
        let cleared = commit.timers.iter().any(|change| matches!(change, TimerWrite::Clear { .. }));
        if cleared || self.next_timer_ms.is_none() {
            self.next_timer_ms = self.store.next_timer().unwrap_or(Some(self.now.as_millisecond()));
        }
        for change in &commit.timers {
            if let TimerWrite::Set(timer) = change {
                self.next_timer_ms = Some(self.next_timer_ms.map_or(timer.due_ms, |due| due.min(timer.due_ms)));
            }
        }
    }

    fn advance(&mut self, items: &Items, parking: Vec<(usize, String, Parked)>) {
        for reached in &items.reached {
            let place = &mut self.places[reached.place];
            place.position = reached.to;
            place.read_to = place.read_to.max(reached.to);
            place.numbers.extend(reached.numbers.iter().map(|(outbox, number)| (outbox.clone(), *number)));
        }
        for (place, key, parked) in parking {
            self.parking.set(place, &key, parked);
        }
        if let (Some(running), Some(position)) = (self.rebuild.as_mut(), items.rebuilt_to) {
            running.position = position;
        }
        if self.batch_items < self.limits.batch_items {
            self.batch_items = (self.batch_items * 2).min(self.limits.batch_items);
        } else {
            self.apart = false;
        }
    }

    fn reply(&mut self, replies: Vec<Reply>, turn: &mut Turn) {
        for reply in replies {
            match (reply.result, reply.held_for) {
                (Ok(done), Some(held)) => self.waiters.hold(reply.ticket, done, held),
                (result, _) => turn.actions.push(Action::Reply { ticket: reply.ticket, result }),
            }
        }
    }

    fn not_applied(&mut self, pending: Pending, stop: &Stop, turn: &mut Turn) {
        match pending.then {
            Then::Batch { items, .. } => self.stumble(items, stop, turn),
            Then::RebuildStarted | Then::Rebuilt => {
                let view = self.rebuild.take().map(|running| running.view);
                self.rebuild_wanted = view.or(self.rebuild_wanted.take());
                self.stumble(Items::default(), stop, turn);
            }
            Then::Discarded(parks, key, place) => {
                self.discards.push_front((parks, key, place));
                self.stumble(Items::default(), stop, turn);
            }
            Then::Placed | Then::Probed => self.stumble(Items::default(), stop, turn),
        }
    }

    /// The batch did not come about: nothing of it happened, and everything that can be done again will be.
    pub(super) fn stumble(&mut self, items: Items, stop: &Stop, turn: &mut Turn) {
        if !has(Defect::RollbackForgotten) {
            self.rows.rollback(0);
        }
        self.last_ids.clone_from(&self.committed_ids);
        match stop {
            // What cannot be written, or is there and cannot be read: one of the items is to blame, if there are any.
            Stop::Commit(CommitError::Refused(_)) | Stop::Store(StoreError::Corrupt(_)) if !items.work.is_empty() => {
                self.take_apart(items, stop, turn);
            }
            Stop::Commit(CommitError::Conflict(cause)) => self.decide_again(items, cause, turn),
            Stop::Commit(CommitError::Fenced) => self.begin_again(items, turn),
            stop => self.wait_for_store(items, &stop.cause(), turn),
        }
    }

    /// Others came first. What they have done is read, and everything is decided anew; a smaller batch meets fewer of them.
    fn decide_again(&mut self, items: Items, cause: &str, turn: &mut Turn) {
        self.conflicts += 1;
        tracing::debug!(cause, self.conflicts, "others came first; deciding again");
        self.rows.trim(0);
        if self.conflicts > MOST_CONFLICTS {
            self.conflicts = 0;
            return self.wait_for_store(items, cause, turn);
        }
        self.batch_items = (self.batch_items / 2).max(1);
        self.give_back(items, None, turn);
        self.reopen();
        turn.more = true;
    }

    /// Another instance has taken this one for dead, and has its effects. What is left is begun again as a new one.
    pub(super) fn begin_again(&mut self, items: Items, turn: &mut Turn) {
        tracing::warn!("the lease has run out; beginning again as another instance");
        self.rows.trim(0);
        self.give_back(items, None, turn);
        self.ended.clear();
        self.set_back.clear();
        self.reopen();
        match self.store.recover() {
            Ok(recovered) => self.begin(recovered),
            Err(error) => self.suffer(error.to_string()),
        }
        turn.more = true;
    }

    /// Halves a batch until the culprit stands alone. The first time even a single item is done again: what its events
    /// caused in the same batch may be to blame, and is then an item of its own.
    fn take_apart(&mut self, items: Items, stop: &Stop, turn: &mut Turn) {
        let cause = stop.cause();
        if items.work.len() > 1 || !self.apart {
            tracing::warn!(cause, items = items.work.len(), "a batch is refused and taken apart");
            self.apart = true;
            self.batch_items = (items.work.len() / 2).max(1);
            if !self.store.exclusive() {
                // A client of another process may have given an id of this one's range: the next range is above it.
                self.ids_until.clone_from(&self.last_ids);
            }
            self.give_back(items, None, turn);
        } else {
            self.single_out(items, &cause, matches!(stop, Stop::Commit(_)), turn);
        }
    }

    pub(super) fn wait_for_store(&mut self, items: Items, cause: &str, turn: &mut Turn) {
        tracing::error!(cause, "the store does not work; trying again");
        self.suffer(cause.to_owned());
        self.give_back(items, Some(cause), turn);
    }

    fn suffer(&mut self, cause: String) {
        let until_ms = self.now.as_millisecond().saturating_add(self.limits.store_retry_ms);
        self.trouble = Some(Trouble { until_ms, cause });
    }

    /// Puts items back where they came from. Commands are answered instead where the store does not work.
    fn give_back(&mut self, items: Items, unavailable: Option<&str>, turn: &mut Turn) {
        for item in items.work.into_iter().rev() {
            match (item, unavailable) {
                (Work::Command(request), None) => self.commands.push_front(request),
                (Work::Command(request), Some(cause)) => {
                    let result = Err(CommandError::Unavailable(cause.to_owned()));
                    turn.actions.push(Action::Reply { ticket: request.ticket, result });
                }
                (Work::Ended(ended), _) => self.ended.push_front(ended),
                (Work::Timer(_), _) => self.next_timer_ms = Some(self.now.as_millisecond()),
                // They are read again: followers from their committed position, parked ones and pages from the store.
                (Work::Event { .. } | Work::Rebuild(_), _) => {}
            }
        }
        self.places.iter_mut().for_each(Place::rewind);
    }

    /// The one item that the store refuses, alone: it must not hold up the others.
    fn single_out(&mut self, mut items: Items, cause: &str, rejected: bool, turn: &mut Turn) {
        tracing::error!(cause, "the store refuses this one item");
        let later_ms = self.now.as_millisecond().saturating_add(SET_BACK_MS);
        let mut reached = std::mem::take(&mut items.reached);
        for item in items.work {
            match item {
                Work::Command(request) => {
                    let taken = rejected && request.order.give_id.is_some();
                    let failure = if taken { CommandError::IdTaken } else { CommandError::Fault(cause.to_owned()) };
                    turn.actions.push(Action::Reply { ticket: request.ticket, result: Err(failure) });
                }
                Work::Event { place, record, parked } => {
                    let mut batch = Batch::default();
                    let mark = batch.mark(0);
                    self.park(&mut batch, &mark, (place, &record, parked), cause.to_owned(), true);
                    let items = Items { reached: std::mem::take(&mut reached), ..Items::default() };
                    let positions = items.reached.iter().map(|reached| self.place_move(reached)).collect();
                    let commit = Commit { parked: batch.parked, positions, ..Commit::default() };
                    let then = Then::Batch { items, replies: Vec::new(), parking: batch.parking };
                    self.put(Pending { commit, then }, turn);
                }
                Work::Ended(ended) => {
                    tracing::error!(effect = ended.row.id, "its answer cannot be stored; it is set back");
                    self.set_back.push((later_ms, ended));
                }
                Work::Timer(timer) => {
                    tracing::error!(timer = timer.name, key = timer.key, "what it leads to cannot be stored; it is set back");
                    self.next_timer_ms = Some(self.now.as_millisecond());
                    let timers = vec![TimerWrite::Set(TimerRow { due_ms: later_ms, ..timer })];
                    let then = Then::Batch { items: Items::default(), replies: Vec::new(), parking: Vec::new() };
                    self.put(Pending { commit: Commit { timers, ..Commit::default() }, then }, turn);
                }
                Work::Rebuild(_) => {
                    if let Some(running) = self.rebuild.as_mut() {
                        running.failed = Some(cause.to_owned());
                    }
                }
            }
        }
    }
}
