//! Where the checks write: commits with the next number, rows with their index values and counters, as a core makes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::IndexValue;
use kernel::context::Opaque;
use ports::model::{Counter, Model, TableId};
use ports::query::{Cursor, Page, Query, Start};
use ports::{Commit, CommitError, CounterDelta, EffectRow, LogQuery, ParkedRow, Reader, Record, RowRef, RowWrite, Store};

use crate::StoreHarness;
use crate::rows::{effect, lines_of, own};
use crate::sample::{Line, depot};

/// A fresh store of the sample system.
pub struct StoreSession<H> {
    harness: H,
    model: Arc<Model>,
    next: u64,
    /// The number that the first effect comes behind: a shared store gives each instance numbers of its own.
    effects_from: u64,
    /// What was left by the instance before, in a shared store.
    adopted: Vec<EffectRow>,
    /// The aggregate's table.
    pub parcels: TableId,
    /// The view's table.
    pub lines: TableId,
    /// The table in which the view is rebuilt.
    pub shadow: TableId,
}

impl<H: StoreHarness> StoreSession<H> {
    /// An empty one.
    pub fn new() -> Self {
        let model = Model::new(depot()).expect("the sample system is well declared");
        let parcels = model.find("depot", "parcel").expect("the sample has an aggregate").id;
        let (_, lines, shadow) = model.view_of("lines").expect("the sample has a view");
        let (harness, adopted) = (H::fresh(&model), Vec::new());
        let mut session = Self { harness, model, next: 1, effects_from: 0, adopted, parcels, lines, shadow };
        session.begin();
        session
    }

    /// In a shared store a start makes a new instance, with numbers of its own.
    fn begin(&mut self) {
        if !self.exclusive() {
            let recovered = self.store().recover().expect("a store recovers");
            (self.next, self.effects_from) = (recovered.last_commit + 1, recovered.last_effect);
            self.adopted = self.store().adopt(1000).expect("it adopts what is left");
        }
    }

    /// Whether the store has no other writer.
    pub fn exclusive(&mut self) -> bool {
        self.store().exclusive()
    }

    /// One whose view has these lines.
    pub fn with(lines: &[Line]) -> Self {
        let mut session = Self::new();
        let commit = session.put(session.lines, lines);
        session.commit(commit);
        session
    }

    /// The writing side.
    pub fn store(&mut self) -> &mut dyn Store {
        self.harness.store()
    }

    /// The reading side.
    pub fn reader(&self) -> Arc<dyn Reader> {
        self.harness.reader()
    }

    /// Crashes and starts again.
    pub fn reopen(&mut self) {
        self.harness.reopen();
        self.begin();
    }

    /// Commits under the next number.
    pub fn commit(&mut self, commit: Commit) {
        let commit = Commit { number: self.next, ..commit };
        self.store().commit(&commit).expect("the commit is in order");
        self.next += 1;
    }

    /// A commit under the next number that must be refused.
    pub fn refused(&mut self, commit: Commit) {
        let number = self.next;
        self.refused_as(number, commit);
    }

    /// A commit under this number that must be refused.
    pub fn refused_as(&mut self, number: u64, commit: Commit) {
        let result = self.store().commit(&Commit { number, ..commit });
        assert!(matches!(result, Err(CommitError::Refused(_))), "it must be refused, but: {result:?}");
    }

    /// A commit under the next number that was decided on outdated rows: a conflict in a shared store, and a fault in an exclusive one.
    pub fn outdated(&mut self, commit: Commit) {
        if self.exclusive() {
            return self.refused(commit);
        }
        let number = self.next;
        let result = self.store().commit(&Commit { number, ..commit });
        assert!(matches!(result, Err(CommitError::Conflict(_))), "it must be a conflict, but: {result:?}");
    }

    /// An effect that is not withdrawn, with a number that this process may assign.
    pub fn effect(&self, number: u64, table: TableId, key: &str) -> EffectRow {
        effect(self.effects_from + number, table, key)
    }

    /// Effects that have not ended: those of this process, and those that it has found when it began.
    pub fn effects(&mut self) -> Vec<EffectRow> {
        let mine = self.store().effects_after(0, 1000).expect("effects are read");
        self.adopted.iter().cloned().chain(mine).collect()
    }

    /// The first parked event of each key in partition 0.
    pub fn heads(&mut self, subscription: &str) -> Vec<ParkedRow> {
        let mut heads = self.store().parked_heads(subscription, 0).expect("parked are read");
        heads.sort_by(|one, other| one.key.cmp(&other.key));
        heads
    }

    /// A subscription's offset in partition 0 of the own topic.
    pub fn position(&mut self, subscription: &str) -> Option<u64> {
        let consumer_offset = self.store().consumer_offset(subscription, &own()).expect("positions are read");
        consumer_offset.map(|consumer_offset| consumer_offset.position)
    }

    /// Records as they were handed over: in a shared store the positions are its own.
    pub fn unplaced(&mut self, records: Vec<Record>) -> Vec<Record> {
        let exclusive = self.exclusive();
        let seq = |record: &Record| record.id.strip_prefix("event-").and_then(|seq| seq.parse().ok()).unwrap_or(record.seq);
        let records = records.into_iter();
        records.map(|record| if exclusive { record } else { Record { seq: seq(&record), ..record } }).collect()
    }

