//! From a batch to the commit that the store is given.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::event::CodecError;
use ports::model::Counter;
use ports::{Commit, CounterDelta, Model, OffsetUpdate, RowWrite, TableId};

use super::{Batch, Reply};
use crate::numbering::Numbering;
use crate::rows::{Changed, RowCache};
use crate::subscriptions::HeadChange;

impl Batch {
    /// The commit of this batch, and what is to be done once it is applied. `offsets` are those that its items reach.
    pub fn into_commit(
        mut self,
        model: &Model,
        rows: &RowCache,
        numbering: &Numbering,
        offsets: Vec<OffsetUpdate>,
    ) -> Result<(Commit, Vec<Reply>, Vec<HeadChange>), CodecError> {
        self.withdraw_own();
        let (writes, counters) = row_writes(model, rows)?;
        let mut positions = std::mem::take(&mut self.administration.offsets);
        positions.extend(offsets);
        let commit = Commit {
            number: numbering.next_commit(),
            last_ids: numbering.last_ids(&writes),
            rows: writes,
            counters,
            log: self.log.into_iter().map(Arc::unwrap_or_clone).collect(),
            positions,
            timers: self.timers,
            effects: self.effects,
            effects_done: self.effects_done,
            withdrawn: self.withdrawn.into_iter().map(|(target, _)| target).collect(),
            parked: self.parked,
            answers: self.answers,
            clear: self.administration.clear,
            swap: self.administration.swap,
        };
        Ok((commit, self.replies, self.heads))
    }

    /// A withdrawal is about what was asked for before it, in this batch too.
    fn withdraw_own(&mut self) {
        for (target, effects) in &self.withdrawn {
            let asked = self.effects[..*effects].iter_mut();
            let own = asked.filter(|effect| effect.table == target.table && effect.key == target.key);
            own.for_each(|effect| effect.withdrawn = true);
        }
    }
}

/// The rows that the batch changed, and by how much the counters of their tables change.
fn row_writes(model: &Model, rows: &RowCache) -> Result<(Vec<RowWrite>, Vec<CounterDelta>), CodecError> {
    let mut writes = Vec::new();
    let mut counters: BTreeMap<(TableId, Counter), i64> = BTreeMap::new();
    for Changed { row, before, now } in rows.changed() {
        let table = model.table_of(row.table);
        let encode = |state| now.json.as_ref().map_or_else(|| table.encode(state), |json| Ok(json.as_bytes().to_vec()));
        if before.listed != now.listed {
            for (listed, delta) in [(&before.listed, -1), (&now.listed, 1)] {
                for counter in listed.iter().flat_map(|index| table.counters(index)) {
                    *counters.entry((row.table, counter)).or_default() += delta;
                }
            }
        }
        writes.push(RowWrite {
            table: row.table,
            key: row.key.clone(),
            id: now.id,
            old_version: before.version,
            version: now.version,
            schema: table.version(),
            data: now.state.as_ref().map(encode).transpose()?,
            index: now.listed.as_ref().map(|index| index.to_vec()).unwrap_or_default(),
        });
    }
    let deltas = counters.into_iter().filter(|(_, delta)| *delta != 0);
    let deltas = deltas.map(|((table, counter), delta)| CounterDelta { table, counter, delta });
    Ok((writes, deltas.collect()))
}