    /// A commit of new lines.
    pub fn put(&self, table: TableId, lines: &[Line]) -> Commit {
        let changes: Vec<_> = lines.iter().map(|line| (None, Some(line))).collect();
        self.changes(table, &changes)
    }

    /// A commit of one changed line; each line is given with its version.
    pub fn change(&self, before: (&Line, u64), after: &Line) -> Commit {
        self.changes(self.lines, &[(Some(before), Some(after))])
    }

    /// A commit that removes a line.
    pub fn remove(&self, before: (&Line, u64)) -> Commit {
        self.changes(self.lines, &[(Some(before), None)])
    }

    /// A commit of changed lines, in the order of their keys, with what follows for the counters.
    #[allow(clippy::type_complexity, reason = "before and after, side by side, is what it is")]
    pub fn changes(&self, table: TableId, changes: &[(Option<(&Line, u64)>, Option<&Line>)]) -> Commit {
        let mut counted: BTreeMap<Counter, i64> = BTreeMap::new();
        let mut rows = Vec::new();
        for (before, after) in changes {
            for (line, by) in before.iter().map(|(line, _)| (*line, -1)).chain(after.iter().map(|line| (*line, 1))) {
                for counter in self.counters(line) {
                    *counted.entry(counter).or_default() += by;
                }
            }
            let old_version = before.map_or(0, |(_, version)| version);
            let key = after.or(before.map(|(line, _)| line)).expect("a change changes a line").key.clone();
            rows.push(RowWrite {
                table,
                key,
                id: after.or(before.map(|(line, _)| line)).and_then(|line| line.id),
                old_version,
                version: old_version + 1,
                schema: 1,
                data: after.map(|line| serde_json::to_vec(line).expect("a line is JSON")),
                index: after.map(|line| self.index(line)).unwrap_or_default(),
            });
        }
        rows.sort_by(|one, other| one.key.cmp(&other.key));
        let counters = counted.into_iter().filter(|(_, delta)| *delta != 0);
        let counters = counters.map(|(counter, delta)| CounterDelta { table, counter, delta }).collect();
        Commit { rows, counters, ..Commit::default() }
    }

    /// The index values of a line.
    pub fn index(&self, line: &Line) -> Vec<IndexValue> {
        self.model.table_of(self.lines).index(&(Arc::new(line.clone()) as Opaque))
    }

    /// What is counted about a line: nothing as long as it is not listed.
    pub fn counters(&self, line: &Line) -> Vec<Counter> {
        if line.id.is_none() {
            return Vec::new();
        }
        self.model.table_of(self.lines).counters(&self.index(line))
    }

    /// One page of the view.
    pub fn page(&self, query: &Query) -> Page {
        self.reader().page(self.lines, query).expect("a page is read")
    }

    /// The lines of a whole query, page by page: each page starts where the one before said, or where the number says.
    pub fn walk(&self, query: &Query, by_cursor: bool) -> Vec<Line> {
        let mut found = Vec::new();
        let mut start = Start::Offset(0);
        loop {
            let page = self.page(&Query { start, ..query.clone() });
            assert!(page.rows.len() <= query.limit as usize, "a page has no more rows than asked for");
            found.extend(lines_of(&page));
            start = match page.next {
                None => return found,
                Some(cursor) if by_cursor => Start::After(cursor),
                Some(Cursor { .. }) => Start::Offset(found.len() as u64),
            };
        }
    }

    /// All that a store holds, as far as its ports show it.
    pub fn everything(&mut self) -> String {
        let mut all = Vec::new();
        if self.exclusive() {
            all.push(format!("{:?}", self.recovered())); // elsewhere that makes a new instance
        }
        let tables = [self.parcels, self.lines, self.shadow];
        let reader = self.reader();
        for table in tables {
            all.push(format!("{:?}", reader.page(table, &Query::first(1000)).expect("a page is read")));
            for name in ["", "state", "kind", "state*kind"] {
                all.push(format!("{name}: {:?}", reader.counters(table, name).expect("counters are read")));
            }
        }
        let log = LogQuery { limit: 1000, ..LogQuery::default() };
        all.push(format!("{:?}", reader.log(&log).expect("the log is read")));
        all.push(format!("{:?}", reader.all_parked(false, 1000).expect("parked events are read")));
        drop(reader);
        let keys = ["first", "second", "third"];
        let rows: Vec<_> = tables.iter().flat_map(|table| keys.map(|key| RowRef { table: *table, key: key.into() })).collect();
        let store = self.store();
        all.push(format!("{:?}", store.load(&rows).expect("rows are loaded")));
        all.push(format!("{:?}", store.timers_due(i64::MAX, 1000).expect("timers are read")));
        all.push(format!("{:?}", keys.map(|key| store.answer("scope", key).expect("answers are read"))));
        all.push(format!("{:?}", self.effects()));
        all.push(format!("{:?} {:?}", self.position("sample.depot"), self.heads("sample.depot")));
        all.join("\n")
    }

    /// What a starting core learns.
    pub fn recovered(&mut self) -> ports::Recovered {
        self.store().recover().expect("a store recovers")
    }
}

impl<H: StoreHarness> Default for StoreSession<H> {
    fn default() -> Self {
        Self::new()
    }
}
